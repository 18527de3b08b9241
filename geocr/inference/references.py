"""Other dates of a scene's place: opened like scenes, laid over its grid, each with a cloud mask of its own."""

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Self

from geocr.clouds.mask import CloudMask
from geocr.clouds.selection import is_for_any_scene, make_cloud_mask
from geocr.clouds.sun import SunAngle, sun_from_tags
from geocr.config import PredictConfig
from geocr.core.errors import BandError, CheckpointError, InputError
from geocr.inference.acquired import acquisition_date
from geocr.inference.fit import scene_level
from geocr.inference.inputs import OtherDate
from geocr.inference.method import Method
from geocr.io.open import open_scene
from geocr.io.open_sar import open_sar_on
from geocr.io.overlay import lay_over
from geocr.io.remote import is_remote
from geocr.io.sar_options import sar_options
from geocr.io.scene import Scene

AUTO_DAYS = 30
"""Most days between scene and reference that `--method auto` bridges unless told otherwise: crops change within a month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What `--reference S2[,S1]` names."""

    s2: str
    s1: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """From the option's text; everything behind the first comma is Sentinel-1.

        Raises:
            InputError: When a part is empty.
        """
        s2, comma, s1 = (part.strip() for part in text.partition(","))
        if not s2 or (comma and not s1):
            raise InputError(f"--reference takes S2 or S2,S1, the rasters of another date; got {text!r}")
        return cls(s2=s2, s1=s1 or None)

    @property
    def files(self) -> tuple[str, ...]:
        """Its files as the user named them."""
        return (self.s2,) if self.s1 is None else (self.s2, self.s1)


def references_of(config: PredictConfig) -> tuple[Reference, ...]:
    """What the settings name.

    Raises:
        InputError: As `Reference.parse`.
    """
    return tuple(Reference.parse(text) for text in config.references or ())


def borrows(config: PredictConfig) -> bool:
    """Whether a run with these settings may fill from other dates, and tell the days of its sources."""
    return bool(config.references) and config.checkpoint is None and config.method != "scenefit"


def open_references(config: PredictConfig, scene: Scene) -> tuple[tuple[OtherDate, ...], tuple[str, ...]]:
    """Open every other date, nearest in time first; of equally near ones the earlier, then by name.

    The order in which they were named does not matter. With the method `auto`, dates farther away than `max_days` (30 unless set) are left
    out, and said; with others only where `max_days` is set.

    Args:
        config: Names them, and how bands, scale, offset and masks are read: as those of the scene.
        scene: The target.

    Returns:
        The dates, and what was decided, a sentence each.

    Raises:
        InputError: When the day of the scene or of a reference is not known, a reference is the scene itself, or one is named twice.
        CheckpointError: When a reference for a trained model is of another processing level than the scene.
        GeocrError: What `open_scene`, `lay_over` and `make_cloud_mask` raise.
    """
    named = references_of(config)
    if not named:
        return (), ()
    if config.method == "scenefit":
        return (), (f"scenefit reads one date: the {len(named)} reference(s) are not used.",)
    _refuse_repeats(named, scene)
    day = _day_of(scene, "the scene", scene.optical.path)
    limit = config.max_days if config.max_days is not None or config.method == "temporal" or config.checkpoint else AUTO_DAYS
    opened: list[tuple[int, int, str, OtherDate]] = []
    notes: list[str] = []
    for reference in named:
        raw = open_date(reference.s2, config)
        name = raw.optical_facts.product or Path(reference.s2).name
        days = (_day_of(raw, "a reference", reference.s2) - day).days
        if limit is not None and abs(days) > limit:
            notes.append(f"Reference {name} is {_apart(days)} the scene, beyond {limit:g} days (--max-days): it is not used.")
            continue
        other, said = _laid(reference, raw, scene, config, name=name, days=days)
        notes.append(f"Reference {name} is {_apart(days)} the scene.")
        notes.extend(f"{name}: {sentence}" for sentence in said)
        opened.append((abs(days), days, reference.s2, other))
    opened.sort(key=lambda entry: entry[:3])
    return tuple(other for *_, other in opened), tuple(notes)


def as_read_by(method: Method, others: tuple[OtherDate, ...], scene: Scene) -> tuple[tuple[OtherDate, ...], tuple[str, ...]]:
    """The dates as a method reads them on this scene, and what the user should know.

    Raises:
        BandError: When a date brings other polarisations than the scene, and the method reads them.
    """
    if not others:
        return (), ()
    if method.dates == "none":
        return (), (f"{method.name} reads one date: the {len(others)} reference(s) are not used.",)
    read, notes = [], []
    for other in others:
        laid = _with_bands(other.scene, scene.bands)
        if method.dates == "borrowed" or scene.sar is None:
            laid = replace(laid, sar=None, sar_bands=())
        elif laid.sar is None:
            notes.append(f"Reference {other.name} brings no Sentinel-1: it takes the scene's.")
        elif laid.sar_bands != scene.sar_bands:
            raise BandError(
                f"Sentinel-1 of every date must have the scene's polarisations, {', '.join(scene.sar_bands)}; that of {other.name} has "
                f"{', '.join(laid.sar_bands)}; give another, or leave it out: the date then takes the scene's"
            )
        read.append(replace(other, scene=laid))
    return tuple(read), tuple(notes)


