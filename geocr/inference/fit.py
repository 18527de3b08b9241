"""A model against a scene: what does not fit is refused, what the user allows is adapted, what cannot be told is said aloud.

Published weights differ in level, bands, units and radiometry, and a network says nothing when it is fed with something else: it answers,
and the answer is wrong. So the scene is held against the model's contract before anything is computed.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from geocr.core.bands import L2A_BANDS, is_l1c
from geocr.core.errors import CheckpointError, InputError
from geocr.inference.acquired import acquisition_date
from geocr.io.scene import Scene
from geocr.models.spec import BASELINE_OFFSET, DATE_EPOCH, ModelSpec
from geocr.radiometry.normalize import DISPLAY_RANGE, Normalizer

B10Choice: TypeAlias = Literal["zero", "estimate"]
"""What stands in for the cirrus band where a scene has none."""
Range: TypeAlias = tuple[float, float]
"""Least and greatest value, physical units."""

CLEAR_B10 = 0.0013
"""Reflectance of clear land in B10 at the top of the atmosphere: median of 14 clear Level-1C images (SEN12MS-CR and Sen1Floods11), whose
own medians lie between 0.0008 and 0.0038. Of 14 cloudy images of SEN12MS-CR some reach 0.035 (high cloud) and others stay at 0.001 (low cloud):
the other bands do not tell which, so that a constant is all that can be estimated honestly."""

_UNIT_WORDS = {"db": "dB", "display": "display values"}
_LEVEL_WORDS = {"L1C": "the top of the atmosphere", "L2A": "the ground"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowances:
    """What the user allows where a scene is not what a model was trained on."""

    b10: B10Choice | None = None
    """Run a model that reads B10 on a scene without it; `zero` or `estimate` (`CLEAR_B10`) stands in for it."""
    any_level: bool = False
    """Run a model on a scene of the other processing level."""
    model_bands: bool = False
    """Write only the bands that the model gives, where the scene has more."""
    stretch: Range | None = None
    """Reflectances that the 8-bit pictures of a model show as 0 and as 255."""
    s1_stretch: Range | None = None
    """Backscatter in dB that they show as 0 and as 255."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How a model is fed with a scene that fits, as it is or by what the user allows."""

    normalizer: Normalizer
    """Units of the scene to units of the network and back."""
    written: tuple[str, ...]
    """Bands of the scene that the model gives, in the scene's order."""
    b10: float | None = None
    """Reflectance that stands in for B10; None where the model reads the scene's, or none."""
    notes: tuple[str, ...] = ()
    """What the user should know, a sentence each."""
    facts: tuple[tuple[str, Any], ...] = ()
    """What was adapted, JSON-able, for tags; empty where nothing was."""


def fit_model(spec: ModelSpec, scene: Scene, allowances: Allowances | None = None) -> Fit:
    """Hold a scene against a model.

    Args:
        spec: The model's contract.
        scene: The scene to fill.
        allowances: What may be adapted; nothing when None.

    Raises:
        CheckpointError: Listing everything that does not fit, and what would.
        InputError: When an allowance has no meaning for this model.
    """
    allowed = allowances or Allowances()
    _require_meaning(spec, scene, allowed)
    misfits = [*_optical_misfits(spec, scene, allowed), *_sar_misfits(spec, scene, allowed), *_date_misfits(spec, scene)]
    if misfits:
        needs = ", and ".join(_needs(spec))
        raise CheckpointError(f"a checkpoint must fit its scene; this one needs {needs}; {'; '.join(misfits)}")
    adapted = {
        "level_of_scene": scene_level(scene) if _is_other_level(spec, scene) else None,
        "b10": allowed.b10 if _lacks_b10(spec, scene) else None,
        "stretch": None if allowed.stretch is None else list(allowed.stretch),
        "s1_stretch": None if allowed.s1_stretch is None else list(allowed.s1_stretch),
        "output": "shades of an 8-bit picture, 0 and 255 at the two reflectances of `stretch`" if allowed.stretch else None,
    }
    return Fit(
        normalizer=_adapted_normalizer(spec, allowed),
        written=tuple(band for band in scene.bands if band in spec.optical_out),
        b10={"zero": 0.0, "estimate": CLEAR_B10}[allowed.b10] if allowed.b10 and _lacks_b10(spec, scene) else None,
        notes=(*_optical_notes(spec, scene, allowed), *_sar_notes(spec, scene, allowed)),
        facts=tuple((name, value) for name, value in adapted.items() if value is not None),
    )


def require_fit(spec: ModelSpec, scene: Scene) -> tuple[str, ...]:
    """Refuse a scene that a model was not trained for, and return notes for the user; see `fit_model`.

    Raises:
        CheckpointError: Listing everything that does not fit, and what would.
    """
    return fit_model(spec, scene).notes


