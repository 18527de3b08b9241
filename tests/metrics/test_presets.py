"""Every preset against its definition, on invented and on real images."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch

from geocr.core.errors import BandError, RegistryError
from geocr.metrics import METRICS
from geocr.metrics.base import MetricInput
from geocr.metrics.presets import PRESETS, find_preset
from geocr.metrics.suite import build_suite
from tests.metrics import definitions
from tests.metrics.cases import BANDS, make_batch, part

PUBLISHED = tuple(name for name in PRESETS if name != "geocr")


def measured(name: str, batches: list[MetricInput]) -> dict[str, float]:
    suite = build_suite(PRESETS[name], BANDS)
    for batch in batches:
        suite.update(batch)
    found = {key: float(value) for key, value in suite.compute().items()}
    return {key: value for key, value in found.items() if "zero_vectors" not in key and "calibration" not in key and "skipped" not in key}


def as_images(given: MetricInput) -> list[dict[str, Any]]:
    names = ("prediction", "target", "cloudy", "cloud_mask", "valid_mask")
    arrays = {name: getattr(given, name).numpy() for name in names if getattr(given, name) is not None}
    return [{name: array[i] for name, array in arrays.items()} for i in range(len(given.target))]


def compare(name: str, given: MetricInput) -> None:
    expected = getattr(definitions, name)(as_images(given))
    batches = [given] if name == "dsen2cr" else [part(given, i, i + 1) for i in range(len(given.target))]
    found = measured(name, batches)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-6, abs=1e-6), key


def test_each_published_preset_has_a_definition_here() -> None:
    assert set(PUBLISHED) == {"uncrtaints", "sen12mscrts", "glfcr", "dsen2cr", "allclear", "attention_gan", "pmaa"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_preset_is_its_definition(name: str) -> None:
    given = make_batch(masks=name == "allclear")
    given.target[0, :, 3, 4] = 1.3  # loaders clip it
    compare(name, given)


def test_an_image_without_error_counts_100_db_in_glfcr() -> None:
    given = make_batch(2, masks=False)
    given.prediction[0] = given.target[0]
    compare("glfcr", given)


def test_uncrtaints_calibrates_signed_means_of_images_in_its_own_bins() -> None:
    given = make_batch(30, size=(16, 17), masks=False)
    given = replace(given, variance=torch.linspace(0.2, 3, 30).view(-1, 1, 1, 1) * given.variance)
    suite = build_suite(PRESETS["uncrtaints"], BANDS)
    suite.update(given)
    found = suite.compute()
    variances, errors = (image.mean(dim=(1, 2, 3)).numpy() for image in (given.variance, given.prediction - given.target))
    expected = definitions.calibration_as_published(variances, errors)
    assert (float(found["calibration_uce"]), float(found["calibration_auce"])) == pytest.approx(expected, rel=1e-9)
    assert definitions.calibration_in_equal_bins(variances, errors) != pytest.approx(expected, rel=1e-3)


@pytest.fixture(scope="module")
def triplets(real_data: Path) -> MetricInput:
    """Twelve real triplets, 160 x 161 px of each to be quick; half way between cloudy and clear stands in for a prediction."""
    folder = real_data / "sen12mscr_triplets"
    images = {}
    for name in ("s2_cloudfree", "s2_cloudy"):
        arrays = []
        for path in sorted((folder / name).glob("*.tif")):
            with rasterio.open(path) as dataset:
                arrays.append(dataset.read()[:, 40:200, 50:211])
        images[name] = torch.from_numpy(np.stack(arrays).astype(np.float64) / 1e4)
    cloudy, clear = images["s2_cloudy"], images["s2_cloudfree"]
    cloud = cloudy[:, 1] > 0.2
    valid = clear[:, 1] < clear[:, 1].flatten(1).median(dim=1).values.view(-1, 1, 1)
    return MetricInput(prediction=(cloudy + clear) / 2, target=clear, cloudy=cloudy, cloud_mask=cloud, valid_mask=valid)


@pytest.mark.real_data
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_preset_is_its_definition_on_real_triplets(triplets: MetricInput, name: str) -> None:
    assert len(triplets.target) == 12
    valid = triplets.valid_mask if name == "allclear" else None
    compare(
        name,
        MetricInput(
            prediction=triplets.prediction, target=triplets.target, cloudy=triplets.cloudy, cloud_mask=triplets.cloud_mask, valid_mask=valid
        ),
    )


def test_presets_differ_on_the_same_images() -> None:
    given = make_batch(masks=False)
    found = {name: measured(name, [given]) for name in PUBLISHED}
    assert found["dsen2cr"]["mae"] == pytest.approx(5 * found["uncrtaints"]["mae"])
    assert found["sen12mscrts"]["sam_rad"] == pytest.approx(np.radians(found["uncrtaints"]["sam_deg"]))
    for one, other in (("uncrtaints", "glfcr"), ("uncrtaints", "dsen2cr"), ("uncrtaints", "attention_gan"), ("attention_gan", "pmaa")):
        assert abs(found[one]["ssim"] - found[other]["ssim"]) > 1e-3, (one, other)


def test_presets_name_metrics_of_the_table_and_their_sources() -> None:
    for name, preset in PRESETS.items():
        assert preset.name == name
        assert preset.source
        assert all(measure.metric in METRICS for measure in preset.measures)
        assert len({measure.key for measure in preset.measures}) == len(preset.measures)


def test_unknown_presets_and_missing_bands_are_told() -> None:
    assert find_preset("glfcr") is PRESETS["glfcr"]
    with pytest.raises(RegistryError, match=r"metric presets are geocr, uncrtaints, .*; got 'uncertain'"):
        find_preset("uncertain")
    with pytest.raises(BandError, match="pmaa measure B04, B03, B02, got images of B02, B08"):
        build_suite(PRESETS["pmaa"], ("B02", "B08"))
