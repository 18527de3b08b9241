"""Footprints: corners where pyproj puts them, split at the antimeridian, longitudes in range."""

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.crs import CRS

from geocr.catalog.footprint import footprint_of, outline
from geocr.io.grid import SceneGrid

TILE = Affine(10.0, 0.0, 499_980.0, 0.0, -10.0, 5_200_020.0)


def test_the_tile_of_a_published_item() -> None:
    grid = SceneGrid(crs=CRS.from_epsg(32633), transform=TILE, shape=(10980, 10980))
    found = footprint_of(grid)
    to_degrees = Transformer.from_crs(32633, 4326, always_xy=True)
    corners = [to_degrees.transform(499_980.0 + x, 5_200_020.0 - y) for x, y in ((0, 0), (109_800, 0), (109_800, 109_800), (0, 109_800))]
    ring = np.array(found.geometry["coordinates"][0])
    for corner in corners:
        assert np.hypot(*(ring - corner).T).min() < 1e-6
    assert found.bbox[0] == pytest.approx(14.99974, abs=1e-5)  # MGRS 33TWM begins at the central meridian
    assert shapely.LinearRing(ring).is_ccw
    assert found.geometry["type"] == "Polygon"


def test_a_grid_across_the_antimeridian_is_split() -> None:
    grid = SceneGrid(crs=CRS.from_epsg(32701), transform=Affine(10.0, 0.0, 160_000.0, 0.0, -10.0, 8_200_000.0), shape=(5000, 5000))
    found = footprint_of(grid)
    west, _, east, _ = found.bbox
    assert found.geometry["type"] == "MultiPolygon"
    assert west > 170
    assert east < -170
    parts = shapely.geometry.shape(found.geometry).geoms
    assert len(parts) == 2
    for part in parts:
        assert -180 <= part.bounds[0] < part.bounds[2] <= 180
        assert part.exterior.is_ccw
    to_degrees = Transformer.from_crs(32701, 4326, always_xy=True)
    whole = shapely.geometry.shape(found.geometry)
    for x, y in ((161_000, 8_199_000), (185_000, 8_175_000), (209_000, 8_151_000)):
        assert whole.intersects(shapely.Point(to_degrees.transform(x, y)))


@given(
    lon=st.floats(-180, 179.99),
    lat=st.floats(-70, 70),
    width=st.floats(0.01, 20),
    height=st.floats(0.01, 10),
    turns=st.integers(-2, 2),
)
def test_an_outline_is_where_its_corners_are(lon: float, lat: float, width: float, height: float, turns: int) -> None:
    corners = [(lon, lat), (lon + width, lat), (lon + width, lat + height), (lon, lat + height)]
    found = outline([x + 360 * turns for x, _ in corners], [y for _, y in corners])
    shape = shapely.geometry.shape(found.geometry)
    assert shape.is_valid
    assert shape.area == pytest.approx(width * height, rel=1e-3)
    west, south, east, north = found.bbox
    assert (west > east) == (lon + width > 180 + 1e-7)
    assert -180 <= west <= 180 + 1e-7
    assert -180 <= east <= 180
    assert (south, north) == (pytest.approx(lat, abs=1e-6), pytest.approx(lat + height, abs=1e-6))
    middle = (lon + width / 2 + 180) % 360 - 180
    assert shape.contains(shapely.Point(middle, lat + height / 2))
