"""A small archive of one place, as a static catalogue and as an API: items with files that are there.

The Sentinel-2 items are those of `../shared/data` where a test has it, else made alike; Sentinel-1 is always made.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pystac
from affine import Affine
from rasterio.crs import CRS
from shapely.geometry import mapping, shape

from geocr.catalog.footprint import footprint_of
from geocr.io.grid import SceneGrid
from tests.scenes import write_raster
from tests.web_server import Asked, WebServer

UTM = CRS.from_epsg(32633)
ORIGIN = (500_000.0, 5_200_000.0)
NOON = datetime(2023, 8, 15, 10, tzinfo=UTC)


@dataclass(frozen=True)
class Archive:
    """Items by collection, with absolute addresses."""

    items: dict[str, list[pystac.Item]]

    @property
    def all(self) -> list[pystac.Item]:
        return [item for items in self.items.values() for item in items]


def make_grid(col: float = 0, row: float = 0, *, size: int = 120, metres: float = 10.0) -> SceneGrid:
    """A grid so many kilometres to the east and south of the origin."""
    x, y = ORIGIN[0] + 1000 * col, ORIGIN[1] - 1000 * row
    return SceneGrid(crs=UTM, transform=Affine(metres, 0, x, 0, -metres, y), shape=(size, size))


def make_s2(
    folder: Path, name: str, time: datetime, *, grid: SceneGrid | None = None, cloud: float = 20.0, **properties: Any
) -> pystac.Item:
    """An L2A item as Earth Search has them: 10 and 20 m bands and SCL, offsets that were applied already."""
    grid = grid or make_grid()
    rng = np.random.default_rng(abs(hash(name)) % 2**32 if not name else len(name))
    place = folder / name
    place.mkdir(parents=True)
    coarse = SceneGrid(crs=grid.crs, transform=grid.transform * Affine.scale(2), shape=(grid.shape[0] // 2, grid.shape[1] // 2))
    item = _item(name, grid, time, "sentinel-2-l2a", {"eo:cloud_cover": cloud, "platform": "sentinel-2a", "constellation": "sentinel-2"})
    item.properties |= {
        "earthsearch:boa_offset_applied": True,
        "s2:processing_baseline": "05.09",
        "s2:product_type": "S2MSI2A",
    } | properties
    for key, band, its in (("red", "B04", grid), ("nir", "B08", grid), ("swir16", "B11", coarse)):
        pixels = rng.integers(200, 4000, (1, *its.shape)).astype(np.uint16)
        pixels[:, :3] = 0
        write_raster(place / f"{band}.tif", pixels, crs=its.crs, transform=its.transform, nodata=0, block=32)
        item.add_asset(key, _asset(place / f"{band}.tif", its, "uint16", 0, scale=1e-4, offset=-0.1))
    classes = rng.choice(np.array([4, 5, 8, 9], np.uint8), (1, *coarse.shape))
    write_raster(place / "SCL.tif", classes, crs=coarse.crs, transform=coarse.transform, nodata=0, block=32)
    item.add_asset("scl", _asset(place / "SCL.tif", coarse, "uint8", 0))
    return item


def make_s1(folder: Path, name: str, time: datetime, *, grid: SceneGrid | None = None, collection: str = "sentinel-1-rtc") -> pystac.Item:
    """An RTC item as Planetary Computer has them: gamma0 power, one file a polarisation."""
    grid = grid or make_grid(-0.5, -0.5, size=220)
    place = folder / name
    place.mkdir(parents=True)
    properties = {"platform": "SENTINEL-1A", "constellation": "Sentinel-1", "sat:orbit_state": "descending", "sat:relative_orbit": 124}
    item = _item(name, grid, time, collection, properties)
    for number, band in enumerate(("vh", "vv")):
        power = np.random.default_rng(number).gamma(4.0, 0.02, (1, *grid.shape)).astype(np.float32)
        power[:, -3:] = -32768
        write_raster(place / f"{band}.tif", power, crs=grid.crs, transform=grid.transform, nodata=-32768, block=32)
        item.add_asset(band, _asset(place / f"{band}.tif", grid, "float32", -32768))
    return item


def _item(name: str, grid: SceneGrid, time: datetime, collection: str, properties: dict[str, Any]) -> pystac.Item:
    found = footprint_of(grid)
    item = pystac.Item(id=name, geometry=found.geometry, bbox=list(found.bbox), datetime=time, properties=properties)
    item.collection_id = collection
    return item


def _asset(path: Path, grid: SceneGrid, dtype: str, nodata: float, **scaling: float) -> pystac.Asset:
    fields = {
        "proj:shape": list(grid.shape),
        "proj:transform": list(grid.transform[:6]),
        "raster:bands": [{"data_type": dtype, "nodata": nodata, **scaling}],
    }
    return pystac.Asset(href=str(path), media_type=pystac.MediaType.COG, roles=["data"], extra_fields=fields)


def make_archive(folder: Path) -> Archive:
    """Three Sentinel-2 and four Sentinel-1 images: a near one of half the place, a whole one a day later, a far one, and one elsewhere."""
    half = make_grid(-0.5, -0.5, size=110)
    return Archive(
        items={
            "sentinel-2-l2a": [
                make_s2(folder, "S2A_33TWM_20230815_0_L2A", NOON),
                make_s2(folder, "S2B_33TWM_20230818_0_L2A", NOON + timedelta(days=3), cloud=80.0),
                make_s2(folder, "S2A_33TWM_20230915_0_L2A", NOON + timedelta(days=31)),
            ],
            "sentinel-1-rtc": [
                make_s1(folder, "S1A_near_half", NOON + timedelta(hours=6), grid=half),
                make_s1(folder, "S1A_next_day", NOON + timedelta(days=1)),
                make_s1(folder, "S1A_far_in_time", NOON - timedelta(days=20)),
                make_s1(folder, "S1A_elsewhere", NOON, grid=make_grid(50, 0)),
            ],
        }
    )


def write_static(archive: Archive, folder: Path) -> Path:
    """A static catalogue with relative addresses; returns its catalog.json."""
    root = pystac.Catalog(id="archive", description="Test scenes")
    for name, items in archive.items.items():
        collection = pystac.Collection(id=name, description=name, extent=_extent(items))
        collection.add_items([item.clone() for item in items])
        root.add_child(collection)
    root.normalize_hrefs(str(folder))
    root.make_all_asset_hrefs_relative()
    root.save(catalog_type=pystac.CatalogType.SELF_CONTAINED)
    return folder / "catalog.json"


def _extent(items: Sequence[pystac.Item]) -> pystac.Extent:
    return pystac.Extent.from_items(list(items))


def serve(archive: Archive, server: WebServer, *, page: int = 2) -> str:
    """An API of the archive with honest pages, and its files beside it; returns its address."""
    root = f"{server.url}/api"
    core = ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/collections"]
    search = "https://api.stacspec.org/v1.0.0/item-search"
    collections = {name: _collection(name, items, root) for name, items in archive.items.items()}
    known = {item.id: _served(item, server, root) for item in archive.all}
    links = [
        {"rel": "self", "href": root, "type": "application/json"},
        {"rel": "root", "href": root, "type": "application/json"},
        {"rel": "data", "href": f"{root}/collections", "type": "application/json"},
        {"rel": "search", "href": f"{root}/search", "type": "application/geo+json", "method": "GET"},
    ]
    landing = {
        "type": "Catalog",
        "id": "api",
        "stac_version": "1.1.0",
        "description": "Test API",
        "conformsTo": [*core, search],
        "links": links,
    }
    server.answers["/api"] = lambda *_: landing
    server.answers["/api/collections"] = lambda *_: {"collections": list(collections.values()), "links": links[:2]}
    for name, collection in collections.items():
        server.answers[f"/api/collections/{name}"] = lambda *_, found=collection: found
    for name, content in known.items():
        server.answers[f"/api/collections/{content['collection']}/items/{name}"] = lambda *_, found=content: found
    server.answers["/api/search"] = lambda asked, _: _page(asked, list(known.values()), root, page)
    return root


def _collection(name: str, items: Sequence[pystac.Item], root: str) -> dict[str, Any]:
    found = pystac.Collection(id=name, description=name, extent=_extent(items)).to_dict(include_self_link=False)
    found["links"] = [{"rel": "self", "href": f"{root}/collections/{name}"}, {"rel": "root", "href": root}]
    return found


def _served(item: pystac.Item, server: WebServer, root: str) -> dict[str, Any]:
    content = item.to_dict(include_self_link=False)
    for key, asset in content["assets"].items():
        asset["href"] = server.put(f"files/{item.id}/{key}.tif", Path(asset["href"]))
    address = f"{root}/collections/{item.collection_id}"
    content["links"] = [
        {"rel": "self", "href": f"{address}/items/{item.id}", "type": "application/geo+json"},
        {"rel": "collection", "href": address, "type": "application/json"},
        {"rel": "root", "href": root, "type": "application/json"},
    ]
    return content


def _page(asked: Asked, items: list[dict[str, Any]], root: str, size: int) -> dict[str, Any]:
    """What the specification says of collections, bbox and datetime; the next page is found by its link alone."""
    one = {name: values[0] for name, values in asked.query.items()}
    wanted = one["collections"].split(",")
    west, south, east, north = (float(value) for value in one["bbox"].split(","))
    start, end = (datetime.fromisoformat(text) for text in one["datetime"].split("/"))
    box = shape({"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]]})
    found = [
        item
        for item in items
        if item["collection"] in wanted
        and shape(item["geometry"]).intersects(box)
        and start <= datetime.fromisoformat(item["properties"]["datetime"]) <= end
    ]
    first = int(one.get("token", 0))
    links = [{"rel": "root", "href": root, "type": "application/json"}]
    if first + size < len(found):
        query = "&".join(f"{name}={value}" for name, value in one.items() if name != "token")
        links.append(
            {"rel": "next", "href": f"{root}/search?{query}&token={first + size}", "method": "GET", "type": "application/geo+json"}
        )
    return json.loads(
        json.dumps({"type": "FeatureCollection", "features": found[first : first + size], "links": links, "at": mapping(box)})
    )  # type: ignore[no-any-return]
