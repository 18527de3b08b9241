"""Errors over a set of pixels, in reflectance.

Each takes predictions and truth as `(band, n)` arrays of the pixels that count, so that masks are applied
once and by the caller.
"""

import numpy as np

from geocr.core.types import FloatArray


def psnr_db(predicted: FloatArray, truth: FloatArray, *, peak: float = 1.0) -> float:
    """Peak signal-to-noise ratio over all bands and pixels: 20 log10(peak / RMSE); infinite without error."""
    rmse = rmse_of(predicted, truth)
    return float("inf") if rmse == 0 else float(20 * np.log10(peak / rmse))


def rmse_of(predicted: FloatArray, truth: FloatArray) -> float:
    """Root mean squared error over all bands and pixels."""
    return float(np.sqrt(np.mean((predicted.astype(np.float64) - truth) ** 2)))


def mae_of(predicted: FloatArray, truth: FloatArray) -> float:
    """Mean absolute error over all bands and pixels."""
    return float(np.mean(np.abs(predicted.astype(np.float64) - truth)))


def sam_deg(predicted: FloatArray, truth: FloatArray) -> float:
    """Mean spectral angle in degrees (Kruse et al. 1993, doi:10.1016/0034-4257(93)90013-N).

    A zero vector has no angle; such a pixel counts as 90 degrees off unless both are zero, so that it can not
    silently drop out of the mean.
    """
    a, b = predicted.astype(np.float64), truth.astype(np.float64)
    lengths = np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0)
    dot = (a * b).sum(axis=0)
    cosine = np.divide(dot, lengths, out=np.zeros_like(dot), where=lengths > 0)
    angles = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    both_zero = (np.abs(a).sum(axis=0) == 0) & (np.abs(b).sum(axis=0) == 0)
    return float(np.where(both_zero, 0.0, angles).mean())