def scene_level(scene: Scene) -> str | None:
    """Processing level of a scene: by its product's word, else by its bands, else None (unknown)."""
    if scene.optical_facts.level is not None:
        return scene.optical_facts.level
    if is_l1c(scene.bands):  # cirrus is only in L1C, all others without it only in L2A
        return "L1C"
    return "L2A" if set(scene.bands) == set(L2A_BANDS) else None


def day_of(scene: Scene) -> float | None:
    """Days from `DATE_EPOCH` to the scene's, if its product, its tags or its file's name tell."""
    day = acquisition_date(scene)
    return None if day is None else float((day - DATE_EPOCH).days)


def _needs(spec: ModelSpec) -> list[str]:
    optical = [f"Sentinel-2 {spec.level} with {', '.join(spec.optical_in)}"] if spec.optical_in else []
    sar = [f"Sentinel-1 with {', '.join(spec.sar_bands)} in {_UNIT_WORDS[spec.sar_units]}"] if spec.sar_bands else []
    return [*optical, *sar]


def _require_meaning(spec: ModelSpec, scene: Scene, allowed: Allowances) -> None:
    for option, given, meant in (
        ("--stretch", allowed.stretch, spec.optical_units == "display"),
        ("--s1-stretch", allowed.s1_stretch, spec.sar_units == "display" and bool(spec.sar_bands)),
    ):
        if given is None:
            continue
        if not given[0] < given[1]:
            raise InputError(f"{option} is MIN,MAX with MIN below MAX, got {given[0]:g},{given[1]:g}")
        if not meant:
            raise InputError(f"{option} is for models trained on 8-bit pictures, and this one was not; leave it out")
    if allowed.s1_stretch is not None and scene.sar is not None and scene.sar.units == "display":
        raise InputError("--s1-stretch turns dB into picture values, and this scene's Sentinel-1 is in them already; leave it out")


def _is_other_level(spec: ModelSpec, scene: Scene) -> bool:
    return scene_level(scene) not in (None, spec.level)


def _lacks_b10(spec: ModelSpec, scene: Scene) -> bool:
    return "B10" in spec.optical_in and "B10" not in scene.bands


def _optical_misfits(spec: ModelSpec, scene: Scene, allowed: Allowances) -> list[str]:
    found = []
    if spec.optical_units == "display" and allowed.stretch is None:
        found.append(
            "it was trained on 8-bit pictures, and a scene is in reflectance: add --stretch MIN,MAX, the reflectances that those pictures "
            "showed as 0 and as 255, or give a checkpoint trained on reflectance"
        )
    b10_told = allowed.b10 is not None
    if _is_other_level(spec, scene) and not _level_allowed(spec, scene, allowed):
        found.append(_level_misfit(spec, scene))
        b10_told = b10_told or _lacks_b10(spec, scene)
    absent = [band for band in spec.optical_in if band not in scene.bands and not (band == "B10" and b10_told)]
    if absent:
        lone = " (or --b10 zero|estimate, what then stands in for it)" if absent == ["B10"] else ""
        found.append(
            f"the scene lacks {', '.join(absent)} (it has {', '.join(scene.bands)}): give a file with them, or a checkpoint for these bands{lone}"
        )
    unfilled = [band for band in scene.bands if band not in spec.optical_out]
    if unfilled and not allowed.model_bands:
        found.append(
            f"the model predicts {', '.join(spec.optical_out)}, and the scene's {', '.join(unfilled)} would stay cloudy: "
            f"add --output-bands model to write only what it predicts, give a file without them, or a checkpoint that predicts them"
        )
    if len(unfilled) == len(scene.bands) and allowed.model_bands:
        found.append(f"the model predicts {', '.join(spec.optical_out)}, and the scene has none of them: give a checkpoint for its bands")
    return found


def _level_allowed(spec: ModelSpec, scene: Scene, allowed: Allowances) -> bool:
    """B10 is missed only by a model of Level-1C on a scene of Level-2A: who says what stands in for it allows the scene."""
    return allowed.any_level or (allowed.b10 is not None and _lacks_b10(spec, scene))


def _level_misfit(spec: ModelSpec, scene: Scene) -> str:
    came = scene_level(scene)
    why = "by its bands" if scene.optical_facts.level is None else "by its product"
    if _lacks_b10(spec, scene):
        run = "--b10 zero or --b10 estimate (what stands in for the cirrus band) to run it all the same"
    else:
        run = "--any-level to run it all the same"
    return f"the scene is {came} {why}: give the {spec.level} product of that date, a checkpoint trained on {came}, or add {run}"


