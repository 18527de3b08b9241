"""STAC items of rasters: JSON by the specification 1.1.0, made from what is known of them without opening a file.

Extensions: projection 2.0.0, eo 1.1.0, raster 1.1.0, processing 1.2.0, classification 2.0.0 (https://stac-extensions.github.io). Of eo and
raster these are the versions that keep bands in `eo:bands` and `raster:bands`, where today's readers look for them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from geocr.catalog.footprint import footprint_of
from geocr.core.bands import S2_BANDS, canonical_s2_band
from geocr.io.grid import SceneGrid
from geocr.io.spec import RasterSpec

STAC_VERSION = "1.1.0"
"""Of the items and collections that geocr writes."""
_EXTENSION = "https://stac-extensions.github.io/{}/schema.json"
PROJECTION, EO, RASTER, PROCESSING, CLASSIFICATION = (
    _EXTENSION.format(name) for name in ("projection/v2.0.0", "eo/v1.1.0", "raster/v1.1.0", "processing/v1.2.0", "classification/v2.0.0")
)
COG_TYPE = "image/tiff; application=geotiff; profile=cloud-optimized"
"""Media type of a Cloud-Optimized GeoTIFF."""
_MEDIA_TYPES = {
    ".tif": "image/tiff; application=geotiff",
    ".tiff": "image/tiff; application=geotiff",
    ".jp2": "image/jp2",
    ".json": "application/geo+json",
    ".png": "image/png",
    ".html": "text/html",
    ".zip": "application/zip",
    ".xml": "application/xml",
}
FIRST_SENTINEL_2 = datetime(2015, 6, 23, tzinfo=UTC)
"""Launch of Sentinel-2A (ESA): no Sentinel-2 image is older."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemAsset:
    """One file of an item."""

    href: str
    """Its address, relative to the item where both lie together."""
    title: str
    """What it is, in a few words."""
    roles: tuple[str, ...]
    """STAC asset roles: `data`, `metadata`, `overview` and so on."""
    spec: RasterSpec | None = None
    """What the raster is; None for files that are no raster of the item's grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemTime:
    """When the scene was taken, as exactly as it is known."""

    acquired: datetime | None
    """Sensing time, UTC; None when unknown."""
    before: datetime | None = None
    """A time at which the input existed; bounds an unknown acquisition. The processing's own when None."""

    def properties(self) -> dict[str, Any]:
        """`datetime`, or null with the range that it must lie in."""
        if self.acquired is not None:
            return {"datetime": stac_time(self.acquired)}
        before = max(self.before or datetime.now(UTC), FIRST_SENTINEL_2)
        return {"datetime": None, "start_datetime": stac_time(FIRST_SENTINEL_2), "end_datetime": stac_time(before)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemLink:
    """A link of an item."""

    rel: str
    href: str
    title: str | None = None
    type: str | None = None

    def as_json(self) -> dict[str, str]:
        """Without what is not known."""
        found = {"rel": self.rel, "href": self.href, "type": self.type or media_type(self.href), "title": self.title}
        return {key: value for key, value in found.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneItem:
    """All that an item says."""

    id: str
    grid: SceneGrid
    time: ItemTime
    assets: Mapping[str, ItemAsset]
    properties: Mapping[str, Any] = field(default_factory=dict)
    """Further properties; those whose value is None are left out."""
    links: Sequence[ItemLink] = ()
    collection: str | None = None
    """Id of the collection that a link `collection` among `links` leads to."""

    def as_json(self) -> dict[str, Any]:
        """The item as a GeoJSON feature; equal items give equal JSON, in one order of keys."""
        footprint = footprint_of(self.grid)
        item: dict[str, Any] = {
            "type": "Feature",
            "stac_version": STAC_VERSION,
            "stac_extensions": [PROJECTION, EO, RASTER, PROCESSING],
            "id": self.id,
            "geometry": footprint.geometry,
            "bbox": list(footprint.bbox),
            "properties": {
                **self.time.properties(),
                **projection(self.grid),
                "gsd": float(f"{self.grid.pixel_size_m:.6g}"),
                **{key: value for key, value in self.properties.items() if value is not None},
            },
            "links": [link.as_json() for link in self.links],
            "assets": {name: _asset(asset, self.grid) for name, asset in self.assets.items()},
        }
        if any("classification:classes" in asset for asset in item["assets"].values()):
            item["stac_extensions"].append(CLASSIFICATION)
        if self.collection is not None:
            item["collection"] = self.collection
        return item


def stac_time(time: datetime) -> str:
    """RFC 3339 in UTC, as STAC wants it: `2023-08-15T09:57:57.246Z`; a time without a zone is UTC."""
    aware = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return aware.isoformat(timespec="milliseconds" if aware.microsecond else "seconds").replace("+00:00", "Z")


def media_type(href: str) -> str | None:
    """By the name's ending; None when it tells nothing."""
    return _MEDIA_TYPES.get(PurePosixPath(href.partition("?")[0]).suffix.lower())


def projection(grid: SceneGrid) -> dict[str, Any]:
    """Fields of the projection extension for a grid: code (or WKT2 where the CRS has none), shape and transform."""
    code = grid.crs.to_authority()
    reference: dict[str, Any] = {"proj:code": ":".join(code)} if code else {"proj:code": None, "proj:wkt2": _wkt2(grid)}
    return {**reference, "proj:shape": list(grid.shape), "proj:transform": [float(value) for value in grid.transform[:6]]}


def _wkt2(grid: SceneGrid) -> str:
    from pyproj import CRS  # noqa: PLC0415 - few grids need it

    return str(CRS.from_wkt(grid.crs.to_wkt()).to_wkt("WKT2_2019"))


def _asset(asset: ItemAsset, grid: SceneGrid) -> dict[str, Any]:
    media = COG_TYPE if asset.spec is not None else media_type(asset.href)
    found: dict[str, Any] = {"href": asset.href, "title": asset.title, "type": media, "roles": list(asset.roles)}
    if asset.spec is not None:
        found["raster:bands"] = list(_raster_bands(asset.spec, grid))
        names = [canonical_s2_band(text) if text else None for text in asset.spec.descriptions]
        if "reflectance" in asset.roles:
            found["eo:bands"] = [eo_band(name, text or f"band {n}") for n, (name, text) in enumerate(_zip(names, asset.spec), start=1)]
        if asset.spec.categories:
            found["classification:classes"] = list(_classes(asset.spec))
    return {key: value for key, value in found.items() if value is not None}


def _zip(names: Sequence[str | None], spec: RasterSpec) -> Iterable[tuple[str | None, str | None]]:
    return zip(names, spec.descriptions, strict=True)


def _raster_bands(spec: RasterSpec, grid: SceneGrid) -> Iterable[dict[str, Any]]:
    for _ in range(spec.count):
        band: dict[str, Any] = {"data_type": np.dtype(spec.dtype).name, "spatial_resolution": float(f"{grid.pixel_size_m:.6g}")}
        if spec.nodata is not None:
            band["nodata"] = json_number(spec.nodata)
        if (spec.scale, spec.offset) != (1.0, 0.0):
            band |= {"scale": spec.scale, "offset": spec.offset}
        yield band


def json_number(value: float) -> float | int | str:
    """A nodata value as the raster extension writes it: JSON has no NaN and no infinity, they are words."""
    if np.isnan(value):
        return "nan"
    if np.isinf(value):
        return "inf" if value > 0 else "-inf"
    return int(value) if float(value).is_integer() else float(value)


def eo_band(name: str | None, text: str) -> dict[str, Any]:
    """A band as the eo extension describes it.

    Args:
        name: Canonical name of a Sentinel-2 band, or None for another.
        text: What the band is called where it is none of Sentinel-2's.
    """
    if name is None:
        return {"name": text}
    band = S2_BANDS[name]
    common = "rededge" if band.common_name.startswith("rededge") else band.common_name  # eo 1.1.0 has one word for all three
    return {"name": name, "common_name": common, "center_wavelength": round(band.wavelength_nm / 1000, 4)}


def _classes(spec: RasterSpec) -> Iterable[dict[str, Any]]:
    for value, (name, colour) in sorted(spec.categories.items()):
        entry = {
            "value": int(value),
            "name": name.replace(" ", "_"),
            "description": name,
            "color_hint": "{:02X}{:02X}{:02X}".format(*colour),
        }
        yield entry | ({"nodata": True} if value == spec.nodata else {})
