"""Areas of interest: any format and CRS, the same mask whatever the window, and errors that say the cure."""

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from pyproj import Transformer
from rasterio.features import geometry_mask

from geocr.core.errors import GeocrError, GeoreferenceError, RasterNotFoundError, RasterReadError
from geocr.core.types import Window
from geocr.io.aoi import read_aoi
from geocr.io.grid import SceneGrid
from tests.scenes import TRANSFORM, UTM

GRID = SceneGrid(crs=UTM, transform=TRANSFORM, shape=(60, 80))
X, Y = TRANSFORM.c, TRANSFORM.f
SQUARE = shapely.Polygon([(X + 101, Y - 99), (X + 402, Y - 99), (X + 333, Y - 412), (X + 101, Y - 301)])


def expected() -> np.ndarray:
    return geometry_mask([SQUARE], out_shape=GRID.shape, transform=GRID.transform, invert=True)


def lonlat() -> shapely.Polygon:
    to = Transformer.from_crs(UTM.to_wkt(), "EPSG:4326", always_xy=True)
    return shapely.Polygon([to.transform(x, y) for x, y in SQUARE.exterior.coords])


@pytest.mark.parametrize("form", ["wkt", "srid", "geojson", "wkt file", "geopackage"])
def test_every_form_gives_the_same_mask(tmp_path: Path, form: str) -> None:
    if form == "geopackage":
        import geopandas

        source = str(tmp_path / "aoi.gpkg")
        geopandas.GeoDataFrame(geometry=[SQUARE], crs="EPSG:32633").to_file(source)
    elif form == "geojson":
        source = str(tmp_path / "aoi.geojson")
        feature = {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(lonlat())}
        Path(source).write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    elif form == "wkt file":
        source = str(tmp_path / "aoi.wkt")
        Path(source).write_text(lonlat().wkt)
    else:
        source = lonlat().wkt if form == "wkt" else f"SRID=32633;{SQUARE.wkt}"
    found = read_aoi(source, GRID).read(GRID.window)
    assert np.count_nonzero(found != expected()) <= 2
    assert found.any()
    assert not found.all()


def test_the_mask_does_not_depend_on_the_window() -> None:
    aoi = read_aoi(f"SRID=32633;{SQUARE.wkt}", GRID)
    whole = aoi.read(GRID.window)
    rng = np.random.default_rng(0)
    for _ in range(40):
        row, col = int(rng.integers(0, 59)), int(rng.integers(0, 79))
        window = Window(row=row, col=col, height=int(rng.integers(1, 61 - row)), width=int(rng.integers(1, 81 - col)))
        np.testing.assert_array_equal(aoi.read(window), whole[window.slices_in(GRID.window)])


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("SRID=abc;POLYGON((0 0,1 0,1 1,0 0))", GeoreferenceError, "EPSG code"),
        ("SRID=999999;POLYGON((0 0,1 0,1 1,0 0))", GeoreferenceError, "EPSG code"),
        ("POINT(1 2)", RasterReadError, "made of polygons"),
        ("POLYGON((1 2", RasterReadError, "well-formed"),
        ("POLYGON((0 0,1 0,1 1,0 0))", GeoreferenceError, "longitude first"),
        ("nothing.geojson", RasterNotFoundError, "nothing at"),
    ],
)
def test_bad_areas_say_what_is_wrong(source: str, kind: type[GeocrError], message: str) -> None:
    with pytest.raises(kind, match=message):
        read_aoi(source, GRID)
