"""Each loss against its equation, written once more in numpy, scipy or by another library."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import correlate
from scipy.stats import multivariate_normal, pearsonr
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from geocr.core.errors import InputError
from geocr.losses.attention_sparsity import AttentionSparsityLoss
from geocr.losses.base import LossInput
from geocr.losses.carl import CarlLoss
from geocr.losses.gnll import GaussianNllLoss
from geocr.losses.l1 import L1Loss
from geocr.losses.l2 import L2Loss
from geocr.losses.mgnll import MultivariateGaussianNllLoss
from geocr.losses.ms_ssim import MsSsimLoss
from geocr.losses.sam import SamLoss
from geocr.losses.smooth_l1 import SmoothL1Loss
from geocr.losses.ssim import SsimLoss
from geocr.losses.structure import StructureLoss
from geocr.losses.weighted import WeightedSum
from tests.losses.cases import make_batch

Array = NDArray[np.float64]


def numpy_of(*tensors: Tensor | None) -> list[Any]:
    return [tensor.numpy() for tensor in tensors if tensor is not None]


def at_valid(image: Array, valid: NDArray[np.bool_]) -> Array:
    """`(n, C)`: spectra of the valid pixels of a batch."""
    return np.moveaxis(image, 1, -1)[valid]


def close(loss: Tensor, expected: float) -> None:
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_pixel_losses_are_means_over_valid_values() -> None:
    given = make_batch()
    mean, target, valid = numpy_of(given.mean, given.target, given.valid_mask)
    error = at_valid(mean - target, valid)
    close(L1Loss()(given), np.abs(error).mean())
    close(L2Loss()(given), (error**2).mean())
    near = np.abs(error) < 0.2
    close(SmoothL1Loss(beta=0.2)(given), np.where(near, error**2 / 0.4, np.abs(error) - 0.1).mean())


@pytest.mark.parametrize("region", ["cloudy", "clear"])
def test_a_region_is_the_mean_over_its_pixels(region: Any) -> None:
    given = make_batch()
    mean, target, valid, cloud = numpy_of(given.mean, given.target, given.valid_mask, given.cloud_mask)
    close(L1Loss(region=region)(given), np.abs(at_valid(mean - target, valid & (cloud == (region == "cloudy")))).mean())


def test_carl_by_its_equation() -> None:
    given = make_batch()
    mean, target, cloudy, valid, cloud = numpy_of(given.mean, given.target, given.cloudy, given.valid_mask, given.cloud_mask)
    kept = np.where(cloud[:, None], np.abs(mean - target), np.abs(mean - cloudy))
    error = at_valid(np.abs(mean - target), valid).mean()
    close(CarlLoss()(given), at_valid(kept, valid).mean() + error)
    close(CarlLoss(weight=0.25)(given), at_valid(kept, valid).mean() + 0.25 * error)


def test_structure_by_scipys_pearson() -> None:
    given = make_batch()
    mean, target, mask, valid = numpy_of(given.mean, given.target, given.structure_mask, given.valid_mask)
    distance = np.mean([1 - pearsonr(mask[i, 0][valid[i]], target[i].mean(0)[valid[i]]).statistic for i in range(2)])
    error = at_valid(np.abs(mean - target), valid).mean()
    close(StructureLoss()(given), 0.9 * error + 0.001 * distance)
    close(StructureLoss(image_weight=0.0, structure_weight=1.0)(given), distance)


def test_a_constant_structure_mask_has_no_correlation_and_no_gradient() -> None:
    given = make_batch()
    mask = torch.full_like(given.mean[:, :1], 0.4, requires_grad=True)
    loss = StructureLoss(image_weight=0.0, structure_weight=1.0)(replace(given, structure_mask=mask))
    close(loss, 1.0)
    (slope,) = torch.autograd.grad(loss, mask)
    assert (slope == 0).all()


def test_a_mask_that_equals_the_brightness_costs_nothing_whatever_its_scale() -> None:
    given = make_batch()
    mask = 0.1 + 0.5 * given.target.mean(dim=1, keepdim=True)
    close(StructureLoss(image_weight=0.0, structure_weight=1.0)(replace(given, structure_mask=mask)), 0.0)


def test_spectral_angle_by_the_arc_cosine() -> None:
    given = make_batch()
    mean, target, valid = numpy_of(given.mean, given.target, given.valid_mask)
    a, b = at_valid(mean, valid), at_valid(target, valid)
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    close(SamLoss()(given), np.arccos(cosine).mean())


def test_a_zero_vector_is_left_out_and_spoils_no_gradient() -> None:
    given = make_batch(invalid=False)
    mean = given.mean.clone()
    mean[0, :, 3, 4] = 0
    loss = SamLoss()(replace(given, mean=mean.requires_grad_()))
    keep = torch.ones_like(given.valid[:, 0])
    keep[0, 3, 4] = False
    close(loss, float(SamLoss()(replace(given, valid_mask=keep))))
    (slope,) = torch.autograd.grad(loss, mean)
    assert slope.isfinite().all()
    with pytest.raises(InputError, match="at least two bands, got 1"):
        SamLoss()(make_batch((1, 1, 5, 5)))


def ssim_map(a: Array, b: Array, seen: Array, *, size: int, sigma: float = 1.5, data_range: float = 1.0) -> tuple[Array, Array]:
    """SSIM and contrast of two single bands; windows see only `seen`, direct two-dimensional correlation."""
    offsets = np.arange(size) - size // 2
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * sigma**2))

    def local(image: Array) -> Array:
        top, bottom = (np.asarray(correlate(x, window, mode="constant"), np.float64) for x in (image * seen, seen))
        return top / np.where(bottom > 0, bottom, 1)

    ma, mb = local(a), local(b)
    va, vb, cov = local(a * a) - ma**2, local(b * b) - mb**2, local(a * b) - ma * mb
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    contrast = (2 * cov + c2) / (va + vb + c2)
    return (2 * ma * mb + c1) / (ma**2 + mb**2 + c1) * contrast, contrast


@pytest.mark.parametrize(("size", "sigma", "data_range"), [(11, 1.5, 1.0), (5, 1.0, 2.0)])
def test_ssim_by_its_equation(size: int, sigma: float, data_range: float) -> None:
    given = make_batch()
    mean, target, valid = numpy_of(given.mean, given.target, given.valid_mask)
    seen = valid.astype(np.float64)
    values = [
        ssim_map(mean[i, c], target[i, c], seen[i], size=size, sigma=sigma, data_range=data_range)[0][valid[i]]
        for i in range(2)
        for c in range(3)
    ]
    close(SsimLoss(window_px=size, sigma_px=sigma, data_range=data_range)(given), 1 - np.concatenate(values).mean())


def test_ssim_with_zeros_beyond_the_border() -> None:
    given = make_batch(invalid=False)
    mean, target = (np.pad(x, ((0, 0), (0, 0), (5, 5), (5, 5))) for x in numpy_of(given.mean, given.target))
    seen = np.ones(mean.shape[-2:])
    inner = (slice(5, -5), slice(5, -5))
    values = [ssim_map(mean[i, c], target[i, c], seen, size=11)[0][inner] for i in range(2) for c in range(3)]
    close(SsimLoss(border="zero")(given), 1 - np.mean(values))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_ssim_agrees_with_torchmetrics_away_from_the_border() -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure

    given = make_batch((2, 3, 40, 37), invalid=False)
    inner = torch.zeros(40, 37, dtype=torch.bool)
    inner[5:-5, 5:-5] = True
    _, whole = structural_similarity_index_measure(given.mean, given.target, data_range=1.0, return_full_image=True)
    reached = SsimLoss().double()
    from geocr.losses.windows import ssim_terms

    similarity, _ = ssim_terms(given.mean, given.target, given.valid.double(), reached.window, 1.0)
    torch.testing.assert_close(similarity[..., inner], whole[..., inner], rtol=1e-9, atol=1e-9)


PUBLISHED_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


@pytest.mark.parametrize(
    ("size", "weights", "options", "sides"),
    [(5, (0.2, 0.5, 0.3), {"weights": (0.2, 0.5, 0.3)}, (29, 30)), (3, PUBLISHED_WEIGHTS, {}, (48, 49))],
    ids=["three scales", "as published"],
)
def test_ms_ssim_by_its_equation(size: int, weights: tuple[float, ...], options: dict[str, Any], sides: tuple[int, int]) -> None:
    given = make_batch((2, 2, *sides))
    mean, target, valid = numpy_of(given.mean, given.target, given.valid_mask)
    losses = []
    for i in range(2):
        a, b, seen, product = mean[i], target[i], valid[i].astype(np.float64), 1.0
        for scale, weight in enumerate(weights):
            if scale:
                a, b, seen = halve(a, seen), halve(b, seen), (halve_plain(seen[None])[0] > 0).astype(np.float64)
            maps = [ssim_map(a[c], b[c], seen, size=size)[0 if scale == len(weights) - 1 else 1][seen > 0] for c in range(2)]
            product *= max(np.mean(maps), 1e-4) ** weight
        losses.append(1 - product)
    close(MsSsimLoss(window_px=size, **options)(given), float(np.mean(losses)))


def halve_plain(image: Array) -> Array:
    rows, cols = (side // 2 * 2 for side in image.shape[1:])
    image = image[:, :rows, :cols]
    return (image[:, ::2, ::2] + image[:, 1::2, ::2] + image[:, ::2, 1::2] + image[:, 1::2, 1::2]) / 4


def halve(image: Array, seen: Array) -> Array:
    share = halve_plain(seen[None])
    return halve_plain(image * seen) / np.where(share > 0, share, 1)


def test_ms_ssim_tells_how_large_an_image_must_be() -> None:
    with pytest.raises(InputError, match=r"5 scales needs sides of at least 176 px, got \(14, 13\); give larger patches"):
        MsSsimLoss()(make_batch())
    assert MsSsimLoss(window_px=3, weights=(0.5, 0.5))(make_batch((1, 2, 6, 6))).isfinite()
    with pytest.raises(InputError, match="at least 6 px"):
        MsSsimLoss(window_px=3, weights=(0.5, 0.5))(make_batch((1, 2, 5, 6)))


def test_gnll_is_torchs_with_its_constant() -> None:
    given = make_batch()
    variance, valid = given.variance, given.valid.expand_as(given.mean)
    assert variance is not None
    expected = torch.nn.GaussianNLLLoss(full=True, eps=1e-8)(given.mean[valid], given.target[valid], variance[valid])
    close(GaussianNllLoss()(given), float(expected))


def test_mgnll_is_scipys_multivariate_normal() -> None:
    given = make_batch()
    mean, target, variance, valid = numpy_of(given.mean, given.target, given.variance, given.valid_mask)
    spectra = [at_valid(image, valid) for image in (target, mean, variance)]
    close(
        MultivariateGaussianNllLoss()(given),
        -np.mean([multivariate_normal.logpdf(y, m, np.diag(v)) for y, m, v in zip(*spectra, strict=True)]),
    )
    iso = variance[:, :1]
    expected = -np.mean(
        [multivariate_normal.logpdf(y, m, v[0] * np.eye(3)) for y, m, v in zip(*spectra[:2], at_valid(iso, valid), strict=True)]
    )
    for spread in (iso, np.repeat(iso, 3, axis=1)):
        close(MultivariateGaussianNllLoss(covariance="iso")(replace(given, variance=torch.from_numpy(spread))), float(expected))


def test_a_diagonal_mgnll_is_gnll_times_the_bands() -> None:
    given = make_batch((2, 5, 9, 8))
    close(MultivariateGaussianNllLoss()(given), 5 * float(GaussianNllLoss()(given)))


def test_likelihoods_floor_the_variance() -> None:
    given = make_batch()
    tiny = torch.full_like(given.mean, 1e-12)
    floored = torch.full_like(given.mean, 1e-4)
    loss = GaussianNllLoss(variance_floor=1e-4)
    close(loss(replace(given, variance=tiny)), float(loss(replace(given, variance=floored))))
    with pytest.raises(InputError, match="variance_floor above 0, got 0"):
        GaussianNllLoss(variance_floor=0)


def test_a_variance_below_the_floor_has_the_gradient_of_the_floor() -> None:
    """So it can grow again: a clamp would give it none."""
    zero = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    variance = (zero + 1e-12).requires_grad_()
    (slope,) = torch.autograd.grad(
        GaussianNllLoss(variance_floor=1e-4)(LossInput(mean=zero + 0.5, target=zero, variance=variance)), variance
    )
    assert float(slope) == pytest.approx(0.5 * (1 / 1e-4 - 0.25 / 1e-8))


def test_defaults_are_the_published_ones() -> None:
    """Each seen in a value: an error of 0.8 lies in the square of smooth L1, variances of 1e-7 and 1e-9 beside the floor of 1e-8."""
    zero = torch.zeros(1, 2, 1, 1, dtype=torch.float64)
    given = LossInput(mean=zero + 0.8, target=zero)
    close(SmoothL1Loss()(given), 0.32)
    for loss, bands in ((GaussianNllLoss(), 1), (MultivariateGaussianNllLoss(), 2)):
        for variance, counted in ((1e-7, 1e-7), (1e-9, 1e-8)):
            expected = 0.5 * bands * (np.log(counted) + 1e-6 / counted + np.log(2 * np.pi))
            close(loss(replace(given, mean=zero + 1e-3, variance=zero + variance)), expected)


def test_a_faint_structure_mask_is_still_compared() -> None:
    """Only what is constant has no correlation: a mask whose deviation is a millionth of the target's has."""
    given = make_batch()
    mask = 0.4 + 1e-6 * given.target.mean(dim=1, keepdim=True)
    loss = StructureLoss(image_weight=0.0, structure_weight=1.0)(replace(given, structure_mask=mask))
    assert float(loss) == pytest.approx(0.0, abs=1e-6)


