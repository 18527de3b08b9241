"""Scenes of fields held in memory: their reflectance is partly told by their backscatter, and partly by where they lie."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import ndimage

from geocr.core.types import BoolArray, FloatArray, Reconstruction, TileInput, Window
from geocr.scenefit import SceneFit


@dataclass(frozen=True, eq=False)
class ArraySource:
    optical: FloatArray
    sar: FloatArray
    cloud: BoolArray

    @property
    def shape(self) -> tuple[int, int]:
        return self.cloud.shape[0], self.cloud.shape[1]

    def read(self, window: Window) -> TileInput:
        rows, cols = slice(window.row, window.row_stop), slice(window.col, window.col_stop)
        optical = self.optical[:, rows, cols]
        return TileInput(
            window=window,
            optical=optical,
            sar=self.sar[:, rows, cols],
            cloud_mask=self.cloud[rows, cols],
            valid=np.logical_or.reduce(np.isfinite(optical), axis=0),
        )

    def whole(self) -> TileInput:
        return self.read(Window(row=0, col=0, height=self.shape[0], width=self.shape[1]))


def smooth_noise(shape: tuple[int, int], sigma: float, seed: int) -> FloatArray:
    field = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), sigma)
    return np.asarray((field - field.mean()) / field.std(), np.float32)


def cloud_shapes(shape: tuple[int, int], share: float, seed: int, size: float = 24.0) -> BoolArray:
    """Blobs that cover exactly `share`."""
    octaves = ((1.0, 1.0), (0.5, 0.5), (0.25, 0.25))
    field = sum(weight * smooth_noise(shape, size * scale, seed + i) for i, (scale, weight) in enumerate(octaves))
    return np.asarray(field > np.quantile(np.asarray(field), 1 - share))


def field_scene(
    shape: tuple[int, int] = (330, 300), *, bands: int = 4, sar_bands: int = 2, seed: int = 0, cloud: float = 0.3
) -> tuple[ArraySource, FloatArray]:
    """A scene whose clouds are as bright as 1, and its truth, `(bands, h, w)`."""
    rng = np.random.default_rng(seed)
    parcel = np.kron(rng.integers(0, 5, (-(-shape[0] // 22), -(-shape[1] // 17))), np.ones((22, 17), int))[: shape[0], : shape[1]]
    crops = rng.uniform(0.05, 0.45, (5, bands)).astype(np.float32)
    backscatter = rng.uniform(-22, -8, (5, 2)).astype(np.float32)
    trend = 0.03 * smooth_noise(shape, 80, seed + 10)
    truth = crops[parcel].transpose(2, 0, 1) + trend + 0.01 * rng.standard_normal((bands, *shape)).astype(np.float32)
    sar = (backscatter[parcel].transpose(2, 0, 1) + 2.0 * rng.standard_normal((2, *shape)))[:sar_bands].astype(np.float32)
    mask = cloud_shapes(shape, cloud, seed + 20)
    return ArraySource(np.where(mask, np.float32(1), truth).astype(np.float32), sar, mask), truth.astype(np.float32)


def fill_tiled(fit: SceneFit, source: ArraySource, row_edges: list[int], col_edges: list[int]) -> Reconstruction:
    """Reconstruct between the given edges, a tile each, with the halo the fit asks for."""
    mean, std = np.full_like(source.optical, np.nan), np.full_like(source.optical, np.nan)
    for top, bottom in pairwise(row_edges):
        for left, right in pairwise(col_edges):
            core = Window(row=top, col=left, height=bottom - top, width=right - left)
            window = core.grown(fit.halo_px, source.shape)
            part = fit(source.read(window))
            assert part.std is not None
            inner, outer = core.slices_in(window), (slice(top, bottom), slice(left, right))
            mean[:, *outer], std[:, *outer] = part.mean[:, *inner], part.std[:, *inner]
    return Reconstruction(mean=mean, std=std)
