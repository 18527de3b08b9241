"""Painters: clouds for any window of a clear scene, the same however the scene is cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from geocr.clouds.landsat import PatchCloud, blend_cloud, measure_cloud
from geocr.clouds.mask import CloudMask
from geocr.clouds.patches import CloudPatches
from geocr.clouds.sun import SunAngle
from geocr.clouds.synthesize import CloudSpec, Level, apply_clouds
from geocr.clouds.transplant import DonorSpectra, Opacity, measure_donor, transplant_clouds
from geocr.clouds.wide import WideClouds, make_wide_clouds, mirrored
from geocr.core.errors import BandError, GeoreferenceError, InputError
from geocr.core.types import BoolArray, FloatArray, Window
from geocr.io.scene import Scene

_FADE_PX = 32
"""Width over which the clouds of a patch fade towards its border."""
_SAMPLE_CHIPS = 36
_KEPT_PATCHES = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Painted:
    """A window under clouds."""

    cloudy: FloatArray
    """`(band, y, x)` float32 reflectance, equal to the clear one bit for bit where both masks are False."""
    cloud: BoolArray
    """`(y, x)`; True is cloud, thick or thin."""
    shadow: BoolArray
    """`(y, x)`; True is shadow, never together with `cloud`. All False where shadows are part of `cloud`."""


class Painter(Protocol):
    """Puts clouds over any window of the scene it was made for."""

    def paint(self, clear: FloatArray, window: Window) -> Painted:
        """Clouds over a window, given its clear reflectance `(band, y, x)` with NaN for nodata."""
        ...

    def describe(self) -> dict[str, str]:
        """Method and settings, for the output's tags."""
        ...


class SyntheticPainter:
    """Clouds and shadows by `geocr.clouds.synthesize`.

    Args:
        scene: The clear scene, north up.
        spec: How much of which clouds. The cover is met on the whole raster, nodata counted.
        sun: Where the sun stood.
        seed: Another seed is another sky.

    Raises:
        GeoreferenceError: When the scene's rows do not run from north to south.
        InputError: When the sun is lower than 10 degrees.
    """

    def __init__(self, scene: Scene, *, spec: CloudSpec, sun: SunAngle, seed: int = 0) -> None:
        transform = scene.grid.transform
        if transform.b != 0 or transform.d != 0 or transform.e >= 0:
            raise GeoreferenceError(
                f"shadows are drawn on rasters whose rows run from north to south; {scene.optical.path} is rotated or flipped: warp it north up first"
            )
        if sun.zenith_deg > 80:
            raise InputError(
                f"the sun must stand at least 10 degrees high (lower suns cast endless shadows), got a zenith of {sun.zenith_deg} degrees"
            )
        self.bands = scene.bands
        self.level: Level = "L1C" if scene.level == "L1C" else "L2A"
        self.spec, self.sun, self.seed = spec, sun, seed
        self.clouds: WideClouds = make_wide_clouds(
            scene.grid.shape,
            spec=spec,
            rng=np.random.default_rng(seed),
            sun_zenith_deg=sun.zenith_deg,
            sun_azimuth_deg=sun.azimuth_deg,
            pixel_size_m=scene.grid.pixel_size_m,
        )

    def paint(self, clear: FloatArray, window: Window) -> Painted:
        """Clouds over a window."""
        field = self.clouds.at(window)
        seen = np.isfinite(clear).any(axis=0)
        return Painted(
            cloudy=apply_clouds(clear, self.bands, field, level=self.level), cloud=field.cloud_mask & seen, shadow=field.shadow_mask & seen
        )

    def describe(self) -> dict[str, str]:
        """Method and settings."""
        return {
            "CLOUD_METHOD": "synthetic",
            "CLOUD_SEED": str(self.seed),
            "CLOUD_COVER": repr(self.spec.cover),
            "CLOUD_THICK_SHARE": repr(self.spec.thick_share),
            "CLOUD_CIRRUS_SHARE": repr(self.spec.cirrus_share),
            "CLOUD_SIZE_M": repr(self.spec.size_m),
            "MEAN_SUN_ZENITH_ANGLE": repr(self.sun.zenith_deg),
            "MEAN_SUN_AZIMUTH_ANGLE": repr(self.sun.azimuth_deg),
        }


