"""What holds of every measure: streaming, merging, regions, bands, invalid pixels."""

import copy
import pickle
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
import torchmetrics
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from geocr.core.errors import InputError
from geocr.metrics import METRICS
from geocr.metrics.base import ImageMetric, MetricInput
from geocr.metrics.presets import PRESETS
from geocr.metrics.sam import SpectralAngle
from geocr.metrics.ssim import SsimWindow, StructuralSimilarity
from geocr.metrics.suite import build_suite
from tests.metrics.cases import BANDS, make_batch, part

NAMES = ("mae", "rmse", "psnr", "ssim", "sam")
BANDED = ("mae", "rmse", "psnr", "ssim")


def make(name: str, **options: Any) -> ImageMetric:
    metric = METRICS.load(name)(**options)
    assert isinstance(metric, ImageMetric)
    return metric


def value_of(metric: torchmetrics.Metric, *batches: MetricInput) -> torch.Tensor:
    for batch in batches:
        metric.update(batch)
    value = metric.compute()
    assert isinstance(value, torch.Tensor)
    return value


GIVEN = make_batch(6, bands=4, size=(24, 21))


@pytest.mark.parametrize("pooling", ["image", "pooled"])
@pytest.mark.parametrize("region", ["all", "cloudy", "clear"])
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=6)
@drawn(cuts=st.sets(st.integers(1, 5)))
def test_any_split_merged_is_the_whole(name: str, region: str, pooling: str, cuts: set[int]) -> None:
    whole = value_of(make(name, region=region, pooling=pooling), GIVEN)
    edges = [0, *sorted(cuts), 6]
    merged = make(name, region=region, pooling=pooling)
    merged.update(part(GIVEN, edges[0], edges[1]))
    for start, stop in pairwise(edges[1:]):
        other = make(name, region=region, pooling=pooling)
        other.update(part(GIVEN, start, stop))
        merged.compute()  # a value asked for in between must not be remembered
        merged.merge_state(other)
    assert abs(float(merged.compute() - whole)) < 1e-9 * max(1, abs(float(whole)))


