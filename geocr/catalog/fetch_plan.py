"""What is fetched: for each file of a pair the window that the area needs, decided from items and headers before a pixel is read."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from shapely.geometry.base import BaseGeometry

from geocr.catalog.places import without_query
from geocr.catalog.window import coarser, outline_of, part_of, window_of
from geocr.core.bands import S1_BANDS
from geocr.core.errors import GeoreferenceError, InputError
from geocr.core.types import Window
from geocr.io.grid import SceneGrid, grid_of
from geocr.io.products.find import find_product
from geocr.io.products.product import QUANTIFICATION, OpticalProduct
from geocr.io.raster import absolute_path, open_raster
from geocr.io.sar_item import item_source
from geocr.io.spec import RasterSpec
from geocr.io.stac import StacItem, names_item, read_item

MARGIN_PX = 4
"""Pixels more round the window of coarser bands and of Sentinel-1, which is interpolated: a cubic kernel reaches two pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One file to fetch: a window of one band of a remote raster."""

    asset: str
    """Its key in the local item: a band's name, or `scl`."""
    href: str
    """The remote raster."""
    index: int
    """1-based number of the band in it."""
    window: Window = field(repr=False)
    """What is read of the remote raster."""
    source: SceneGrid = field(repr=False)
    """The remote raster's grid."""
    grid: SceneGrid = field(repr=False)
    """The local file's grid: the window's, or a coarser one from the same corner."""
    dtype: str
    nodata: float | None
    scaling: tuple[float, float] | None
    """Scale and offset for the local file; None for classes and for Sentinel-1."""
    resampling: str
    """`nearest` where pixels are copied, `average` or `mode` onto a coarser grid."""
    out: Path
    """The local file."""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Uncompressed size of what is read."""
        return self.window.height * self.window.width * np.dtype(self.dtype).itemsize

    @property
    def digest(self) -> str:
        """Hash of all that decides the local file; written into it, so that a later run knows it."""
        facts = [without_query(self.href) if "://" in self.href else self.href, self.index, repr(self.window), repr(self.grid.shape)]
        facts += [self.dtype, repr(self.nodata), repr(self.scaling), self.resampling, self.asset]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]

    def spec(self) -> RasterSpec:
        """The local file apart from its pixels."""
        scale, offset = self.scaling or (1.0, 0.0)
        return RasterSpec(
            grid=self.grid,
            count=1,
            dtype=self.dtype,
            nodata=self.nodata,
            descriptions=(self.asset,),
            scale=scale,
            offset=offset,
            tags={**self.tags, "GEOCR_FETCHED": self.digest},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemPlan:
    """One image of a pair: its files, and the item that will describe them."""

    source: StacItem
    """The item as the catalogue has it."""
    pieces: tuple[Piece, ...]
    place: Path
    """Where the local item goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairPlan:
    """A pair to fetch."""

    s2: ItemPlan
    s1: tuple[ItemPlan, ...]
    notes: tuple[str, ...] = ()

    @property
    def items(self) -> tuple[ItemPlan, ...]:
        """All images."""
        return (self.s2, *self.s1)

    @property
    def nbytes(self) -> int:
        """Uncompressed size of what is read."""
        return sum(piece.nbytes for item in self.items for piece in item.pieces)


def plan_pair(s2: str, s1: Sequence[str], folder: Path, *, area: BaseGeometry | None, resolution_m: float | None) -> PairPlan | None:
    """Decide what of a pair is fetched; reads items and headers of rasters.

    Args:
        s2: STAC item of the Sentinel-2 image: a path or URL.
        s1: STAC items of Sentinel-1 images.
        folder: Where a folder of the pair's own is made.
        area: Polygons in degrees (WGS 84); the whole image when None.
        resolution_m: Bands with finer pixels are averaged to this; all stay as they are when None.

    Returns:
        The plan; None when the Sentinel-2 image does not touch the area.

    Raises:
        InputError: When one of them is no item.
        GeoreferenceError: When a Sentinel-1 image lies in radar geometry.
        GeocrError: As reading items and opening rasters.
    """
    item = _item(s2)
    product = find_product(absolute_path(s2))
    if product is None:
        raise InputError(f"fetch reads STAC items; {s2} is none")
    home = folder / item.id
    pieces = _optical_pieces(product, _Home(folder=home, tags=_optical_tags(product, item), resolution_m=resolution_m), area)
    if not pieces:
        return None
    around = outline_of(pieces[0].grid)
    notes, radar = [], []
    for place in s1:
        found = _sar_plan(_item(place), home, around, resolution_m)
        if found is None:
            notes.append(f"{place} does not reach the window of {item.id}: left out")
        else:
            radar.append(found)
    return PairPlan(s2=ItemPlan(source=item, pieces=pieces, place=home / f"{item.id}.json"), s1=tuple(radar), notes=tuple(notes))


