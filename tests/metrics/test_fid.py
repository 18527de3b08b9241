"""FID on weights made here: against its formula, merged, and with files that are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy import linalg
from torch import Tensor
from torchvision.models import inception_v3

from geocr.core.errors import CheckpointError, InputError
from geocr.metrics.base import MetricInput
from geocr.metrics.fid import IMAGENET_MEAN, IMAGENET_STD, FrechetInceptionDistance, InceptionFeatures
from tests.metrics.cases import make_batch, part

SMALL = {"resize_px": 80, "crop_px": 75}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn weights, with auxiliary classifier as in torchvision's file and without counters as in old ones.

    By torch's own start each layer halves its values, and the features of any picture are next to 0; by He's they keep their size.
    """
    path = tmp_path_factory.mktemp("weights") / "inception.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(4)
        network = inception_v3(weights=None, aux_logits=True, init_weights=False)
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        state = network.state_dict()
    save_file({name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}, path)
    return path


GIVEN = make_batch(6, size=(40, 44))


def features_of(weights: Path, pictures: Tensor, layer: str) -> np.ndarray:
    """torchvision's network fed by hand."""
    from safetensors.torch import load_file
    from torchvision.transforms.functional import center_crop, normalize, resize

    network = inception_v3(weights=None, aux_logits=True, init_weights=False).eval()
    network.load_state_dict(load_file(weights), strict=False)
    if layer == "pool":
        network.fc = torch.nn.Identity()
    shown = center_crop(resize(pictures.float(), [80, 80], antialias=True), [75, 75])
    with torch.no_grad():
        return np.asarray(network(normalize(shown, list(IMAGENET_MEAN), list(IMAGENET_STD))), np.float64)


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    covariances = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values = linalg.eigvals(covariances[0] @ covariances[1])
    mixed = np.sqrt(values.astype(complex)).real.sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * mixed)


def test_value_by_its_formula(weights: Path) -> None:
    metric = FrechetInceptionDistance(weights=weights, layer="logits", white=0.5, **SMALL)
    metric.update(GIVEN)
    shown = [torch.where(GIVEN.valid, one[:, [3, 2, 1]] / 0.5, 0.0).clamp(0, 1) for one in (GIVEN.target, GIVEN.prediction)]
    expected = frechet(*(features_of(weights, one, "logits") for one in shown))
    assert expected > 0
    assert float(metric.compute()) == pytest.approx(expected, rel=1e-3)


def test_units_and_sizes_are_those_of_torchvisions_weights() -> None:
    from torchvision.models import Inception_V3_Weights

    units = Inception_V3_Weights.IMAGENET1K_V1.transforms()
    assert (list(IMAGENET_MEAN), list(IMAGENET_STD)) == (units.mean, units.std)
    assert (units.resize_size, units.crop_size) == ([342], [299])  # what SAR2Optical takes, and docs/metrics.md names


def test_pooled_features_are_torchvisions(weights: Path) -> None:
    network = InceptionFeatures(weights, **SMALL)
    pictures = torch.rand(2, 3, 33, 330, generator=torch.Generator().manual_seed(2))
    found = network.train()(pictures)
    assert found.shape == (2, 2048)
    assert not network.network.training
    np.testing.assert_allclose(found.numpy(), features_of(weights, pictures, "pool"), rtol=1e-3, atol=1e-5)


def test_merged_halves_are_the_whole(weights: Path) -> None:
    whole, first, second = (FrechetInceptionDistance(weights=weights, layer="logits", **SMALL) for _ in range(3))
    halves = part(GIVEN, 0, 4), part(GIVEN, 4, 6)
    for half in halves:
        whole.update(half)
    first.update(halves[0])
    first.compute()
    second.update(halves[1])
    first.merge_state(second)
    torch.testing.assert_close(first.real_features_cov_sum, whole.real_features_cov_sum, rtol=1e-9, atol=1e-9)
    assert float(first.compute()) == pytest.approx(float(whole.compute()), rel=1e-6, abs=1e-9)


def test_invalid_pixels_and_images_do_not_count(weights: Path) -> None:
    metrics = [FrechetInceptionDistance(weights=weights, layer="logits", **SMALL) for _ in range(2)]
    spoil = torch.tensor(torch.nan).double()
    spoilt = {n: torch.where(GIVEN.valid, getattr(GIVEN, n), spoil) for n in ("prediction", "target")}
    metrics[0].update(GIVEN)
    metrics[1].update(MetricInput(**spoilt, valid_mask=GIVEN.valid_mask))
    metrics[1].update(MetricInput(**spoilt, valid_mask=torch.zeros_like(GIVEN.valid[:, 0])))
    assert torch.equal(metrics[0].compute(), metrics[1].compute())


def test_what_is_refused(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="must exist"):
        FrechetInceptionDistance(weights=tmp_path / "none.pth")
    torch.save({"Mixed_5b.branch1x1.conv.weight": torch.zeros(64, 192, 1, 1)}, tmp_path / "other.pth")
    with pytest.raises(
        CheckpointError, match=r"Conv2d_1a_3x3.conv.weight is missing; .* and \d+ more; give the state dict of torchvision's"
    ):
        FrechetInceptionDistance(weights=tmp_path / "other.pth")
    for arguments, message in (({"crop_px": 74}, "75 <= crop_px"), ({"layer": "mixed"}, "pool or logits")):
        with pytest.raises(InputError, match=message):
            InceptionFeatures(weights, **arguments)  # type: ignore[arg-type]
    for arguments, message in (({"white": 0}, "`white` above 0"), ({"channels": (1, 2)}, "three band indices")):
        with pytest.raises(InputError, match=message):
            FrechetInceptionDistance(weights=weights, **arguments)  # type: ignore[arg-type]
    metric = FrechetInceptionDistance(weights=weights, layer="logits", **SMALL)
    metric.update(part(GIVEN, 0, 1))
    with pytest.raises(InputError, match="at least two images, got 1"):
        metric.compute()
    with pytest.raises(InputError, match="reads bands"):
        metric.update(make_batch(1, bands=3, size=(20, 20)))
