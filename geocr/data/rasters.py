"""Sentinel-1 and Sentinel-2 rasters as torchgeo datasets, each modality under its own key.

They are `RasterDataset`s: samplers, `&` and `|` of torchgeo take them. Three things differ from the base class, on purpose:

- values are units, not counts: reflectance from the file's own scale and offset, backscatter in dB, found out from the file;
- files off the dataset's grid are warped bilinearly, backscatter in linear power, and the same in every patch; the base class
  warps by nearest neighbour, whatever `resampling` says;
- what was not observed is told by a mask of its own: 0 is a value in dB.
"""

import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import pandas as pd
import rasterio.crs
import shapely
import torch
from geopandas import GeoDataFrame
from pyproj import CRS
from rasterio.warp import calculate_default_transform, transform_bounds
from torchgeo.datasets import RasterDataset

from geocr.core.errors import GeocrError, InputError, RasterNotFoundError, UnitsError
from geocr.core.types import FloatArray, Window
from geocr.data.lattice import PixelLattice, common_window
from geocr.io.grid import SceneGrid
from geocr.io.raster import RasterReader, open_raster
from geocr.io.times import Acquisition, acquisition_of
from geocr.radiometry.optical import OpticalScale
from geocr.radiometry.sar import SarUnits

OnError: TypeAlias = Literal["stop", "skip"]
"""What to do about a file that cannot be used: stop with its name, or leave it out and keep count."""
AcquiredAt: TypeAlias = Callable[[str], Acquisition | None]
"""From a path to the time of the image."""

RASTER_SUFFIXES = {".tif", ".tiff", ".jp2", ".vrt", ".img", ".cog"}
_ANY_TIME = (pd.Timestamp("1900-01-01"), pd.Timestamp("2200-01-01"))
"""Interval of an image whose time is not known."""
_MAX_OPEN = 128
"""Files kept open by one process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterEntry:
    """One file of a dataset, opened once to see what it holds."""

    path: str
    """Absolute path."""
    grid: SceneGrid
    """The file's own grid."""
    bands: tuple[str, ...]
    """Names of the bands it gives, in the dataset's order."""
    indexes: tuple[int, ...]
    """Their 1-based numbers in the file."""
    units: str
    """`reflectance`, `db` or `display`."""
    source: OpticalScale | SarUnits
    """How the file stores them."""
    acquired: Acquisition | None
    """When, or None when neither name nor tags tell."""
    vrt: str | None = None
    """What to read instead of `path` where that is a product of several files: the XML of a VRT over them."""

    @property
    def raster(self) -> str:
        """What GDAL opens."""
        return self.path if self.vrt is None else self.vrt