def _item(place: str) -> StacItem:
    if not names_item(place):
        raise InputError(
            f"fetch reads STAC items (a .json file, or the URL of an item), got {place}; a raster is read in place by predict-scene"
        )
    return read_item(place)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Raster:
    """A band of a remote raster, as its header tells."""

    path: str
    index: int
    grid: SceneGrid
    dtype: str
    nodata: float | None
    text: str | None

    @classmethod
    def all_of(cls, path: str) -> tuple["_Raster", ...]:
        """Every band of a raster."""
        with open_raster(path) as source:
            grid = grid_of(source, path)
            bands = zip(source.dtypes, source.nodatavals, source.descriptions, strict=True)
            return tuple(
                cls(path=path, index=number, grid=grid, dtype=dtype, nodata=nodata, text=text)
                for number, (dtype, nodata, text) in enumerate(bands, start=1)
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Home:
    """Where an image's files go, and how."""

    folder: Path
    tags: Mapping[str, str]
    resolution_m: float | None

    def piece(
        self, asset: str, raster: _Raster, window: Window, *, coarse: str, scaling: tuple[float, float] | None = None, nodata: float | None
    ) -> Piece:
        """A file to fetch; `coarse` is how it is brought onto a coarser grid, if it is."""
        own = part_of(raster.grid, window)
        target = own if self.resolution_m is None else coarser(own, self.resolution_m)
        return Piece(
            asset=asset,
            href=raster.path,
            index=raster.index,
            window=window,
            source=raster.grid,
            grid=target,
            dtype=raster.dtype,
            nodata=nodata,
            scaling=scaling,
            resampling="nearest" if target == own else coarse,
            out=self.folder / f"{asset}.tif",
            tags=self.tags,
        )


def _optical_pieces(product: OpticalProduct, home: _Home, area: BaseGeometry | None) -> tuple[Piece, ...]:
    """The finest band first, whose window the others follow."""
    files = product.chosen(None)
    rasters = {file.band: _Raster.all_of(file.path)[file.index - 1] for file in files}
    order = sorted(files, key=lambda file: rasters[file.band].grid.pixel_size_m)
    finest = rasters[order[0].band].grid
    inner = finest.window if area is None else window_of(area, finest)
    if inner is None:
        return ()
    inside = outline_of(part_of(finest, inner))
    pieces = []
    for file in order:
        raster = rasters[file.band]
        window = inner if raster.grid == finest else _window_round(inside, raster)
        nodata = 0.0 if raster.nodata is None and np.dtype(raster.dtype).kind != "f" else raster.nodata
        scale = 1 / QUANTIFICATION if file.scale is None else file.scale
        pieces.append(home.piece(file.band, raster, window, coarse="average", scaling=(scale, file.offset or 0.0), nodata=nodata))
    if product.facts.scl is not None:
        (classes, *_) = _Raster.all_of(product.facts.scl)
        pieces.append(home.piece("scl", classes, _window_round(inside, classes), coarse="mode", nodata=0.0))
    return tuple(pieces)


def _window_round(inside: BaseGeometry, raster: _Raster) -> Window:
    """The window of a coarser band of a scene."""
    window = window_of(inside, raster.grid, margin_px=MARGIN_PX)
    if window is None:
        raise GeoreferenceError(f"all bands of a scene cover the same ground; {raster.path} does not reach the window of the others")
    return window


def _sar_plan(item: StacItem, home: Path, around: BaseGeometry, resolution_m: float | None) -> ItemPlan | None:
    """None when the image does not reach the window."""
    found = item_source(item.place)
    if found.geometry == "radar":
        raise GeoreferenceError(
            f"Sentinel-1 must be terrain-corrected; {item.place} lies in radar geometry (GRD); search an RTC collection, for example sentinel-1-rtc of Planetary Computer"
        )
    place = _Home(folder=home / item.id, tags=_sar_tags(item), resolution_m=resolution_m)
    pieces = []
    for number, path in enumerate(found.rasters):
        for raster in _Raster.all_of(path):
            window = window_of(around, raster.grid, margin_px=MARGIN_PX)
            if window is None:
                return None
            name = found.polarisations[number] if found.polarisations else (raster.text or S1_BANDS[min(raster.index, 2) - 1])
            pieces.append(place.piece(name, raster, window, coarse="average", nodata=raster.nodata))
    return ItemPlan(source=item, pieces=tuple(pieces), place=home / f"{item.id}.json")


def _optical_tags(product: OpticalProduct, item: StacItem) -> dict[str, str]:
    """What a band tells by itself, without its item."""
    facts = product.facts
    values: dict[str, Any] = {
        "PRODUCT_URI": facts.product or item.id,
        "PROCESSING_LEVEL": None if facts.level is None else f"Level-{facts.level[1:]}",
        "PROCESSING_BASELINE": facts.baseline,
        "datetime": None if facts.acquired is None else facts.acquired.isoformat(),
    }
    return {key: str(value) for key, value in values.items() if value is not None}


def _sar_tags(item: StacItem) -> dict[str, str]:
    kept = ("datetime", "sat:orbit_state", "sat:relative_orbit", "platform")
    return {"PRODUCT_URI": item.id} | {key: str(item.properties[key]) for key in kept if item.properties.get(key) is not None}