def _sar_misfits(spec: ModelSpec, scene: Scene, allowed: Allowances) -> list[str]:
    if not spec.sar_bands:
        return []
    if scene.sar is None:
        return ["the scene has no Sentinel-1: give one, or a checkpoint trained without"]
    found = []
    absent = [band for band in spec.sar_bands if band not in scene.sar_bands]
    if absent:
        found.append(f"its Sentinel-1 lacks {', '.join(absent)} (it has {', '.join(scene.sar_bands)}): give a dual-polarisation product")
    units = "display" if scene.sar.units == "display" else "db"
    if units != spec.sar_units and allowed.s1_stretch is None:
        turn = "add --s1-stretch MIN,MAX, the dB that its pictures showed as 0 and as 255, " if spec.sar_units == "display" else ""
        found.append(
            f"its Sentinel-1 is in {_UNIT_WORDS[units]}: {turn}give one in {_UNIT_WORDS[spec.sar_units]}, or a checkpoint for {_UNIT_WORDS[units]}"
        )
    return found


def _date_misfits(spec: ModelSpec, scene: Scene) -> list[str]:
    if not spec.needs_dates or day_of(scene) is not None:
        return []
    return ["it reads the day of the scene, which neither tags nor file name tell: name the file with it, as S2_20240510.tif"]


def _adapted_normalizer(spec: ModelSpec, allowed: Allowances) -> Normalizer:
    normalizer = spec.reflectance_normalizer
    if allowed.stretch is not None:
        normalizer = normalizer.of_optical(*_to_display(allowed.stretch))
    if allowed.s1_stretch is not None:
        normalizer = normalizer.of_sar(*_to_display(allowed.s1_stretch))
    return normalizer


def _to_display(stretch: Range) -> Range:
    """Factor and term that turn physical values into those of the picture that shows them."""
    low, high = stretch
    factor = (DISPLAY_RANGE[1] - DISPLAY_RANGE[0]) / (high - low)
    return factor, DISPLAY_RANGE[0] - low * factor


def _optical_notes(spec: ModelSpec, scene: Scene, allowed: Allowances) -> list[str]:
    notes = []
    level = scene_level(scene)
    if level is None:
        notes.append(
            f"The scene's bands do not tell its level; the model was trained on {spec.level}, so the scene is taken as {spec.level}."
        )
    elif level != spec.level:
        notes.append(
            f"The model was trained on {spec.level} (reflectance at {_LEVEL_WORDS[spec.level]}) and the scene is {level} (at {_LEVEL_WORDS[level]}): "
            "what it paints is shifted, and the figures of its evaluation do not hold here."
        )
    if allowed.b10 is not None:
        notes.append(_b10_note(spec, scene, allowed.b10))
    if spec.optical_offset == "left_in":
        notes.append(
            f"The model was trained on reflectances with the add-offset of baseline 04.00 left in: {BASELINE_OFFSET:g} is added for it and taken off again."
        )
    if allowed.stretch is not None:
        low, high = allowed.stretch
        notes.append(
            f"The model was trained on 8-bit pictures: reflectance {low:g} to {high:g} is shown to it as 0 to 255, and its pictures are turned back so. "
            "Reconstructed pixels are shades of a picture on that scale, not an estimate of reflectance."
        )
    left = [band for band in scene.bands if band not in spec.optical_out]
    if left:
        notes.append(f"The model gives no {', '.join(left)}: the output has only the scene's other bands.")
    return notes


def _b10_note(spec: ModelSpec, scene: Scene, choice: B10Choice) -> str:
    if not _lacks_b10(spec, scene):
        why = "the scene has B10" if "B10" in scene.bands else "the model reads no B10"
        return f"--b10 {choice} is not used: {why}."
    value = "zero" if choice == "zero" else f"that of clear land ({CLEAR_B10:g})"
    return f"The model reads B10 and the scene has none: everywhere it is given {value}, so that cirrus is not told to it."


def _sar_notes(spec: ModelSpec, scene: Scene, allowed: Allowances) -> list[str]:
    if not spec.sar_bands:
        return ["The model uses no Sentinel-1: the scene's is not read by it."] if scene.sar_bands else []
    notes = []
    if allowed.s1_stretch is not None:
        low, high = allowed.s1_stretch
        notes.append(f"The model was trained on 8-bit pictures of Sentinel-1: {low:g} to {high:g} dB is shown to it as 0 to 255.")
    if spec.sar_units == "db":
        notes += _radiometry_notes(spec.sar_radiometry, scene.sar_facts.radiometry or "unknown")
    return notes


def _radiometry_notes(trained: str, came: str) -> list[str]:
    if trained == came != "unknown":
        return []
    difference = "gamma0 is 0.6 to 1.6 dB above sigma0 on flat land (1 / cos of 30 to 46 degrees), and more apart on slopes"
    if "unknown" not in (trained, came):
        return [f"The model was trained on {trained} and Sentinel-1 is {came}: {difference}."]
    if trained == came:
        return [f"Neither the model nor Sentinel-1 tells whether it is sigma0 or gamma0: {difference}."]
    known, other = (f"Sentinel-1 is {came}", "the model's is not known") if trained == "unknown" else (f"The model was trained on {trained}", "the scene's is not known (--s1-radiometry tells it)")  # fmt: skip
    return [f"{known}, and {other}: {difference}."]
