"""Areas of interest on both sides of the antimeridian, over scenes beside it."""

import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import Transformer
from rasterio.crs import CRS

from geocr.io.antimeridian import unwrap_longitudes
from geocr.io.aoi import read_aoi
from geocr.io.grid import SceneGrid

SOUTH, NORTH = 70.99, 71.01
WHERE = {
    "cut": f"MULTIPOLYGON(((179.9 {SOUTH},180 {SOUTH},180 {NORTH},179.9 {NORTH},179.9 {SOUTH})),((-180 {SOUTH},-179.9 {SOUTH},-179.9 {NORTH},-180 {NORTH},-180 {SOUTH})))",
    "not cut": f"POLYGON((179.9 {SOUTH},-179.9 {SOUTH},-179.9 {NORTH},179.9 {NORTH},179.9 {SOUTH}))",
    "beyond 180": f"POLYGON((179.9 {SOUTH},180.1 {SOUTH},180.1 {NORTH},179.9 {NORTH},179.9 {SOUTH}))",
    "below -180": f"POLYGON((-180.1 {SOUTH},-179.9 {SOUTH},-179.9 {NORTH},-180.1 {NORTH},-180.1 {SOUTH}))",
}


def grid_at(zone: int) -> SceneGrid:
    """A scene of 20 km whose middle is the antimeridian at 71 degrees north, in the UTM zone west or east of it."""
    crs = CRS.from_epsg(32600 + zone)
    x, y = Transformer.from_crs(4326, crs.to_wkt(), always_xy=True).transform(180.0, 71.0)
    return SceneGrid(crs=crs, transform=Affine(50, 0, round(x, -1) - 10_000, 0, -50, round(y, -1) + 10_000), shape=(400, 400))


def truth(grid: SceneGrid) -> np.ndarray:
    """Pixels whose centre lies within the tenth of a degree on either side."""
    rows, cols = np.mgrid[: grid.shape[0], : grid.shape[1]]
    x, y = grid.transform * (cols + 0.5, rows + 0.5)
    lon, lat = Transformer.from_crs(grid.crs.to_wkt(), 4326, always_xy=True).transform(x, y)
    return (np.abs(lon) > 179.9) & (lat > SOUTH) & (lat < NORTH)


@pytest.mark.parametrize("zone", [1, 60])
@pytest.mark.parametrize("written", WHERE)
def test_an_area_across_the_antimeridian_is_the_same_however_it_is_written(zone: int, written: str) -> None:
    grid = grid_at(zone)
    found, wanted = read_aoi(WHERE[written], grid).read(grid.window), truth(grid)
    assert wanted.sum() > 5_000
    assert (found != wanted).mean() < 2e-3  # edges between points of a hundredth of a degree, and the seam of a cut polygon


def test_elsewhere_a_wide_polygon_is_what_it_says() -> None:
    wide = shapely.box(-170, -60, 170, 60)
    assert unwrap_longitudes(wide, 12.0) is wide
    world = shapely.box(-180, -90, 180, 90)
    assert unwrap_longitudes(world, 179.0) is world
    narrow = unwrap_longitudes(shapely.box(-179.5, 10, 179.5, 11), 179.0)
    assert narrow.bounds[2] - narrow.bounds[0] == pytest.approx(1.0)


def test_a_hole_and_a_pole_are_kept() -> None:
    ring = shapely.Polygon([(179, 0), (-179, 0), (-179, 4), (179, 4)], [[(179.5, 1), (-179.5, 1), (-179.5, 3), (179.5, 3)]])
    assert unwrap_longitudes(ring, -179.0).area == pytest.approx(2 * 4 - 1 * 2)
    pole = shapely.Polygon([(-120, 80), (0, 80), (120, 80), (179, 80), (-175, 80), (-175, 85), (179, 85)])
    assert unwrap_longitudes(pole, 179.0).is_valid