class PatchPainter:
    """Clouds of 38-Cloud patches by `geocr.clouds.landsat`, a patch to each cell of a grid or none.

    A patch's pixel lies on a scene's pixel, whatever their sizes, as in MDF-CR. Towards the border of its cell a cloud fades over
    32 pixels.

    Args:
        scene: The clear scene.
        patches: 38-Cloud.
        share: Share of the cells that get a patch.
        seed: Another seed is another choice.

    Raises:
        InputError: When no patch holds a cloud, or the share is outside 0 to 1.
    """

    def __init__(self, scene: Scene, patches: CloudPatches, *, share: float = 1.0, seed: int = 0) -> None:
        if not 0 < share <= 1:
            raise InputError(f"the share of cells under a patch lies above 0 and up to 1, got {share!r}")
        self.bands = scene.bands
        self.patches, self.share, self.seed = patches, share, seed
        self._names = patches.names()
        if not self._names:
            raise InputError(f"38-Cloud needs at least one patch in train_gt; {patches.root} has none")
        self._last: dict[str, PatchCloud | None] = {}
        self._clear: set[str] = set()

    def paint(self, clear: FloatArray, window: Window) -> Painted:
        """Clouds over a window."""
        cloudy = clear.copy()
        cloud = np.zeros(window.shape, bool)
        for cell, inside, placed in self._cells(window):
            drawn = self._cloud_of(cell)
            if drawn is None:
                continue
            part = PatchCloud(opacity=drawn.opacity[inside], brightness=drawn.brightness[inside], reflectance=drawn.reflectance)
            cloudy[(slice(None), *placed)] = blend_cloud(clear[(slice(None), *placed)], self.bands, part)
            cloud[placed] = part.mask
        return Painted(cloudy=cloudy, cloud=cloud & np.isfinite(clear).any(axis=0), shadow=np.zeros(window.shape, bool))

    def describe(self) -> dict[str, str]:
        """Method and settings."""
        return {
            "CLOUD_METHOD": "real-patches",
            "CLOUD_SEED": str(self.seed),
            "CLOUD_CELL_SHARE": repr(self.share),
            "CLOUD_SOURCE": "38-Cloud",
        }

    def _cells(self, window: Window) -> list[tuple[tuple[int, int], tuple[slice, slice], tuple[slice, slice]]]:
        """Cells under a window: their place, the part of the cell, and where that part lies in the window."""
        side = 384
        found = []
        for row in range(window.row // side, (window.row_stop - 1) // side + 1):
            for col in range(window.col // side, (window.col_stop - 1) // side + 1):
                top, left = max(window.row, row * side), max(window.col, col * side)
                stop, right = min(window.row_stop, (row + 1) * side), min(window.col_stop, (col + 1) * side)
                inside = (slice(top - row * side, stop - row * side), slice(left - col * side, right - col * side))
                found.append(
                    ((row, col), inside, (slice(top - window.row, stop - window.row), slice(left - window.col, right - window.col)))
                )
        return found

    def _cloud_of(self, cell: tuple[int, int]) -> PatchCloud | None:
        """The cloud of a cell, of the first patch in the cell's own order that holds one; None where the cell stays clear."""
        rng = np.random.default_rng([self.seed, *cell])
        if rng.random() >= self.share:
            return None
        for number in rng.permutation(len(self._names)):
            name = self._names[number]
            if name not in self._last:
                while len(self._last) >= _KEPT_PATCHES:
                    self._last.pop(next(iter(self._last)))
                self._last[name] = None if name in self._clear else self._measure(name)
            cloud = self._last[name]
            if cloud is not None:
                return cloud
            self._clear.add(name)
        raise InputError(f"a patch must lend its clouds, and none of the {len(self._names)} of {self.patches.root} holds any")

    def _measure(self, name: str) -> PatchCloud | None:
        pixels = self.patches.read(name, ("blue", "green", "red", "nir"))
        gt = self.patches.read(name, ("gt",))[0]
        try:
            cloud = measure_cloud(pixels, gt)
        except InputError:  # without a cloud, or with one no brighter than its ground
            return None
        fade = np.clip((np.minimum(np.arange(384), np.arange(384)[::-1]) + 0.5) / _FADE_PX, 0, 1).astype(np.float32)
        return PatchCloud(opacity=cloud.opacity * fade[:, None] * fade, brightness=cloud.brightness, reflectance=cloud.reflectance)


class TransplantPainter:
    """Real clouds of a donor scene by `geocr.clouds.transplant`; a donor of another size is repeated by mirroring.

    Args:
        scene: The clear scene.
        donor: The cloudy donor; must hold all bands of the scene.
        mask: The donor's clouds and shadows.
        donor_clear: A clear image of the donor's place on its very grid.
        opacity: `measured` or `solid`.
        seed: 0 lays upper left on upper left; another moves the donor by so many random pixels.

    Raises:
        BandError: When the donor lacks a band.
        GeoreferenceError: When the donor's clear image lies on another grid.
        InputError: When the donor has next to no clouds.
    """

    def __init__(
        self, scene: Scene, donor: Scene, mask: CloudMask, *, donor_clear: Scene | None = None, opacity: Opacity = "measured", seed: int = 0
    ) -> None:
        for other in (donor, donor_clear):
            missing = [] if other is None else [band for band in scene.bands if band not in other.bands]
            if other is not None and missing:
                raise BandError(
                    f"a donor must hold every band of the scene ({', '.join(scene.bands)}); {other.optical.path} lacks {', '.join(missing)}"
                )
        if donor_clear is not None and (donor_clear.grid.shape, donor_clear.grid.transform) != (donor.grid.shape, donor.grid.transform):
            raise GeoreferenceError(
                f"the donor's clear image must lie on the donor's grid: {donor.optical.path} is {donor.grid.shape} at {tuple(donor.grid.transform)[:6]}, "
                f"{donor_clear.optical.path} is {donor_clear.grid.shape} at {tuple(donor_clear.grid.transform)[:6]}"
            )
        self.bands = scene.bands
        self.donor, self.mask, self.donor_clear, self.opacity, self.seed = donor, mask, donor_clear, opacity, seed
        rows, cols = donor.grid.shape
        rng = np.random.default_rng(seed)
        self.offset = (0, 0) if seed == 0 else (int(rng.integers(2 * rows)), int(rng.integers(2 * cols)))
        self.spectra: DonorSpectra = self._measure()

    def paint(self, clear: FloatArray, window: Window) -> Painted:
        """Clouds over a window."""
        rows = mirrored(np.arange(window.row, window.row_stop) + self.offset[0], self.donor.grid.shape[0])
        cols = mirrored(np.arange(window.col, window.col_stop) + self.offset[1], self.donor.grid.shape[1])
        source = Window(row=int(rows.min()), col=int(cols.min()), height=int(np.ptp(rows)) + 1, width=int(np.ptp(cols)) + 1)
        pick = np.ix_(rows - source.row, cols - source.col)
        every: Any = (slice(None), *pick)
        ground = None if self.donor_clear is None else self.donor_clear.read_reflectance(source, self.bands)[every]
        cloudy, placed = transplant_clouds(
            clear,
            self.donor.read_reflectance(source, self.bands)[every],
            self.mask.read(source)[pick],
            self.spectra,
            ground=ground,
            opacity=self.opacity,
        )
        return Painted(cloudy=cloudy, cloud=placed, shadow=np.zeros(window.shape, bool))

    def describe(self) -> dict[str, str]:
        """Method and settings."""
        return {
            "CLOUD_METHOD": "transplant",
            "CLOUD_SEED": str(self.seed),
            "CLOUD_SOURCE": self.donor.optical.path,
            "CLOUD_DONOR_MASK": self.mask.source,
            "CLOUD_OPACITY": self.opacity,
        }

    def _measure(self) -> DonorSpectra:
        """Spectra from chips all over the donor."""
        rows, cols = self.donor.grid.shape
        height, width = min(64, rows), min(64, cols)
        values, masks = [], []
        for window in spread_windows((rows, cols), (height, width), _SAMPLE_CHIPS):
            values.append(self.donor.read_reflectance(window, self.bands).reshape(len(self.bands), -1))
            masks.append(self.mask.read(window).ravel())
        return measure_donor(np.concatenate(values, axis=1), np.concatenate(masks))


def spread_windows(shape: tuple[int, int], size: tuple[int, int], count: int) -> Sequence[Window]:
    """About `count` windows spread evenly over a scene, each inside it."""
    steps = max(1, round(count**0.5))
    return [
        Window(
            row=round((shape[0] - size[0]) * (i + 0.5) / steps),
            col=round((shape[1] - size[1]) * (j + 0.5) / steps),
            height=size[0],
            width=size[1],
        )
        for i in range(steps)
        for j in range(steps)
    ]