class LargestTensor(TorchDispatchMode):
    """Values of the largest tensor that any operation returns."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for one in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(one, Tensor):
                self.largest = max(self.largest, one.numel())
        return result


@pytest.mark.parametrize("covariance", ["diag", "iso"])
def test_mgnll_never_builds_a_matrix_per_pixel(covariance: Any) -> None:
    given = make_batch((1, 13, 32, 32))
    mean = given.mean.clone().requires_grad_()
    with LargestTensor() as watch:
        MultivariateGaussianNllLoss(covariance=covariance)(replace(given, mean=mean)).backward()
    assert watch.largest == 13 * 32 * 32


def test_attention_sparsity_is_the_mean_of_the_map_where_it_is_valid() -> None:
    given = make_batch()
    attention = 0.1 + torch.rand(2, 1, 1, 14, 13, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    valid = given.valid[:, :, None]
    expected = np.mean([float(attention[i][valid[i]].mean()) for i in range(2)])
    spoilt = torch.where(valid, attention, torch.nan).requires_grad_()
    loss = AttentionSparsityLoss()(replace(given, attention=spoilt))
    close(loss, expected)
    (slope,) = torch.autograd.grad(loss, spoilt)
    assert (slope[valid] > 0).all()
    assert (slope[~valid] == 0).all()


def test_attention_on_a_coarser_grid_counts_where_a_pixel_of_its_cell_is_valid() -> None:
    valid = torch.zeros(1, 4, 6, dtype=torch.bool)
    valid[0, 1, 5] = True
    given = replace(make_batch((1, 3, 4, 6)), valid_mask=valid, attention=torch.arange(1.0, 13.0).view(1, 2, 1, 2, 3))
    close(AttentionSparsityLoss()(given), (3 + 9) / 2)  # two maps, one cell of each


def test_a_weighted_sum_adds_its_parts() -> None:
    given = make_batch()
    loss = WeightedSum({"l1": (100.0, L1Loss()), "ssim": (10.0, SsimLoss()), "carl": (0.5, CarlLoss())})
    parts = loss.parts(given)
    assert list(parts) == ["l1", "ssim", "carl"]
    close(loss(given), 100 * float(parts["l1"]) + 10 * float(parts["ssim"]) + 0.5 * float(parts["carl"]))
    assert loss.required() == {"cloudy", "cloud_mask"}
    with pytest.raises(InputError, match="at least one term"):
        WeightedSum({})
    with pytest.raises(InputError, match=r"finite numbers, got \{'l1': nan\}"):
        WeightedSum({"l1": (float("nan"), L1Loss())})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L1Loss(region="sea"), "region all, cloudy or clear, got 'sea'"),
        (lambda: SmoothL1Loss(beta=0), "beta above 0, got 0"),
        (lambda: CarlLoss(weight=-1), "weight of 0 or more"),
        (lambda: SsimLoss(window_px=4), "odd size"),
        (lambda: SsimLoss(data_range=0), "data_range above 0"),
        (lambda: SsimLoss(border="mirror"), "`nothing` or `zero`, got 'mirror'"),
        (lambda: MsSsimLoss(weights=()), "weights above 0"),
        (lambda: MsSsimLoss(data_range=-1), "data_range above 0"),
        (lambda: MultivariateGaussianNllLoss(covariance="full"), "diag or iso, got 'full'"),
    ],
)
def test_senseless_settings_are_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_golden_values() -> None:
    """Values of today on a fixed batch: a change of any is a change of what training minimises."""
    given = make_batch((2, 4, 24, 24), seed=5)
    got = {
        "l1": L1Loss(),
        "l2": L2Loss(),
        "smooth_l1": SmoothL1Loss(beta=0.1),
        "carl": CarlLoss(),
        "structure": StructureLoss(),
        "ssim": SsimLoss(),
        "ms_ssim": MsSsimLoss(window_px=3, weights=(0.3, 0.4, 0.3)),
        "sam": SamLoss(),
        "gnll": GaussianNllLoss(),
        "mgnll": MultivariateGaussianNllLoss(),
    }
    assert {name: round(float(loss(given)), 9) for name, loss in got.items()} == GOLDEN


GOLDEN = {
    "l1": 0.263440436,
    "l2": 0.104677457,
    "smooth_l1": 0.21765817,
    "carl": 0.528098294,
    "structure": 0.238054089,
    "ssim": 0.974232986,
    "ms_ssim": 0.993989887,
    "sam": 0.509365537,
    "gnll": 0.660065956,
    "mgnll": 2.640263823,
}