class SceneRasters(RasterDataset):
    """Rasters of one modality in any CRS and resolution, read on one pixel lattice.

    A sample is a dict of tensors: `<key>` `(C, H, W)` float32, 0 where not observed; `<key>_valid` `(H, W)` bool, True
    where at least one band was observed; `bounds` as torchgeo 0.10 has it, and `transform`, the nine numbers of the affine.
    All keep with `torch.utils.data.default_collate` and `torchgeo.datasets.stack_samples`.

    Args:
        paths: Folders to search (to any depth), or files.
        crs: CRS to read in; that of the first file when None.
        res: Width and height of a pixel in its units; those of the first file when None.
        bands: Names of the bands to return, in this order; all of the first file when None.
        transforms: Applied to each sample.
        cache: Keep files open.
        key: Name of the image in a sample.
        on_error: `stop` raises at a file that cannot be used; `skip` keeps it in `skipped`, path to reason.
        acquired: Tells when a file was acquired; by its name, then its tags, when None.

    Raises:
        RasterNotFoundError: When there is no raster under `paths`.
        RasterReadError: When a file is no raster.
        GeoreferenceError: When a file has no CRS or transform.
        BandError: When a file lacks a band.
        UnitsError: When the units of a file cannot be told.
    """

    key: str = "image"
    modality: ClassVar[str] = "raster"
    """What the rasters are, in words."""

    def __init__(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = "data",
        crs: CRS | None = None,
        res: float | tuple[float, float] | None = None,
        bands: Sequence[str] | None = None,
        *,
        transforms: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        cache: bool = True,
        key: str | None = None,
        on_error: OnError = "stop",
        acquired: AcquiredAt | None = None,
    ) -> None:
        self.paths = paths
        self.transforms = transforms
        self.cache = cache
        self.key = key or self.key
        self.separate_files = False
        self.time_series = False
        self.skipped: dict[str, str] = {}
        self._readers: dict[tuple[Any, ...], RasterReader] = {}
        self._owner = os.getpid()
        self._grids: dict[str, tuple[tuple[Any, ...], SceneGrid]] = {}
        self._lattice: tuple[tuple[Any, ...], PixelLattice] | None = None
        self._version = 0
        self.entries = self._describe_all(bands, on_error, acquired)
        first = next(iter(self.entries.values()))
        self.bands = first.bands
        self.all_bands = first.bands
        self.band_indexes = list(first.indexes)
        own = CRS.from_user_input(first.grid.crs)
        chosen = own if crs is None else CRS.from_user_input(crs)
        self._res = _resolution(first.grid, chosen, res)
        self._anchor = self._first_corner(first, chosen, own)
        self.index = self._make_index(chosen)

    @abstractmethod
    def _describe(self, path: str, bands: Sequence[str] | None, acquired: Acquisition | None) -> RasterEntry:
        """See what a file holds."""

    @abstractmethod
    def _make_reader(self, entry: RasterEntry, grid: SceneGrid) -> RasterReader:
        """A reader of the file on a grid of the lattice."""

    @abstractmethod
    def _in_units(self, reader: RasterReader, window: Window, entry: RasterEntry) -> FloatArray:
        """Pixels of a window, `(band, y, x)` float32 in the dataset's units, NaN where not observed."""

    @property
    def files(self) -> list[str]:
        """Rasters under `paths`, sorted."""
        given = [self.paths] if isinstance(self.paths, str | os.PathLike) else list(self.paths)
        found: set[str] = set()
        for item in map(Path, given):
            if item.is_dir():
                found |= self._search(item.absolute())
            elif item.exists() or str(item).startswith("/vsi"):
                found.add(str(item) if str(item).startswith("/vsi") else str(item.absolute()))
            else:
                raise RasterNotFoundError(
                    f"{self.modality} rasters are looked for in folders and files that exist; there is nothing at {item}; "
                    f"check the path (working directory: {Path.cwd()})"
                )
        if not found:
            raise RasterNotFoundError(
                f"{self.modality} needs at least one raster ({', '.join(sorted(RASTER_SUFFIXES))}); none is under {', '.join(map(str, given))}"
            )
        return sorted(found)

    def _search(self, folder: Path) -> set[str]:
        """Rasters in a folder, to any depth."""
        return {str(path) for path in folder.rglob("*") if path.suffix.lower() in RASTER_SUFFIXES}

    def _tags(self, path: str) -> dict[str, str]:
        """Tags of a raster that may tell when it was acquired."""
        with open_raster(path) as source:
            tags: dict[str, str] = source.tags()
        return tags

    @property
    def crs(self) -> CRS:
        """CRS of queries and samples."""
        crs: CRS = self.index.crs
        return crs

    @crs.setter
    def crs(self, new_crs: CRS) -> None:
        """Read in another CRS; set `res` too where its unit differs."""
        crs = CRS.from_user_input(new_crs)
        if crs != self.index.crs:
            first = next(iter(self.entries.values()))
            self._version += 1
            self._anchor = self._first_corner(first, crs, CRS.from_user_input(first.grid.crs))
            self.index = self._make_index(crs)

    @property
    def units(self) -> str:
        """`reflectance`, `db` or `display`: of all files alike."""
        return next(iter(self.entries.values())).units

    @property
    def lattice(self) -> PixelLattice:
        """The pixels that every patch is made of."""
        key = self._lattice_key()
        if self._lattice is None or self._lattice[0] != key:
            self._lattice = key, PixelLattice(crs=_rasterio_crs(self.crs), res=self.res, origin=self._anchor)
        return self._lattice[1]

    @lattice.setter
    def lattice(self, lattice: PixelLattice) -> None:
        """Read on another lattice: that of a partner."""
        crs = CRS.from_user_input(lattice.crs)
        if crs != self.crs:
            self._version += 1
            self.index = self._make_index(crs)
        self._res, self._anchor = lattice.res, lattice.origin

    def __getitem__(self, index: Any) -> dict[str, Any]:  # noqa: ANN401 - torchgeo's GeoSlice has four forms
        """Read a patch.

        Args:
            index: `[xmin:xmax, ymin:ymax, tmin:tmax]` as torchgeo slices; the patch lies on the nearest whole pixels. Where
                several files hold a pixel, the earliest that observed it counts.

        Raises:
            IndexError: When no file lies there.
        """
        x, y, t = self._disambiguate_slice(index)
        found = self.index.iloc[self.index.index.overlaps(pd.Interval(t.start, t.stop, closed="both"))].cx[
            x.start : x.stop, y.start : y.stop
        ]
        if found.empty:
            raise IndexError(f"a query must meet a file of the dataset; {index} does not, bounds are {self.bounds}")
        grid = self.lattice.snapped(x, y)
        values = self.read(list(found.sort_index().filepath), grid)
        observed = np.isfinite(values)
        sample: dict[str, Any] = {
            self.key: torch.from_numpy(np.where(observed, values, np.float32(0))),
            f"{self.key}_valid": torch.from_numpy(observed.any(axis=0)),
            "bounds": torch.tensor(
                [x.start, x.stop, x.step, y.start, y.stop, y.step, t.start.timestamp(), t.stop.timestamp(), 1.0], dtype=torch.float64
            ),
            "transform": torch.tensor(tuple(grid.transform), dtype=torch.float64),
        }
        return self.transforms(sample) if self.transforms is not None else sample

    def read(self, paths: Sequence[str], grid: SceneGrid) -> FloatArray:
        """Read files on a grid of the lattice, the first before the next where both observed a pixel.

        Args:
            paths: Files of this dataset.
            grid: From `lattice.snapped`.

        Returns:
            `(band, y, x)` float32 in the dataset's units, NaN where not observed.

        Raises:
            RasterReadError: When a block does not decode.
        """
        values: FloatArray | None = None
        for path in paths:
            entry = self.entries[path]
            whole = self._covering(entry)
            common = common_window(grid, whole)
            if common is None:
                continue
            window, (rows, cols) = common
            part = self._in_units(self._reader(entry, whole), window, entry)
            if values is None and window.shape == grid.shape:  # one file holds the patch: the usual case, without a copy
                values = part
            else:
                values = np.full((len(self.bands), *grid.shape), np.nan, np.float32) if values is None else values
                place = values[:, rows, cols]
                np.copyto(place, part, where=np.isnan(place))
            if len(paths) == 1 or not np.isnan(values).any():
                break
        return np.full((len(self.bands), *grid.shape), np.nan, np.float32) if values is None else values

    def _covering(self, entry: RasterEntry) -> SceneGrid:
        """The pixels of the lattice that a file covers."""
        known = self._grids.get(entry.path)
        if known is None or known[0] != self._lattice_key():
            known = (self._lattice_key(), self.lattice.covering(self._bounds_in_crs(entry, _rasterio_crs(self.crs))))
            self._grids[entry.path] = known
        return known[1]

    def _lattice_key(self) -> tuple[Any, ...]:
        return self._version, self._res, self._anchor

    def native_grid(self, path: str) -> SceneGrid:
        """A file's own grid."""
        return self.entries[path].grid

    def _reader(self, entry: RasterEntry, grid: SceneGrid) -> RasterReader:
        """An open reader of this process: GDAL handles do not survive a fork."""
        if self._owner != os.getpid():
            self._readers, self._owner = {}, os.getpid()
        place = (entry.path, self._lattice_key())
        reader = self._readers.get(place)
        if reader is None:
            reader = self._make_reader(entry, grid)
            if self.cache:
                while len(self._readers) >= _MAX_OPEN:
                    self._readers.pop(next(iter(self._readers)))
                self._readers[place] = reader
        return reader

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_readers": {}, "_grids": {}, "_lattice": None}

    def _describe_all(self, bands: Sequence[str] | None, on_error: OnError, acquired: AcquiredAt | None) -> dict[str, RasterEntry]:
        if on_error not in ("stop", "skip"):
            raise InputError(f"on_error must be stop or skip, got {on_error!r}")
        entries: dict[str, RasterEntry] = {}
        for path in self.files:
            try:
                when = acquired(path) if acquired else acquisition_of(path, self._tags(path))
                entry = self._describe(path, bands, when)
                if entries:
                    _require_alike(next(iter(entries.values())), entry)
            except GeocrError as error:
                if on_error == "stop":
                    raise
                self.skipped[path] = str(error)
                continue
            bands = bands or entry.bands
            entries[path] = entry
        if not entries:
            listed = "; ".join(f"{path}: {reason}" for path, reason in list(self.skipped.items())[:3])
            raise RasterNotFoundError(
                f"{self.modality} needs at least one usable raster; all {len(self.skipped)} were skipped by on_error='skip': {listed}"
            )
        return entries

    def _make_index(self, crs: CRS) -> GeoDataFrame:
        target = _rasterio_crs(crs)
        boxes = [shapely.box(*self._bounds_in_crs(entry, target)) for entry in self.entries.values()]
        times = [
            _ANY_TIME if entry.acquired is None else (pd.Timestamp(entry.acquired.start), pd.Timestamp(entry.acquired.stop))
            for entry in self.entries.values()
        ]
        intervals = pd.IntervalIndex.from_tuples(times, closed="both", name="datetime")
        return GeoDataFrame({"filepath": list(self.entries)}, index=intervals, geometry=boxes, crs=crs)

    def _bounds_in_crs(self, entry: RasterEntry, crs: rasterio.crs.CRS) -> tuple[float, float, float, float]:
        bounds = _bounds(entry.grid)
        if entry.grid.crs == crs:
            return bounds
        west, south, east, north = transform_bounds(entry.grid.crs, crs, *bounds, densify_pts=21)
        return float(west), float(south), float(east), float(north)

    def _first_corner(self, first: RasterEntry, chosen: CRS, own: CRS) -> tuple[float, float]:
        west, _, _, north = self._bounds_in_crs(first, _rasterio_crs(chosen))
        if chosen == own:
            return west, north
        return (west // self._res[0]) * self._res[0], (north // self._res[1]) * self._res[1]


def _rasterio_crs(crs: Any) -> rasterio.crs.CRS:  # noqa: ANN401 - pyproj's or rasterio's
    return crs if isinstance(crs, rasterio.crs.CRS) else rasterio.crs.CRS.from_user_input(CRS.from_user_input(crs).to_wkt())


def _bounds(grid: SceneGrid) -> tuple[float, float, float, float]:
    rows, cols = grid.shape
    xs, ys = zip(*(grid.transform * corner for corner in ((0, 0), (cols, 0), (0, rows), (cols, rows))), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _resolution(grid: SceneGrid, crs: CRS, given: float | tuple[float, float] | None) -> tuple[float, float]:
    """Pixel size in the CRS: as given, or the file's own, or GDAL's suggestion for another CRS."""
    if given is not None:
        return given if isinstance(given, tuple) else (float(given), float(given))
    target = _rasterio_crs(crs)
    if grid.crs == target:
        a, b, _, d, e, _ = grid.transform[:6]
        return float(np.hypot(a, d)), float(np.hypot(b, e))
    transform, _, _ = calculate_default_transform(grid.crs, target, grid.shape[1], grid.shape[0], *_bounds(grid))
    return float(transform.a), float(-transform.e)


def _require_alike(first: RasterEntry, entry: RasterEntry) -> None:
    """Refuse a mixture of pictures and measurements."""
    if first.units != entry.units:
        raise UnitsError(
            f"all files of a dataset must share their units; {first.path} holds {first.units} and {entry.path} {entry.units}; "
            f"keep 8-bit pictures and measurements in datasets of their own"
        )
