"""The same numbers as torchmetrics, where it has the measure."""

import torch
from torchmetrics.functional.image import peak_signal_noise_ratio, spectral_angle_mapper, structural_similarity_index_measure
from torchmetrics.functional.regression import mean_absolute_error, mean_squared_error

from geocr.metrics.base import ImageMetric
from geocr.metrics.mae import MeanAbsoluteError
from geocr.metrics.psnr import PeakSignalNoiseRatio
from geocr.metrics.rmse import RootMeanSquaredError
from geocr.metrics.sam import SpectralAngle
from geocr.metrics.ssim import StructuralSimilarity
from tests.metrics.cases import make_batch

GIVEN = make_batch(3, bands=4, size=(33, 36), masks=False)


def pooled(metric: ImageMetric) -> torch.Tensor:
    metric.update(GIVEN)
    return metric.compute()


def test_pooled_errors() -> None:
    flat = GIVEN.prediction.flatten(), GIVEN.target.flatten()
    torch.testing.assert_close(pooled(MeanAbsoluteError(pooling="pooled")), mean_absolute_error(*flat))
    torch.testing.assert_close(pooled(RootMeanSquaredError(pooling="pooled")), mean_squared_error(*flat, squared=False))


def test_psnr_pooled_and_per_image() -> None:
    torch.testing.assert_close(
        pooled(PeakSignalNoiseRatio(pooling="pooled", peak=2.0)),
        peak_signal_noise_ratio(GIVEN.prediction, GIVEN.target, data_range=2.0),
        check_dtype=False,
        rtol=1e-6,
        atol=0,
    )
    per_image = peak_signal_noise_ratio(GIVEN.prediction, GIVEN.target, data_range=1.0, dim=(1, 2, 3))
    torch.testing.assert_close(pooled(PeakSignalNoiseRatio()), per_image, check_dtype=False, rtol=1e-6, atol=0)


def test_spectral_angle() -> None:
    torch.testing.assert_close(pooled(SpectralAngle(unit="rad")), spectral_angle_mapper(GIVEN.prediction, GIVEN.target))


def test_ssim_is_torchmetrics_map_inside() -> None:
    _, whole = structural_similarity_index_measure(GIVEN.prediction, GIVEN.target, data_range=1.0, return_full_image=True)
    torch.testing.assert_close(pooled(StructuralSimilarity()), whole[..., 5:-5, 5:-5].mean(), rtol=1e-9, atol=0)
