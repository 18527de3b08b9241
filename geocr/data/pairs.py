"""Cloudy Sentinel-2 scenes with Sentinel-1 and, where there is one, a clear scene: intersected in space, matched in time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import shapely
import torch
from geopandas import GeoDataFrame
from pyproj import CRS
from shapely.geometry.base import BaseGeometry
from torchgeo.datasets import GeoDataset, IntersectionDataset

from geocr.core.errors import InputError, UnitsError
from geocr.core.types import BoolArray, FloatArray
from geocr.data.datasets.base import days_of
from geocr.data.masks import SceneMasks
from geocr.data.matching import Candidate, Piece, as_candidates, middle_of, nearest_days, no_partner, share_ground
from geocr.data.rasters import SceneRasters
from geocr.data.sample import FusionSample, SampleDates, SampleMeta, SamplePaths, usable
from geocr.data.sentinel import Sentinel1Scenes, Sentinel2Scenes
from geocr.io.grid import SceneGrid
from geocr.io.open import open_scene
from geocr.io.scene import Scene

MAX_DAYS = 5.0
"""Greatest distance in time by default: within it most land changes less than its clouds do."""


class Pair(NamedTuple):
    """A row of the index: files that belong together, and the ground they share."""

    cloudy: str
    sar: tuple[str, ...]
    clear: str | None
    sar_days: float
    clear_days: float
    geometry: BaseGeometry
    extent: BaseGeometry


class ScenePairs(IntersectionDataset):
    """A torchgeo dataset of `FusionSample`: cut it with any GeoSampler, or with those of `geocr.data.samplers`.

    torchgeo's own intersection stacks all images along their channels; here each keeps its key. Each part of a cloudy scene
    gets the Sentinel-1 overflight nearest in time that covers it, and likewise the clear scene. Everything is read on the
    lattice of the cloudy scenes.

    Args:
        cloudy: Cloudy scenes; their CRS and resolution are those of the samples.
        sar: Sentinel-1 scenes.
        clear: Clear scenes; without them samples have no `clear`.
        max_days: Greatest distance in days between a cloudy scene and its partners; None pairs whatever overlaps.
        cloud_mask: As `SceneMasks.source`: `auto`, the name of a detector, or a folder of masks. None gives samples without
            `cloud_mask`.
        transforms: Applied to each sample.
        name: What `meta["dataset"]` says.

    Attributes:
        unmatched: Cloudy scene to the reason why none of it is used.

    Raises:
        GeoreferenceError: When no scene has partners.
        InputError: When times are needed and not known.
        UnitsError: When cloudy and clear scenes differ in units or bands.
    """

    def __init__(
        self,
        cloudy: Sentinel2Scenes,
        sar: Sentinel1Scenes,
        clear: Sentinel2Scenes | None = None,
        *,
        max_days: float | None = MAX_DAYS,
        cloud_mask: str | Path | None = None,
        transforms: Callable[[FusionSample], FusionSample] | None = None,
        name: str = "scenes",
    ) -> None:
        if clear is not None and (clear.units, clear.bands) != (cloudy.units, cloudy.bands):
            raise UnitsError(
                f"cloudy and clear scenes must hold the same bands in the same unit; cloudy: {cloudy.units} of {', '.join(cloudy.bands)}, "
                f"clear: {clear.units} of {', '.join(clear.bands)}; choose common `bands`"
            )
        self.cloudy, self.sar, self.clear = cloudy, sar, clear
        self.datasets: list[GeoDataset] = [cloudy, sar] if clear is None else [cloudy, sar, clear]
        self.transforms: Any = transforms
        self.collate_fn: Any = None  # samples are put together here, by key
        self.max_days = max_days
        self.name = name
        self.masks = None if cloud_mask is None else SceneMasks(cloud_mask, self._open_cloudy)
        self.unmatched: dict[str, str] = {}
        self._rows: tuple[GeoDataFrame, list[tuple[Any, ...]]] | None = None
        self._share_lattice()
        self.index = self._match()

    @property
    def crs(self) -> CRS:
        """CRS of the samples."""
        return self.cloudy.crs

    @crs.setter
    def crs(self, new_crs: CRS) -> None:
        """Read in another CRS; the pixel size must be set with it where the unit changes."""
        self.cloudy.crs = new_crs
        self._share_lattice()
        self.index = self._match()

    @property
    def res(self) -> tuple[float, float]:
        """Width and height of a pixel."""
        size: tuple[float, float] = self.cloudy.res
        return size

    @res.setter
    def res(self, new_res: float | tuple[float, float]) -> None:
        """Read at another pixel size."""
        self.cloudy.res = new_res
        self._share_lattice()

    def __getitem__(self, index: Any) -> FusionSample:  # type: ignore[override]  # noqa: ANN401 - torchgeo's GeoSlice has four forms
        """Read the sample of a query.

        Args:
            index: `[xmin:xmax, ymin:ymax, tmin:tmax]`. Of the pairs of that time, the one that holds the centre of the patch
                is read; else the one with most of its ground.

        Raises:
            IndexError: When no pair lies there.
            RasterReadError: When a block does not decode.
        """
        x, y, t = self._disambiguate_slice(index)
        return self.read(self._resolve(x, y, t), x, y)

    def pair(self, row: int) -> Pair:
        """A row of the index by number."""
        if self._rows is None or self._rows[0] is not self.index:
            self._rows = self.index, list(zip(*(self.index[name] for name in Pair._fields), strict=True))
        return Pair(*self._rows[1][row])

    def read(self, row: int, x: slice, y: slice) -> FusionSample:
        """Read the sample of a pair.

        Args:
            row: Its number in the index.
            x: `xmin:xmax`.
            y: `ymin:ymax`.
        """
        pair = self.pair(row)
        grid = self.cloudy.lattice.snapped(x, y)
        images = {
            "sar": self.sar.read(pair.sar, grid)[None],
            "cloudy": self.cloudy.read([pair.cloudy], grid)[None],
        }
        if self.clear is not None and pair.clear is not None:
            images["clear"] = self.clear.read([pair.clear], grid)
        mask = None if self.masks is None else self.masks.read(pair.cloudy, grid)
        sample = self._sample(pair, grid, images, mask)
        if self.transforms is not None:
            sample = self.transforms(sample)
        return sample

    def dates(self, pair: Pair) -> SampleDates:
        """When the images of a pair were taken; of an overflight, its first frame."""
        return SampleDates(
            sar=(_date(self.sar, pair.sar[0]),),
            cloudy=(_date(self.cloudy, pair.cloudy),),
            clear=None if self.clear is None or pair.clear is None else _date(self.clear, pair.clear),
        )

    def _sample(self, pair: Pair, grid: SceneGrid, images: dict[str, FloatArray], mask: BoolArray | None) -> FusionSample:
        tensors = {key: torch.from_numpy(np.ascontiguousarray(array)) for key, array in images.items()}
        sample: FusionSample = {
            "sar": tensors["sar"],
            "cloudy": tensors["cloudy"],
            "valid_mask": usable(tensors["sar"], tensors["cloudy"], tensors.get("clear")),
            "meta": self._meta(pair, grid),
        }
        if "clear" in tensors:
            sample["clear"] = tensors["clear"]
        if mask is not None:
            sample["cloud_mask"] = torch.from_numpy(mask[None])
        return sample

    def _meta(self, pair: Pair, grid: SceneGrid) -> SampleMeta:
        times = self.dates(pair)
        scene = Path(pair.cloudy).stem
        left, top = grid.transform.c, grid.transform.f
        return SampleMeta(
            dataset=self.name,
            id=f"{scene}/{left:.10g}/{top:.10g}",
            roi=scene,
            split=None,
            grid=grid,
            times=times,
            days=days_of(times, 1),
            sar_unit="display" if self.sar.units == "display" else "db",
            optical_unit="display" if self.cloudy.units == "display" else "reflectance",
            sar_bands=tuple(self.sar.bands),
            optical_bands=tuple(self.cloudy.bands),
            paths=SamplePaths(sar=pair.sar, cloudy=(pair.cloudy,), clear=pair.clear),
            skipped=(),
        )

    def _resolve(self, x: slice, y: slice, t: slice) -> int:
        at_time = self.index.index.overlaps(pd.Interval(t.start, t.stop, closed="both"))
        patch = shapely.box(x.start, y.start, x.stop, y.stop)
        centre = shapely.Point((x.start + x.stop) / 2, (y.start + y.stop) / 2)
        ranked = [
            (geometry.covers(centre), geometry.intersection(patch).area, -number)
            for number, (geometry, timely) in enumerate(zip(self.index.geometry, at_time, strict=True))
            if timely and geometry.intersects(patch)
        ]
        if not ranked:
            raise IndexError(f"a query must meet a pair of scenes; x {x}, y {y}, t {t} does not, bounds are {self.bounds}")
        return -max(ranked)[2]

    def _share_lattice(self) -> None:
        lattice = self.cloudy.lattice
        for other in (self.sar, self.clear):
            if other is not None:
                other.lattice = lattice

    def _open_cloudy(self, path: str) -> Scene:
        return open_scene(path, **self.cloudy.open_options(path))

    def _match(self) -> GeoDataFrame:
        passes = as_candidates(self.sar.index, by_pass=True)
        clear = None if self.clear is None else as_candidates(self.clear.index)
        rows: list[Pair] = []
        intervals: list[Any] = []
        self.unmatched = {}
        nearest: list[float | None] = []
        for interval, scene in zip(self.cloudy.index.index, self.cloudy.index.itertuples(), strict=True):
            when = middle_of(interval)
            found = self._pairs_of(scene.filepath, scene.geometry, when, passes, clear)
            if not found:
                lacking = "Sentinel-1" if not share_ground(scene.geometry, when, passes, max_days=self.max_days) else "a clear scene"
                nearest.append(nearest_days(when, scene.geometry, passes if lacking == "Sentinel-1" or clear is None else clear))
                self.unmatched[scene.filepath] = f"no {lacking} of its place" + (
                    "" if self.max_days is None else f" within {self.max_days:g} days"
                )
            rows += found
            intervals += [interval] * len(found)
        if not rows:
            lacking = "Sentinel-1" if any("Sentinel-1" in reason for reason in self.unmatched.values()) else "a clear scene"
            raise no_partner(lacking, self.max_days, nearest)
        columns = {name: [getattr(row, name) for row in rows] for name in Pair._fields if name != "geometry"}
        index = pd.IntervalIndex(intervals, closed="both", name="datetime")
        return GeoDataFrame(columns, index=index, geometry=[row.geometry for row in rows], crs=self.cloudy.crs)

    def _pairs_of(
        self, path: str, ground: BaseGeometry, when: pd.Timestamp | None, passes: list[Candidate], clear: list[Candidate] | None
    ) -> list[Pair]:
        pairs = []
        for piece in share_ground(ground, when, passes, max_days=self.max_days):
            targets: list[Piece | None] = [None]
            if clear is not None:
                targets = list(share_ground(piece.geometry, when, clear, max_days=self.max_days))
            pairs += [
                Pair(
                    cloudy=path,
                    sar=piece.candidate.paths,
                    clear=None if target is None else target.candidate.paths[0],
                    sar_days=piece.days,
                    clear_days=float("nan") if target is None else target.days,
                    geometry=piece.geometry if target is None else target.geometry,
                    extent=ground,
                )
                for target in targets
            ]
        return pairs


def _date(dataset: SceneRasters, path: str) -> str | None:
    acquired = dataset.entries[path].acquired
    return None if acquired is None else acquired.start.date().isoformat()


def open_pairs(root: str | Path, *, max_days: float | None = MAX_DAYS, cloud_mask: str | Path | None = None, **options: Any) -> ScenePairs:  # noqa: ANN401 - those of the readers
    """Pairs of a folder with the subfolders `s1`, `s2`, and, where there are clear scenes, `s2_clear`.

    Args:
        root: The folder.
        max_days: As `ScenePairs`.
        cloud_mask: As `ScenePairs`; the subfolder `masks` when None and there is one.
        **options: `crs`, `res`, `bands`, `s2_bands`, `s2_scale`, `s2_offset`, `on_error` for Sentinel-2; `s1_units` for Sentinel-1.

    Raises:
        RasterNotFoundError: When a folder is missing or empty.
    """
    folder = Path(root)
    both = {name: options[name] for name in ("on_error", "acquired") if name in options}
    s1_options = {name: options[name] for name in ("s1_units",) if name in options} | both
    if "sar_bands" in options:
        s1_options["bands"] = options["sar_bands"]
    known = ("crs", "res", "bands", "s2_bands", "s2_scale", "s2_offset", "on_error", "acquired")
    unknown = set(options) - set(known) - {"s1_units", "sar_bands"}
    if unknown:
        raise InputError(f"options of scenes are {', '.join((*known, 's1_units', 'sar_bands'))}; got {', '.join(sorted(unknown))}")
    s2_options = {name: options[name] for name in known if name in options}
    cloudy = Sentinel2Scenes(folder / "s2", **s2_options)
    clear = Sentinel2Scenes(folder / "s2_clear", **(s2_options | {"bands": cloudy.bands})) if (folder / "s2_clear").is_dir() else None
    if cloud_mask is None and (folder / "masks").is_dir():
        cloud_mask = folder / "masks"
    sar = Sentinel1Scenes(folder / "s1", **s1_options)
    return ScenePairs(cloudy, sar, clear, max_days=max_days, cloud_mask=cloud_mask)
