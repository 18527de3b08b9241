"""Units of the fit: SAR clipped and standardised, reflectance as principal components, both from a sample of the scene."""

from dataclasses import dataclass

import numpy as np
import torch

from geocr.core.types import BoolArray, FloatArray, TileInput

_COMPONENTS = 6
"""Of 13 Sentinel-2 bands, six components hold 99.6 % of the variance of the farmland scene of `benchmarks/scenefit_quality.py`."""
_LEAST_VARIANCE = 1e-6
"""Relative to the first component's; below that a component is rounding noise (of a constant band, say)."""
_CLIP_PERCENT = (0.5, 99.5)
"""Corner reflectors reach +25 dB; one such pixel would outweigh a whole field in every average around it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scaling:
    """Maps a scene's pixels to numbers near one, and components back to reflectance."""

    live: tuple[int, ...]
    """Bands that were observed anywhere in the sample; the others are nodata all over and are left alone."""
    sar_low: FloatArray
    """`(sar bands,)` dB, values below are clipped."""
    sar_high: FloatArray
    """`(sar bands,)` dB, values above are clipped."""
    sar_mean: FloatArray
    """`(sar bands,)` dB."""
    sar_std: FloatArray
    """`(sar bands,)` dB, positive."""
    optical_mean: FloatArray
    """`(live bands,)` reflectance."""
    to_components: FloatArray
    """`(components, live bands)`: reflectance above the mean, to components of unit variance."""
    to_reflectance: FloatArray
    """`(live bands, components)`: and back."""

    def clear(self, tile: TileInput) -> BoolArray:
        """`(h, w)`, True where a pixel may be learnt from: not cloudy, and observed in every live band."""
        clear: BoolArray = complete_pixels(tile.optical[list(self.live)]) & ~tile.cloud_mask
        return clear

    def sar(self, sar: FloatArray) -> FloatArray:
        """Clipped, standardised backscatter of the same shape; NaN stays."""
        column = np.s_[:, None, None]
        clipped = np.clip(sar, self.sar_low[column], self.sar_high[column])
        out: FloatArray = (clipped - self.sar_mean[column]) / self.sar_std[column]
        return out

    def components(self, weighted: FloatArray, weight: FloatArray) -> FloatArray:
        """Components of pixel sums.

        Args:
            weighted: `(live bands, h, w)` reflectance times weight.
            weight: `(h, w)`.

        Returns:
            `(components, h, w)` float32 components times weight. Summed band by band in a fixed order: a matrix product
            might round differently in windows of different size.
        """
        out = np.zeros((self.to_components.shape[0], *weight.shape), np.float32)
        for band, values in enumerate(weighted):
            centred = values - self.optical_mean[band] * weight
            for component, factor in enumerate(self.to_components[:, band]):
                out[component] += factor * centred
        return out


def complete_pixels(optical: FloatArray) -> BoolArray:
    """`(h, w)`, True where `(bands, h, w)` is finite in every band."""
    complete: BoolArray = np.logical_and.reduce(np.isfinite(optical), axis=0)
    return complete


def measure_scaling(optical: FloatArray, sar: FloatArray, live: tuple[int, ...]) -> Scaling:
    """Statistics of sampled pixels.

    Args:
        optical: `(live bands, n)` float32 reflectance of clear pixels, finite.
        sar: `(sar bands, m)` float32 dB of any pixels, finite; `m` may be 0.
        live: Numbers of the live bands among the scene's.

    Returns:
        The scene's scaling.
    """
    mean = optical.mean(axis=1, dtype=np.float64)
    centred = torch.from_numpy(optical - mean[:, None])
    decomposed = torch.linalg.eigh(centred @ centred.T / optical.shape[1])
    values, vectors = decomposed.eigenvalues.numpy(), decomposed.eigenvectors.numpy()
    order = np.argsort(values)[::-1][:_COMPONENTS]
    order = order[values[order] >= _LEAST_VARIANCE * values[order[0]]]
    spread = np.sqrt(np.maximum(values[order], 1e-12))
    basis = vectors[:, order]
    basis = basis * np.where(basis.sum(axis=0) < 0, -1.0, 1.0)
    if sar.shape[1] == 0:
        low = centre = np.zeros(sar.shape[0])
        high = width = np.ones(sar.shape[0])
    else:
        low, high = np.percentile(sar, _CLIP_PERCENT, axis=1)
        clipped = np.clip(sar, low[:, None], high[:, None])
        centre, width = clipped.mean(axis=1), np.maximum(clipped.std(axis=1), 1e-3)
    return Scaling(
        live=live,
        sar_low=low.astype(np.float32),
        sar_high=high.astype(np.float32),
        sar_mean=centre.astype(np.float32),
        sar_std=width.astype(np.float32),
        optical_mean=mean.astype(np.float32),
        to_components=(basis / spread).T.astype(np.float32),
        to_reflectance=(basis * spread).astype(np.float32),
    )
