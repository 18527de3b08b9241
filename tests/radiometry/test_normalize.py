"""One normaliser between the units of a scene and those of a network."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocr.core.errors import InputError
from geocr.radiometry.normalize import DISPLAY_RANGE, SAR_CLIP_DB, Normalizer

DSEN2 = Normalizer(sar_range=(0.0, 2.0), optical_scale=5.0)
PICTURE = Normalizer(
    sar_clip=((0.0, 255.0),),
    sar_range=(-1.0, 1.0),
    sar_fill=-1.0,
    optical_clip=None,
    optical_scale=2.0,
    optical_offset=-1.0,
    optical_fill=0.25,
)


def column(*values: float) -> np.ndarray:
    """`(1, n, 1)`: one band, n rows."""
    return np.asarray(values, np.float32).reshape(1, -1, 1)


def test_each_polarisation_has_its_own_clip_range() -> None:
    sar = np.full((2, 1, 1), -25.0, np.float32)
    vv, vh = Normalizer().sar_to_network(sar).ravel()
    assert vv == 0.0
    assert vh == pytest.approx(7.5 / 32.5)


@pytest.mark.parametrize(
    ("db", "expected"), [(-60.0, 0.0), (-25.01, 0.0), (-25.0, 0.0), (-12.5, 1.0), (0.0, 2.0), (0.01, 2.0), (30.0, 2.0)]
)
def test_backscatter_is_clipped_then_scaled(db: float, expected: float) -> None:
    assert replace(DSEN2, sar_clip=((-25.0, 0.0),)).sar_to_network(column(db)).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("reflectance", "expected"), [(-0.1, 0.0), (0.0, 0.0), (0.2, 1.0), (1.0, 5.0), (1.3, 5.0)])
def test_reflectance_is_clipped_then_scaled(reflectance: float, expected: float) -> None:
    assert DSEN2.optical_to_network(column(reflectance)).item() == pytest.approx(expected)


def test_without_a_clip_bright_clouds_keep_their_value() -> None:
    assert PICTURE.optical_to_network(column(-0.5, 1.5)).ravel().tolist() == [-2.0, 2.0]


@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_becomes_the_fill_in_network_units(missing: float) -> None:
    assert PICTURE.sar_to_network(column(missing, 255.0)).ravel().tolist() == [-1.0, 1.0]
    assert PICTURE.optical_to_network(column(missing, 0.5)).ravel().tolist() == [0.25, 0.0]


@given(values=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20), scale=st.floats(0.1, 10), offset=st.floats(-2, 2))
def test_predictions_come_back_in_reflectance(values: list[float], scale: float, offset: float) -> None:
    normalizer = Normalizer(optical_scale=scale, optical_offset=offset)
    back = normalizer.mean_to_reflectance(normalizer.optical_to_network(column(*values)))
    np.testing.assert_allclose(back.ravel(), values, atol=1e-5)


def test_predictions_are_not_clipped() -> None:
    assert DSEN2.mean_to_reflectance(column(-1.0, 6.0)).ravel().tolist() == pytest.approx([-0.2, 1.2])


def test_a_standard_deviation_is_scaled_and_not_shifted() -> None:
    assert PICTURE.std_to_reflectance(column(1.0, 0.0)).ravel().tolist() == [0.5, 0.0]


def test_leading_axes_pass_and_everything_stays_float32() -> None:
    sar, optical = np.zeros((4, 3, 2, 5, 6), np.float32), np.zeros((4, 3, 7, 5, 6), np.float32)
    normalizer = Normalizer()
    for result, shape in (
        (normalizer.sar_to_network(sar), sar.shape),
        (normalizer.optical_to_network(optical), optical.shape),
        (normalizer.mean_to_reflectance(optical), optical.shape),
        (normalizer.std_to_reflectance(optical), optical.shape),
    ):
        assert (result.dtype, result.shape) == (np.float32, shape)


def test_a_model_without_sar_normalises_no_bands() -> None:
    assert Normalizer(sar_clip=()).sar_to_network(np.empty((0, 3, 4), np.float32)).shape == (0, 3, 4)


def test_the_input_is_left_alone() -> None:
    sar = np.full((2, 2, 2), np.nan, np.float32)
    Normalizer().sar_to_network(sar)
    assert np.isnan(sar).all()


def test_another_number_of_bands_is_refused() -> None:
    with pytest.raises(InputError, match=r"Expected backscatter \(\.\.\., 2, y, x\).*got \(1, 3, 3\)"):
        Normalizer().sar_to_network(np.zeros((1, 3, 3), np.float32))


def test_standard_ranges_follow_polarisations_and_units() -> None:
    assert Normalizer.standard(("VH", "VV")).sar_clip == (SAR_CLIP_DB["VH"], SAR_CLIP_DB["VV"])
    assert Normalizer.standard(("VV",), "display").sar_clip == (DISPLAY_RANGE,)
    assert Normalizer.standard(()).sar_clip == ()


@pytest.mark.parametrize("normalizer", [Normalizer(), DSEN2, PICTURE])
def test_json_round_trip(normalizer: Normalizer) -> None:
    back = Normalizer.from_dict(json.loads(json.dumps(normalizer.to_dict())))
    assert back == normalizer
    assert hash(back) == hash(normalizer)


def test_stored_keys_are_exactly_the_fields() -> None:
    stored = Normalizer().to_dict()
    with pytest.raises(InputError, match="unknown: gamma"):
        Normalizer.from_dict({**stored, "gamma": 1})
    del stored["sar_fill"]
    with pytest.raises(InputError, match="missing: sar_fill"):
        Normalizer.from_dict(stored)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sar_clip": ((0.0, 0.0),)},
        {"sar_clip": ((0.0, -25.0),)},
        {"sar_range": (1.0, 0.0)},
        {"optical_clip": (1.0, 0.5)},
        {"optical_scale": 0.0},
        {"optical_scale": -1.0},
        {"optical_fill": float("nan")},
        {"sar_fill": float("inf")},
    ],
)
def test_what_cannot_be_scaled_or_inverted_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match="normaliser"):
        Normalizer(**wrong)  # type: ignore[arg-type]
