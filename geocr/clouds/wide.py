"""Clouds over scenes too large for memory: one field, kept at low resolution and refined as strips of rows are asked for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geocr.clouds.synthesize import (
    CloudField,
    CloudSpec,
    fractal_noise,
    level_reaching,
    shadow_loss,
    shadow_offset_px,
    thick_depth,
    thick_noise,
    thin_depth,
)
from geocr.core.types import FloatArray, Window

_COARSE_SIDE = 1400
"""Most pixels along a side of the low-resolution cloud field."""
_LEVEL_SAMPLES = 8_000_000
"""About how many pixels the cloud levels are set on; the cover is met to about 0.1 % of the scene."""

Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WideClouds:
    """A cloud field for any rows of a large scene."""

    shape: tuple[int, int]
    """`(rows, columns)` of the scene."""
    factor: int
    """Scene pixels along a side of a coarse pixel."""
    margin: int
    """Pixels by which the coarse fields reach beyond the scene on each side."""
    coarse: tuple[FloatArray, FloatArray, FloatArray]
    """Noise of thick cloud, cirrus and haze at low resolution."""
    detail: FloatArray
    """Fine noise added to thick cloud, repeated by mirroring."""
    levels: tuple[float, float, float]
    """Noise above these is thick cloud, cirrus, haze."""
    shadow_px: tuple[int, int]
    """Rows and columns from a cloud to its shadow."""

    def noise(self, kind: int, rows: Index, cols: Index) -> FloatArray:
        """Noise of one kind (0 thick, 1 cirrus, 2 haze) at `rows` x `cols`, float32."""
        coarse = self.coarse[kind]
        upper, down = np.divmod((rows + self.margin) / self.factor, 1)
        left, right = np.divmod((cols + self.margin) / self.factor, 1)
        i, j = upper.astype(np.intp), left.astype(np.intp)
        down, right = down.astype(np.float32)[:, None], right.astype(np.float32)
        lines = coarse[i] * (1 - down) + coarse[i + 1] * down
        out: FloatArray = lines[:, j] * (1 - right) + lines[:, j + 1] * right
        if kind == 0:
            out += self.detail[mirrored(rows, self.detail.shape[0])[:, None], mirrored(cols, self.detail.shape[1])]
        return out

    def strip(self, row: int, height: int) -> CloudField:
        """The clouds of some rows of the scene, `(height, columns)`."""
        return self.at(Window(row=row, col=0, height=height, width=self.shape[1]))

    def at(self, window: Window) -> CloudField:
        """The clouds of a window of the scene, `(height, width)`; the same however the scene is cut."""
        rows, cols = np.arange(window.row, window.row_stop), np.arange(window.col, window.col_stop)
        depth = thick_depth(self.noise(0, rows, cols) - np.float32(self.levels[0]))
        cirrus = thin_depth(self.noise(1, rows, cols) - np.float32(self.levels[1]), strongest=1.6)
        haze = thin_depth(self.noise(2, rows, cols) - np.float32(self.levels[2]), strongest=1.1)
        caster = self.noise(0, rows - self.shadow_px[0], cols - self.shadow_px[1])
        shadow = shadow_loss(thick_depth(caster - np.float32(self.levels[0])))
        cloud = (depth > 0) | (cirrus > 0) | (haze > 0)
        return CloudField(
            thick=depth,
            cirrus=cirrus,
            haze=haze,
            relief=np.ones_like(depth),
            shadow=shadow,
            cloud_mask=cloud,
            shadow_mask=(shadow > 0) & ~cloud,
        )


def mirrored(index: Index, size: int) -> Index:
    """Index into a block of `size` repeated forwards and backwards in turn; the index may be negative."""
    folded = np.mod(index, 2 * size)
    out: Index = np.where(folded < size, folded, 2 * size - 1 - folded)
    return out


def make_wide_clouds(
    shape: tuple[int, int],
    *,
    spec: CloudSpec,
    rng: np.random.Generator,
    sun_zenith_deg: float,
    sun_azimuth_deg: float,
    pixel_size_m: float = 10.0,
) -> WideClouds:
    """Draw the clouds of a large scene at low resolution and set their levels to meet the cover.

    Args:
        shape: `(rows, columns)` of a north-up scene.
        spec: How much of which clouds; all thick cloud floats at the middle of its heights.
        rng: Seed.
        sun_zenith_deg: 0 to 80.
        sun_azimuth_deg: Direction towards the sun, clockwise from north.
        pixel_size_m: Side of a pixel.
    """
    factor = max(1, -(-max(shape) // _COARSE_SIDE))
    height_m = spec.base_m + spec.depth_m / 2
    away = shadow_offset_px(height_m, sun_zenith_deg=sun_zenith_deg, sun_azimuth_deg=sun_azimuth_deg, pixel_size_m=pixel_size_m)
    shadow_px = (round(away[0]), round(away[1]))
    margin = max(map(abs, shadow_px))
    small = ((shape[0] + 2 * margin) // factor + 2, (shape[1] + 2 * margin) // factor + 2)
    size_px = spec.size_m / pixel_size_m
    coarse = (
        thick_noise(small, rng, size_px / factor),
        fractal_noise(small, rng, wavelength_px=4 * size_px / factor, slope=2.2, stretch=4, angle_deg=float(rng.uniform(0, 180))),
        fractal_noise(small, rng, wavelength_px=3 * size_px / factor, slope=2.6),
    )
    detail = np.float32(-0.12) * np.abs(fractal_noise((512, 512), rng, wavelength_px=24, slope=1.9))
    draft = WideClouds(
        shape=shape, factor=factor, margin=margin, coarse=coarse, detail=detail, levels=(np.inf, np.inf, np.inf), shadow_px=shadow_px
    )
    return WideClouds(
        shape=shape, factor=factor, margin=margin, coarse=coarse, detail=detail, levels=_levels(draft, spec), shadow_px=shadow_px
    )


def _levels(draft: WideClouds, spec: CloudSpec) -> tuple[float, float, float]:
    """Levels that give each kind its share, found on evenly spaced rows."""
    rows, cols = draft.shape
    step = max(1, rows * cols // _LEVEL_SAMPLES)
    some, every = np.arange(step // 2, rows, step), np.arange(cols)
    goal = round(spec.cover * some.size * cols)
    thick = round(goal * spec.thick_share)
    covered = np.zeros((some.size, cols), bool)
    levels = []
    for kind, until in enumerate((thick, thick + round((goal - thick) * spec.cirrus_share), goal)):
        noise = draft.noise(kind, some, every)
        # in steps of float32, so that `noise > level` means the same here and in `strip`
        level = float(np.float32(level_reaching(noise, ~covered, until - int(covered.sum()))))
        covered |= noise - np.float32(level) > 0
        levels.append(level)
    return levels[0], levels[1], levels[2]