def _with_bands(scene: Scene, bands: tuple[str, ...]) -> Scene:
    if scene.bands == bands:
        return scene
    return replace(scene, indexes=tuple(scene.indexes[scene.bands.index(band)] for band in bands), bands=bands)


def open_date(s2: str, config: PredictConfig) -> Scene:
    """Sentinel-2 of one date on its own grid, read as the settings say.

    Raises:
        GeocrError: As `open_scene`.
    """
    return open_scene(
        s2,
        None,
        s2_bands=config.s2_bands,
        s2_scale=config.s2_scale,
        s2_offset=config.s2_offset,
        s2_resampling=config.s2_resampling,
        resolution_m=config.resolution_m,
        on_error=config.on_error,
    )


def find_clouds(scene: Scene, config: PredictConfig, sun: SunAngle | None = None) -> CloudMask:
    """The mask of a date: by the detector of the settings where that is one for any scene, else by `auto`; never by the scene's own files.

    Args:
        scene: The date, on any grid.
        config: Names the detector and the buffer.
        sun: Where it stood, if the scene's own file does not tell any more; what its product says comes first.

    Raises:
        GeocrError: As `make_cloud_mask`.
    """
    method = config.cloud_mask if is_for_any_scene(config.cloud_mask) else "auto"
    known = scene.optical_facts.sun_zenith_deg is not None or sun is None
    return make_cloud_mask(
        scene,
        method,
        buffer_m=config.mask_buffer_m,
        buffer_px=config.mask_buffer_px,
        sun_zenith_deg=None if known or sun is None else sun.zenith_deg,
        sun_azimuth_deg=None if known or sun is None else sun.azimuth_deg,
    )


def _refuse_repeats(named: tuple[Reference, ...], scene: Scene) -> None:
    """A date that is given twice would count twice, and the scene itself shows its own clouds."""
    seen = {_place(scene.optical.path): "the scene itself"}
    for reference in named:
        place = _place(reference.s2)
        if place in seen:
            raise InputError(f"each reference is another date, given once; {reference.s2} is {seen[place]}; leave it out")
        seen[place] = "named twice"


def _place(path: str) -> str:
    return path if is_remote(path) else str(Path(path).resolve())


def _laid(
    reference: Reference, raw: Scene, scene: Scene, config: PredictConfig, *, name: str, days: int
) -> tuple[OtherDate, tuple[str, ...]]:
    """The reference on the scene's grid, and what was decided about it."""
    laid = lay_over(raw, scene, name)
    said = [*raw.notes, *_of_other_level(raw, scene, config, name)]
    if reference.s1 is not None:
        options = replace(sar_options(config), max_days=None)  # of the scene and its Sentinel-1; a reference's own is the user's choice
        radar = open_sar_on(reference.s1, scene.grid, options, optical_time=raw.optical_facts.acquired, on_error=config.on_error)
        laid = replace(laid, sar=radar.reader, sar_bands=radar.bands, sar_facts=radar.facts)
        said.extend(radar.notes)
    mask = find_clouds(laid, config, sun_from_tags(raw.optical.handle.tags()))  # a warp drops tags
    return OtherDate(scene=laid, mask=mask, days=days, name=name, facts=mask.describe()), (*said, *mask.notes)


def _of_other_level(raw: Scene, scene: Scene, config: PredictConfig, name: str) -> tuple[str, ...]:
    """What to say when a date is not of the scene's processing level; a trained model knows one."""
    came, wanted = scene_level(raw), scene_level(scene)
    if came is None or wanted is None or came == wanted:
        return ()
    if config.checkpoint is not None and not config.any_level:
        raise CheckpointError(
            f"a trained model takes all its dates at one processing level; {name} is {came} and the scene {wanted}: give the {wanted} "
            f"product of that date, leave it out, or add --any-level"
        )
    return (f"it is {came} and the scene {wanted}; what is borrowed is matched to the scene's radiometry as far as a line can.",)


def _day_of(scene: Scene, what: str, path: str) -> date:
    day = acquisition_date(scene)
    if day is None:
        raise InputError(
            f"filling from other dates needs the day of each; neither tags nor name tell that of {what}, {Path(path).name}; "
            f"name the file with it, as S2_20240510.tif"
        )
    return day


def _apart(days: int) -> str:
    if days == 0:
        return "of the same day as"
    return f"{abs(days)} {'day' if abs(days) == 1 else 'days'} {'before' if days < 0 else 'after'}"
