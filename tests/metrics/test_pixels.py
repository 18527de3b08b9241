"""The numpy measures over chosen pixels: the same values as the streaming ones."""

import math

import numpy as np
import pytest
import torch

from geocr.metrics.base import ImageMetric, MetricInput
from geocr.metrics.mae import MeanAbsoluteError
from geocr.metrics.pixels import mae_of, psnr_db, rmse_of, sam_deg
from geocr.metrics.psnr import PeakSignalNoiseRatio
from geocr.metrics.rmse import RootMeanSquaredError
from geocr.metrics.sam import SpectralAngle

PREDICTED, TRUTH = np.random.default_rng(3).random((2, 5, 40)).astype(np.float32)


def streamed(metric: ImageMetric) -> float:
    images = [torch.from_numpy(array).view(1, 5, 8, 5) for array in (PREDICTED, TRUTH)]
    metric.update(MetricInput(prediction=images[0], target=images[1]))
    return float(metric.compute())


def test_values_are_those_of_the_streaming_measures() -> None:
    assert mae_of(PREDICTED, TRUTH) == pytest.approx(streamed(MeanAbsoluteError()), rel=1e-12)
    assert rmse_of(PREDICTED, TRUTH) == pytest.approx(streamed(RootMeanSquaredError()), rel=1e-12)
    assert psnr_db(PREDICTED, TRUTH, peak=2.0) == pytest.approx(streamed(PeakSignalNoiseRatio(peak=2.0)), rel=1e-12)
    assert sam_deg(PREDICTED, TRUTH) == pytest.approx(streamed(SpectralAngle()), rel=1e-12)


def test_without_error() -> None:
    assert psnr_db(TRUTH, TRUTH) == math.inf
    assert rmse_of(TRUTH, TRUTH) == mae_of(TRUTH, TRUTH) == 0


def test_a_zero_vector_counts_as_a_right_angle_unless_both_are_zero() -> None:
    a = np.array([[0, 1, 0], [0, 1, 0]], np.float32)
    b = np.array([[0, 1, 1], [0, 1, 0]], np.float32)
    assert sam_deg(a, b) == pytest.approx((0 + 0 + 90) / 3, abs=1e-5)
