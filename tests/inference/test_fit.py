"""A model against a scene: refusals, allowances, notes, and what they do to pixels."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from geocr.core.bands import L1C_BANDS, L2A_BANDS
from geocr.core.errors import CheckpointError, InputError
from geocr.inference.fit import CLEAR_B10, Allowances, fit_model, require_fit, scene_level
from geocr.io.facts import OpticalFacts, SarFacts, SarRadiometry
from geocr.io.scene import Scene
from geocr.models.pix2pix import Pix2Pix
from geocr.models.spec import BASELINE_OFFSET, ModelSpec
from geocr.models.unet import FusionUNet
from geocr.radiometry.normalize import Normalizer

FOUR = ("B02", "B03", "B04", "B08")
KWARGS: dict[str, Any] = {"optical_bands": FOUR, "level": "L2A", "widths": (2,), "tile_px": 16}


def scene(
    bands: tuple[str, ...] = FOUR,
    sar_bands: tuple[str, ...] = ("VV", "VH"),
    units: str = "power",
    *,
    level: Any = None,
    radiometry: SarRadiometry | None = "sigma0",
) -> Scene:
    """What is held against a model: names, units and facts, no pixels."""
    sar = SimpleNamespace(units=units) if sar_bands else None
    facts = {"optical_facts": OpticalFacts(level=level), "sar_facts": SarFacts(radiometry=radiometry)}
    return cast("Scene", SimpleNamespace(bands=bands, sar_bands=sar_bands, sar=sar, **facts))


def spec(**changes: Any) -> ModelSpec:
    return replace(FusionUNet(**{**KWARGS, **changes}).spec, sar_radiometry="sigma0")


# --- refused ---


@pytest.mark.parametrize(
    ("changes", "given", "message"),
    [
        (
            {},
            scene(L1C_BANDS),
            "needs Sentinel-2 L2A with B02, B03, B04, B08, .*the scene is L1C by its bands: give the L2A product .* trained on L1C",
        ),
        ({"level": "L1C"}, scene(L2A_BANDS), "the scene is L2A by its bands: give the L1C product .* or add --any-level"),
        ({}, scene(level="L1C"), "the scene is L1C by its product: give the L2A product"),
        ({}, scene(("B02", "B03")), r"the scene lacks B04, B08 \(it has B02, B03\)"),
        (
            {},
            scene((*FOUR, "B11", "B12")),
            "predicts B02, B03, B04, B08, and the scene's B11, B12 would stay cloudy: add --output-bands model .*give a file without them",
        ),
        ({}, scene(sar_bands=()), "the scene has no Sentinel-1: give one, or a checkpoint trained without"),
        ({}, scene(sar_bands=("VV",)), r"its Sentinel-1 lacks VH \(it has VV\)"),
        ({}, scene(units="display"), "its Sentinel-1 is in display values: give one in dB, or a checkpoint for display values"),
        ({"sar_units": "display"}, scene(units="power"), "its Sentinel-1 is in dB: add --s1-stretch .* give one in display values"),
        ({"sar_units": "display"}, scene(units="db"), "its Sentinel-1 is in dB"),
        ({}, scene(("B02",), ()), "lacks B03, B04, B08 .*; the scene has no Sentinel-1"),
    ],
)
def test_a_scene_that_does_not_fit_is_refused_with_what_would(changes: dict[str, Any], given: Scene, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        require_fit(FusionUNet(**{**KWARGS, **changes}).spec, given)


@pytest.mark.parametrize("units", ["db", "power", "amplitude"])
def test_every_physical_unit_is_read_as_db_and_fits(units: str) -> None:
    assert require_fit(spec(), scene(units=units)) == (
        "The scene's bands do not tell its level; the model was trained on L2A, so the scene is taken as L2A.",
    )


@pytest.mark.parametrize(("level", "bands"), [("L1C", L1C_BANDS), ("L2A", L2A_BANDS)])
def test_a_full_product_of_the_right_level_fits_without_a_word(level: str, bands: tuple[str, ...]) -> None:
    assert require_fit(spec(level=level, optical_bands=bands), scene(bands)) == ()


# --- level and B10 ---


@pytest.mark.parametrize(
    ("bands", "word", "level"),
    [(L1C_BANDS, None, "L1C"), (L2A_BANDS, None, "L2A"), (FOUR, None, None), (FOUR, "L1C", "L1C"), (L2A_BANDS, "L1C", "L1C")],
)
def test_the_products_word_comes_before_the_bands(bands: tuple[str, ...], word: str | None, level: str | None) -> None:
    assert scene_level(scene(bands, level=word)) == level


def test_a_model_of_13_bands_asks_what_stands_in_for_b10() -> None:
    with pytest.raises(CheckpointError, match="--b10 zero or --b10 estimate"):
        fit_model(spec(level="L1C", optical_bands=L1C_BANDS), scene(L2A_BANDS))


@pytest.mark.parametrize(("choice", "value"), [("zero", 0.0), ("estimate", CLEAR_B10)])
def test_b10_allows_the_other_level_and_says_so(choice: Any, value: float) -> None:
    fit = fit_model(spec(level="L1C", optical_bands=L1C_BANDS), scene(L2A_BANDS), Allowances(b10=choice))
    assert (fit.b10, fit.written) == (value, L2A_BANDS)
    assert dict(fit.facts) == {"level_of_scene": "L2A", "b10": choice}
    assert "reflectance at the top of the atmosphere) and the scene is L2A" in fit.notes[0]
    assert "cirrus is not told" in fit.notes[1]


def test_b10_that_nobody_lacks_is_not_used() -> None:
    fit = fit_model(spec(level="L1C", optical_bands=L1C_BANDS), scene(L1C_BANDS), Allowances(b10="zero"))
    assert (fit.b10, fit.facts) == (None, ())
    assert fit.notes == ("--b10 zero is not used: the scene has B10.",)
    with pytest.raises(CheckpointError, match="--any-level"):  # nor does it allow another level to a model that reads no B10
        fit_model(spec(), scene(level="L1C"), Allowances(b10="zero"))


def test_any_level_runs_a_model_on_the_other() -> None:
    fit = fit_model(spec(), scene(level="L1C"), Allowances(any_level=True))
    assert dict(fit.facts) == {"level_of_scene": "L1C"}
    assert "the figures of its evaluation do not hold here" in fit.notes[0]


# --- radiometry and offset ---


@pytest.mark.parametrize(
    ("trained", "came", "said"),
    [
        ("sigma0", "sigma0", None),
        ("sigma0", "gamma0", "trained on sigma0 and Sentinel-1 is gamma0: gamma0 is 0.6 to 1.6 dB above"),
        ("sigma0", None, "trained on sigma0, and the scene's is not known"),
        ("unknown", "gamma0", "Sentinel-1 is gamma0, and the model's is not known"),
        ("unknown", None, "Neither the model nor Sentinel-1 tells"),
    ],
)
def test_radiometry_that_differs_or_is_not_known_is_said_aloud(trained: Any, came: Any, said: str | None) -> None:
    notes = fit_model(replace(spec(), sar_radiometry=trained), scene(level="L2A", radiometry=came)).notes
    assert notes == () if said is None else len(notes) == 1 and said in notes[0]


def test_an_offset_left_in_is_added_and_taken_off_again() -> None:
    fit = fit_model(replace(spec(), optical_offset="left_in"), scene(level="L2A"))
    values = np.linspace(0, 0.8, 9, dtype=np.float32).reshape(1, 3, 3)
    np.testing.assert_allclose(
        fit.normalizer.optical_to_network(values), spec().normalizer.optical_to_network(values + BASELINE_OFFSET), atol=1e-6
    )
    back = fit.normalizer.mean_to_reflectance(fit.normalizer.optical_to_network(values))
    np.testing.assert_allclose(back, values, atol=1e-6)
    assert "add-offset" in fit.notes[0]


# --- pictures ---


def test_a_model_of_pictures_asks_for_both_stretches() -> None:
    painter = Pix2Pix(width=2, depth=2, tile_px=64).spec
    rgb = scene(("B04", "B03", "B02"), ("VV",))
    with pytest.raises(CheckpointError, match=r"add --stretch MIN,MAX.*add --s1-stretch MIN,MAX"):
        fit_model(painter, rgb)
    fit = fit_model(painter, rgb, Allowances(stretch=(0.0, 0.3), s1_stretch=(-25.0, 0.0)))
    facts = dict(fit.facts)
    assert facts.pop("output").startswith("shades of an 8-bit picture")
    assert facts == {"stretch": [0.0, 0.3], "s1_stretch": [-25.0, 0.0]}
    assert any("shades of a picture" in note for note in fit.notes)


@settings(max_examples=50, deadline=None)
@given(
    low=st.floats(-0.2, 0.2),
    span=st.floats(0.01, 2),
    scale=st.floats(0.001, 10),
    offset=st.floats(-2, 2),
    clip=st.sampled_from([None, (0.0, 255.0)]),
)
def test_a_stretched_scene_is_what_the_network_makes_of_the_picture(
    low: float, span: float, scale: float, offset: float, clip: Any
) -> None:
    plain = Normalizer(sar_clip=(), optical_clip=clip, optical_scale=scale, optical_offset=offset)
    display = replace(spec(sar_bands=()), optical_units="display", normalizer=plain)
    stretched = fit_model(display, scene(sar_bands=(), level="L2A"), Allowances(stretch=(low, low + span))).normalizer
    values = np.linspace(-0.5, 3, 36, dtype=np.float32).reshape(1, 6, 6)
    picture = ((values.astype(np.float64) - low) / span * 255).astype(np.float32)
    tolerance = 1e-4 * (1 + np.abs(plain.optical_to_network(picture)).max())
    np.testing.assert_allclose(stretched.optical_to_network(values), plain.optical_to_network(picture), atol=tolerance)
    answer = np.float32(scale) * np.float32(128) + np.float32(offset)
    np.testing.assert_allclose(
        stretched.mean_to_reflectance(np.full((1, 1, 1), answer)), low + span * 128 / 255, atol=1e-3 * (1 + span) / min(1, scale)
    )
    np.testing.assert_allclose(stretched.std_to_reflectance(np.full((1, 1, 1), np.float32(scale))), span / 255, rtol=1e-4)


def test_backscatter_is_stretched_as_the_picture_was() -> None:
    normalizer = Normalizer(sar_clip=((0.0, 255.0),), sar_range=(-1.0, 1.0), sar_fill=-1.0)
    model = replace(spec(sar_bands=("VV",)), sar_units="display", normalizer=normalizer)
    fit = fit_model(model, scene(sar_bands=("VV",), level="L2A"), Allowances(s1_stretch=(-25.0, 0.0)))
    db = np.array([[[-30.0, -25.0, -12.5, 0.0, 5.0, np.nan]]], np.float32)
    np.testing.assert_allclose(fit.normalizer.sar_to_network(db), [[[-1, -1, 0, 1, 1, -1]]], atol=1e-6)


@pytest.mark.parametrize(
    ("model", "allowed", "message"),
    [
        (spec(), Allowances(stretch=(0, 0.3)), "--stretch is for models trained on 8-bit pictures"),
        (spec(), Allowances(s1_stretch=(-25, 0)), "--s1-stretch is for models trained on 8-bit pictures"),
        (replace(spec(), optical_units="display"), Allowances(stretch=(0.3, 0.3)), "MIN below MAX, got 0.3,0.3"),
    ],
)
def test_a_stretch_without_meaning_is_refused(model: ModelSpec, allowed: Allowances, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_model(model, scene(level="L2A"), allowed)


# --- fewer bands ---


def test_model_bands_are_written_in_the_scenes_order() -> None:
    rgb = spec(optical_bands=("B04", "B03", "B02"))
    fit = fit_model(rgb, scene(L2A_BANDS), Allowances(model_bands=True))
    assert fit.written == ("B02", "B03", "B04")
    assert "The model gives no B01, B05" in fit.notes[0]
    with pytest.raises(CheckpointError, match="the scene has none of them"):
        fit_model(rgb, scene(("B11", "B12"), level="L2A"), Allowances(model_bands=True))


@pytest.mark.real_data
def test_the_estimate_of_b10_is_that_of_clear_images(real_data: Path) -> None:
    paths = [
        *sorted((real_data / "sen12mscr_triplets" / "s2_cloudfree").glob("*.tif")),
        *sorted((real_data / "sen12mscr").glob("*_s2/*/*.tif")),
        *sorted((real_data / "sen1floods11_spain_512").glob("*_S2Hand.tif")),
    ]
    medians = []
    for path in paths:
        with rasterio.open(path) as dataset:
            medians.append(float(np.median(dataset.read(L1C_BANDS.index("B10") + 1))) * 1e-4)
    assert len(medians) == 14
    assert np.median(medians) == pytest.approx(CLEAR_B10, abs=5e-5)
    assert (min(medians), max(medians)) == pytest.approx((0.0008, 0.0038), abs=5e-5)