@pytest.mark.parametrize("name", NAMES)
def test_streaming_is_the_whole_and_order_does_not_matter(name: str) -> None:
    whole = value_of(make(name), GIVEN)
    parts = [part(GIVEN, i, i + 1) for i in range(6)]
    torch.testing.assert_close(value_of(make(name), *parts), whole, rtol=1e-12, atol=0)
    torch.testing.assert_close(value_of(make(name), *parts[::-1]), whole, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rubbish", [float("nan"), float("inf"), 1e20])
def test_invalid_pixels_change_nothing(name: str, rubbish: float) -> None:
    spoil = torch.tensor(rubbish).double()
    images = ("prediction", "target", "cloudy", "variance")
    spoilt = replace(GIVEN, **{one: torch.where(GIVEN.valid, getattr(GIVEN, one), spoil) for one in images})
    assert torch.equal(value_of(make(name), GIVEN), value_of(make(name), spoilt))


@pytest.mark.parametrize("name", NAMES)
def test_nan_at_a_valid_pixel_is_not_hidden(name: str) -> None:
    broken = GIVEN.prediction.clone()
    row, col = (int(one) for one in GIVEN.valid[2, 0].nonzero()[60])
    broken[2, 1, row, col] = torch.nan
    assert value_of(make(name), replace(GIVEN, prediction=broken)).isnan()


@pytest.mark.parametrize("name", NAMES)
def test_flipping_and_turning_change_nothing(name: str) -> None:
    square = make_batch(2, bands=3, size=(22, 22))
    for turn in (lambda image: image.flip(-1), lambda image: image.flip(-2), lambda image: image.transpose(-1, -2)):
        names = ("prediction", "target", "cloudy", "variance", "cloud_mask", "valid_mask")
        turned = MetricInput(**{one: turn(getattr(square, one)) for one in names})
        torch.testing.assert_close(value_of(make(name), turned), value_of(make(name), square), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["mae", "sam", "ssim"])
def test_regions_partition_the_image(name: str) -> None:
    metrics = {region: make(name, region=region, pooling="pooled") for region in ("all", "cloudy", "clear")}
    for metric in metrics.values():
        metric.update(GIVEN)
    total, number = (sum(getattr(metrics[region], state) for region in ("cloudy", "clear")) for state in ("total", "number"))
    torch.testing.assert_close(total, metrics["all"].total)
    torch.testing.assert_close(number, metrics["all"].number)


@pytest.mark.parametrize("name", BANDED)
def test_single_bands_are_those_of_single_band_images(name: str) -> None:
    found = value_of(make(name, band_count=4), GIVEN)
    for band in range(4):
        one = slice(band, band + 1)
        single = MetricInput(prediction=GIVEN.prediction[:, one], target=GIVEN.target[:, one], valid_mask=GIVEN.valid_mask)
        torch.testing.assert_close(found[band], value_of(make(name), single), rtol=1e-12, atol=1e-15)
    with pytest.raises(InputError, match="reports 3 bands, got 4"):
        make(name, band_count=3).update(GIVEN)


@pytest.mark.parametrize(("name", "perfect"), [("mae", 0.0), ("rmse", 0.0), ("psnr", float("inf")), ("ssim", 1.0), ("sam", 0.0)])
def test_a_perfect_prediction(name: str, perfect: float) -> None:
    found = value_of(make(name), replace(GIVEN, prediction=GIVEN.target.clone()))
    assert float(found) == pytest.approx(perfect, abs=1e-5)


def test_a_perfect_image_can_count_as_a_given_psnr() -> None:
    given = replace(GIVEN, prediction=torch.cat([GIVEN.target[:3], GIVEN.prediction[3:]]))
    rest = value_of(make("psnr"), part(GIVEN, 3, 6))
    torch.testing.assert_close(value_of(make("psnr", perfect_db=100.0), given), (100 + rest) / 2)


@pytest.mark.parametrize("name", NAMES)
def test_images_without_the_region_are_left_out_and_counted(name: str) -> None:
    assert GIVEN.cloud_mask is not None
    cloud = GIVEN.cloud_mask.clone()
    cloud[:2] = False
    metric = make(name, region="cloudy")
    found = value_of(metric, replace(GIVEN, cloud_mask=cloud))
    torch.testing.assert_close(found, value_of(make(name, region="cloudy"), part(GIVEN, 2, 6)))
    assert int(metric.total_of("skipped")) == 2
    nothing = make(name, region="cloudy")
    assert value_of(nothing, part(replace(GIVEN, cloud_mask=cloud), 0, 2)).isnan()


@pytest.mark.parametrize("pooling", ["image", "batch", "pooled"])
def test_a_zero_vector_is_left_out_alone_and_counted(pooling: str) -> None:
    given = make_batch(2, bands=3, size=(20, 20), masks=False)
    prediction = given.prediction.clone()
    prediction[0, :, 5, 6] = 0
    prediction[1, :, 7, 7:9] = 0
    keep = torch.ones(2, 20, 20, dtype=torch.bool)
    keep[0, 5, 6] = keep[1, 7, 7] = keep[1, 7, 8] = False
    metric = SpectralAngle(pooling=pooling)  # type: ignore[arg-type]
    found = value_of(metric, replace(given, prediction=prediction))
    torch.testing.assert_close(found, value_of(SpectralAngle(pooling=pooling), replace(given, valid_mask=keep)))  # type: ignore[arg-type]
    assert int(metric.total_of("zero_vectors")) == 3
    assert int(metric.total_of("skipped")) == 0


def test_an_image_of_zero_vectors_only_is_reported_as_skipped() -> None:
    suite = build_suite(PRESETS["uncrtaints"], BANDS)
    given = make_batch(2, size=(20, 20), masks=False)
    given.prediction[0] = 0
    suite.update(given)
    found = suite.compute()
    assert int(found["sam_deg_zero_vectors"]) == 400
    assert int(found["sam_deg_skipped"]) == 1
    assert "rmse_skipped" not in found
    torch.testing.assert_close(found["sam_deg"], value_of(SpectralAngle(), part(given, 1, 2)))


def test_batches_pool_their_own_pixels() -> None:
    halves = part(GIVEN, 0, 4), part(GIVEN, 4, 6)
    pooled = [value_of(make("rmse", pooling="pooled"), one) for one in halves]
    torch.testing.assert_close(value_of(make("rmse", pooling="batch"), *halves), (pooled[0] + pooled[1]) / 2)


def test_comparing_with_the_cloudy_image() -> None:
    assert GIVEN.cloudy is not None
    found = value_of(make("mae", region="clear", reference="cloudy"), GIVEN)
    torch.testing.assert_close(found, value_of(make("mae", region="clear"), replace(GIVEN, target=GIVEN.cloudy)))
    with pytest.raises(InputError, match="compares with the cloudy image, got cloudy=None"):
        make("mae", reference="cloudy").update(replace(GIVEN, cloudy=None))


def test_a_window_sees_no_invalid_pixel() -> None:
    """Cutting invalid rows off gives the same as marking them, apart from windows that would reach into them."""
    given = make_batch(1, bands=2, size=(40, 30), masks=False)
    valid = torch.ones(1, 40, 30, dtype=torch.bool)
    valid[:, 25:] = False
    marked = StructuralSimilarity(window=SsimWindow(border="zero"), pooling="pooled")
    marked.update(replace(given, valid_mask=valid, prediction=torch.where(valid.unsqueeze(1), given.prediction, 9.0)))
    inner = valid.clone()
    inner[:, 20:25] = False
    names = ("prediction", "target")
    cut = MetricInput(**{one: getattr(given, one)[..., :25, :] for one in names}, cloud_mask=inner[:, :25])
    counted = StructuralSimilarity(window=SsimWindow(border="zero"), pooling="pooled", region="cloudy")
    counted.update(cut)
    whole = StructuralSimilarity(window=SsimWindow(border="zero"), pooling="pooled", region="cloudy")
    whole.update(replace(given, valid_mask=valid, cloud_mask=inner))
    torch.testing.assert_close(whole.compute(), counted.compute(), rtol=1e-12, atol=0)
    assert 0 < float(marked.compute()) <= 1


def test_float32_images_are_summed_in_double() -> None:
    single = replace(GIVEN, prediction=GIVEN.prediction.float(), target=GIVEN.target.float())
    for name in NAMES:
        found = value_of(make(name), single)
        assert found.dtype == torch.float64
        assert float(found) == pytest.approx(float(value_of(make(name), GIVEN)), rel=1e-5)


@pytest.mark.parametrize("name", ["geocr", "uncrtaints", "dsen2cr"])
def test_a_suite_merges_resets_and_copies(name: str) -> None:
    given = make_batch(4, size=(24, 25))
    whole, first, second, fresh = (build_suite(PRESETS[name], BANDS) for _ in range(4))
    halves = part(given, 0, 2), part(given, 2, 4)
    for half in halves:
        whole.update(half)
    first.update(halves[0])
    second.update(halves[1])
    expected = whole.compute()
    first.merge(second)
    fresh.merge(copy.deepcopy(first))
    again = pickle.loads(pickle.dumps(first))  # noqa: S301 - written a line above
    for suite in (first, fresh, again):
        found = suite.compute()
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            torch.testing.assert_close(found[key], value, rtol=1e-9, atol=1e-9)
    first.reset()
    first.update(given)
    if name != "dsen2cr":  # whose batches are part of its definition
        for key, value in first.compute().items():
            torch.testing.assert_close(value, expected[key], rtol=1e-9, atol=1e-9)
    with pytest.raises(InputError, match="suites to merge must have the same measures"):
        first.merge(build_suite(PRESETS["pmaa"], BANDS))


def test_a_suite_reports_regions_and_bands_on_request() -> None:
    given = make_batch(2, size=(24, 25))
    suite = build_suite(PRESETS["uncrtaints"], BANDS, regions=("all", "cloudy"), per_band=True)
    suite.update(given)
    found = suite.compute()
    prepared = PRESETS["uncrtaints"].preparation.apply(given, BANDS)
    torch.testing.assert_close(found["mae_cloudy"], value_of(make("mae", region="cloudy"), prepared))
    torch.testing.assert_close(found["rmse_B8A"], value_of(make("rmse", band_count=13), prepared)[8])
    torch.testing.assert_close(found["psnr_db_cloudy_B02"], value_of(make("psnr", region="cloudy", band_count=13), prepared)[1])
    assert "mae_clear" not in found
    only = build_suite(PRESETS["geocr"], BANDS, regions=("all",))
    only.update(replace(given, cloud_mask=None, variance=None))
    assert [key for key in only.compute() if "zero_vectors" not in key] == ["psnr_db", "ssim", "sam_deg", "mae", "rmse"]


def test_undoing_a_networks_scale() -> None:
    assert GIVEN.cloudy is not None
    assert GIVEN.variance is not None
    scaled = replace(
        GIVEN, prediction=GIVEN.prediction * 10, target=GIVEN.target * 10, cloudy=GIVEN.cloudy * 10, variance=GIVEN.variance * 100
    )
    back = scaled.unscaled(10)
    for name in ("prediction", "target", "cloudy", "variance"):
        torch.testing.assert_close(getattr(back, name), getattr(GIVEN, name))
    with pytest.raises(InputError, match="scale must be above 0, got 0"):
        GIVEN.unscaled(0)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("prediction", torch.zeros(3, 4, 5), r"`prediction` to be float \(B, C, H, W\)"),
        ("target", torch.zeros(6, 4, 24, 20), r"Expected `target` to be float \(6, 4, 24, 21\) like `prediction`"),
        ("variance", torch.zeros(6, 1, 24, 21), "Expected `variance`"),
        ("cloud_mask", torch.zeros(6, 24, 21), r"`cloud_mask` to be bool \(6, 24, 21\), got torch.float32"),
        ("valid_mask", torch.zeros(6, 1, 24, 21, dtype=torch.bool), r"`valid_mask` to be bool \(6, 24, 21\)"),
    ],
)
def test_wrong_shapes_are_told(field: str, value: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(GIVEN, **{field: value})


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: make("mae", region="sea"), "region of a metric is one of all, cloudy, clear, got 'sea'"),
        (lambda: make("mae", pooling="sum"), "pooling of a metric"),
        (lambda: make("mae", reference="sar"), "reference of a metric"),
        (lambda: make("psnr", peak=0), "peak above 0"),
        (lambda: make("ssim", data_range=-1), "data_range above 0"),
        (lambda: make("sam", unit="grad"), "deg or rad, got 'grad'"),
        (lambda: SsimWindow(size_px=4), "odd size of 3 or more"),
        (lambda: make("mae", region="cloudy").update(replace(GIVEN, cloud_mask=None)), "region 'cloudy' needs a cloud_mask"),
        (
            lambda: make("ssim").update(make_batch(1, bands=2, size=(10, 30))),
            r"window of 11 px needs images at least as large, got \(10, 30\)",
        ),
        (lambda: make("sam").update(make_batch(1, bands=1, size=(20, 20))), "at least two bands, got 1"),
    ],
)
def test_senseless_settings_are_refused(make_it: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_it()


def test_the_smallest_image_of_a_window() -> None:
    assert value_of(make("ssim"), make_batch(1, bands=2, size=(11, 11), masks=False)).isfinite()
