"""Sentinel-1 and Sentinel-2 scenes as torchgeo datasets."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pyproj import CRS

from geocr.core.bands import S1_BANDS
from geocr.core.errors import BandError
from geocr.core.types import FloatArray, Window
from geocr.data.rasters import RASTER_SUFFIXES, RasterEntry, SceneRasters
from geocr.data.warp import WarpedReader
from geocr.io.grid import SceneGrid
from geocr.io.open import open_scene
from geocr.io.open_sar import open_sar
from geocr.io.products.find import find_product
from geocr.io.products.names import product_parts
from geocr.io.products.reader import StackReader
from geocr.io.raster import RasterReader, open_raster
from geocr.io.sar import SarReader
from geocr.io.times import Acquisition
from geocr.radiometry.optical import OpticalScale
from geocr.radiometry.sar import SarUnits


class Sentinel1Scenes(SceneRasters):
    """Sentinel-1 backscatter, VV and VH, terrain-corrected, in any CRS and resolution.

    Under the key `sar`: `(2, H, W)` float32 in dB, whatever the files hold (dB, power, amplitude); `units` says `display` when the
    files are stretched pictures and were declared so. Warping is done in linear power.

    Args:
        s1_units: `db`, `power`, `amplitude` or `display`; found out from each file's values when None.
        **options: As `SceneRasters`. `bands` are of VV and VH.
    """

    key = "sar"
    modality = "Sentinel-1"

    def __init__(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = "data",
        crs: CRS | None = None,
        res: float | tuple[float, float] | None = None,
        bands: Sequence[str] | None = None,
        *,
        s1_units: SarUnits | None = None,
        **options: Any,  # noqa: ANN401 - those of the base class
    ) -> None:
        self._given_units = s1_units
        super().__init__(paths, crs, res, bands, **options)

    def _describe(self, path: str, bands: Sequence[str] | None, acquired: Acquisition | None) -> RasterEntry:
        reader, names, _ = open_sar(path, units=self._given_units)
        wanted = tuple(names if bands is None else bands)
        _require_bands(path, names, wanted, S1_BANDS)
        return RasterEntry(
            path=path,
            grid=reader.grid,
            bands=wanted,
            indexes=tuple(reader.indexes[names.index(name)] for name in wanted),
            units="display" if reader.units == "display" else "db",
            source=reader.units,
            acquired=acquired,
        )

    def _make_reader(self, entry: RasterEntry, grid: SceneGrid) -> RasterReader:
        units: Any = entry.source
        if units in ("db", "display") and self.lattice.holds(entry.grid):
            return RasterReader(entry.path)  # as it is: no way into power and back
        return SarReader(entry.path, indexes=entry.indexes, units=units, grid=grid)

    def _in_units(self, reader: RasterReader, window: Window, entry: RasterEntry) -> FloatArray:
        if not entry.indexes:  # for a model without Sentinel-1
            return np.empty((0, window.height, window.width), np.float32)
        if isinstance(reader, SarReader):
            return reader.read_backscatter(window)
        source = reader.handle
        values: FloatArray = reader.read(window, entry.indexes).astype(np.float32, copy=False)
        for number, index in enumerate(entry.indexes):
            band, nodata = values[number], source.nodatavals[index - 1]
            if nodata is not None and not np.isnan(nodata):
                band[band == np.float32(nodata)] = np.nan
            if (source.scales[index - 1], source.offsets[index - 1]) != (1.0, 0.0):
                band *= np.float32(source.scales[index - 1])
                band += np.float32(source.offsets[index - 1])
        values[np.isinf(values)] = np.nan  # minus infinity is the dB of no echo
        return values


class Sentinel2Scenes(SceneRasters):
    """Sentinel-2 reflectance, all bands of the files or the named ones, in any CRS and resolution; products (`.SAFE`, zips) too.

    Under the key `optical`: `(C, H, W)` float32 reflectance by the file's own scale and offset (see `geocr.io.open`). 8-bit files
    are pictures: they give their values, 0 to 255, and `units` says `display`.

    Args:
        s2_bands: Names of the files' bands in their order, where the files do not tell.
        s2_scale: Reflectance per DN, where the files do not tell.
        s2_offset: Reflectance at DN 0, where the files do not tell.
        **options: As `SceneRasters`.
    """

    key = "optical"
    modality = "Sentinel-2"

    def __init__(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = "data",
        crs: CRS | None = None,
        res: float | tuple[float, float] | None = None,
        bands: Sequence[str] | None = None,
        *,
        s2_bands: tuple[str, ...] | None = None,
        s2_scale: float | None = None,
        s2_offset: float | None = None,
        **options: Any,  # noqa: ANN401 - those of the base class
    ) -> None:
        self._given: dict[str, Any] = {"s2_bands": s2_bands, "s2_scale": s2_scale, "s2_offset": s2_offset}
        super().__init__(paths, crs, res, bands, **options)

    def _search(self, folder: Path) -> set[str]:
        """Rasters and products: a `.SAFE` folder counts once, as does the zip of one by its name."""
        if folder.suffix.upper() == ".SAFE":
            return {str(folder)}
        found = {str(path) for path in folder.glob("*.zip") if product_parts(path.name)}
        for path in folder.iterdir():
            if path.is_dir():
                found |= self._search(path)
            elif path.suffix.lower() in RASTER_SUFFIXES:
                found.add(str(path))
        return found

    def _tags(self, path: str) -> dict[str, str]:
        product = find_product(path)
        if product is None:
            return super()._tags(path)
        acquired = product.facts.acquired
        return {} if acquired is None else {"PRODUCT_START_TIME": acquired.isoformat()}

    def open_options(self, path: str) -> dict[str, Any]:
        """What `open_scene` must be told about a file: names and scale given by the caller, and 1 for pictures."""
        options = dict(self._given)
        if find_product(path) is not None:
            return options
        with open_raster(path) as source:
            picture = source.dtypes[0] == "uint8"
        if picture and options["s2_scale"] is None:
            options |= {"s2_scale": 1.0, "s2_offset": 0.0}
        return options

    def _describe(self, path: str, bands: Sequence[str] | None, acquired: Acquisition | None) -> RasterEntry:
        scene = open_scene(path, **self.open_options(path))
        wanted = tuple(scene.bands if bands is None else bands)
        _require_bands(path, scene.bands, wanted, scene.bands)
        return RasterEntry(
            path=path,
            grid=scene.grid,
            bands=wanted,
            indexes=tuple(scene.indexes[scene.bands.index(name)] for name in wanted),
            units="display" if scene.scale.dtype == "uint8" else "reflectance",
            source=scene.scale,
            acquired=acquired,
            vrt=scene.optical.vrt if isinstance(scene.optical, StackReader) else None,
        )

    def _make_reader(self, entry: RasterEntry, grid: SceneGrid) -> RasterReader:
        if entry.grid == grid or self.lattice.holds(entry.grid):
            return RasterReader(entry.raster)
        nodata = entry.source.nodata if isinstance(entry.source, OpticalScale) else None
        return WarpedReader(entry.raster, grid=grid, nodata=nodata)

    def _in_units(self, reader: RasterReader, window: Window, entry: RasterEntry) -> FloatArray:
        if not isinstance(entry.source, OpticalScale):
            raise TypeError(f"Sentinel-2 has an optical scale, got {entry.source!r}")
        dn = reader.read(window, entry.indexes)
        values = np.multiply(dn, np.float32(entry.source.scale), dtype=np.float32)  # a warped file brings NaN along
        if entry.source.offset:
            values += np.float32(entry.source.offset)
        if not isinstance(reader, WarpedReader):
            # a single band may be 0 by right (cirrus over clear land): only a pixel that is nodata in all bands was not observed
            missing = ~entry.source.observed(dn[:1])[0]
            if missing.any():
                values[:, missing & ~entry.source.observed(dn).any(axis=0)] = np.nan
        return values


def _require_bands(path: str, there: Sequence[str], wanted: Sequence[str], known: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in there]
    if missing:
        raise BandError(
            f"every file of a dataset must hold the bands asked for ({', '.join(wanted)}); {path} has {', '.join(there)} and lacks "
            f"{', '.join(missing)}; choose bands among {', '.join(name for name in known if name in there)}, or leave the file out"
        )
