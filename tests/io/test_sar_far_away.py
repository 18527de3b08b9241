"""Sentinel-1 across borders of maps: the neighbouring UTM zone, degrees, the antimeridian."""

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

from geocr.core.errors import NoOverlapError
from geocr.core.types import Window
from geocr.io.open import open_scene
from geocr.io.sar import SarReader
from tests.scenes import write_raster

SHAPE = (60, 80)
WHOLE = Window(row=0, col=0, height=60, width=80)
ZONE_1, ZONE_60, DEGREES = CRS.from_epsg(32701), CRS.from_epsg(32760), CRS.from_epsg(4326)


def utm_at(lon: float, lat: float, crs: CRS) -> Affine:
    """A grid of 10 m around a place."""
    (x,), (y,) = transform_points(DEGREES, crs, [lon], [lat])
    return Affine(10, 0, round(x / 10) * 10 - 400, 0, -10, round(y / 10) * 10 + 300)


def degrees_at(lon: float, lat: float) -> Affine:
    return Affine(1e-4, 0, lon - 0.01, 0, -1e-4, lat + 0.01)


def ramp(crs: CRS, transform: Affine, shape: tuple[int, int] = (200, 200)) -> np.ndarray:
    """dB that rises linearly with the true longitude east of 179.9 and, in VH, with latitude: it tells where a pixel lies."""
    cols, rows = np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5)
    xs, ys = transform * (cols.ravel(), rows.ravel())
    lons, lats = transform_points(crs, DEGREES, list(xs), list(ys))
    east = (np.asarray(lons) - 179.9) % 360
    return np.stack([-20 + 10 * east, 10 * (np.asarray(lats) + 17.5)]).reshape(2, *shape).astype(np.float32)


PLACES = {
    "zone 1 from degrees": (ZONE_1, utm_at(-179.9985, -17.0, ZONE_1), DEGREES, degrees_at(-179.9985, -17.0)),
    "zone 1 from degrees beyond 180": (ZONE_1, utm_at(179.9985, -17.0, ZONE_1), DEGREES, degrees_at(179.9985, -17.0)),
    "zone 1 from zone 60": (
        ZONE_1,
        utm_at(-179.999, -17.0, ZONE_1),
        ZONE_60,
        utm_at(-179.999, -17.0, ZONE_60) * Affine.translation(-60, -60),
    ),
    "zone 60 from zone 1": (
        ZONE_60,
        utm_at(179.999, -17.0, ZONE_60),
        ZONE_1,
        utm_at(179.999, -17.0, ZONE_1) * Affine.translation(-60, -60),
    ),
    "degrees from zone 1": (
        DEGREES,
        Affine(1e-4, 0, 179.997, 0, -1e-4, -16.997),
        ZONE_1,
        utm_at(-180.0, -17.0, ZONE_1) * Affine.translation(-60, -60),
    ),
    "degrees from degrees a turn away": (DEGREES, Affine(1e-4, 0, -180.003, 0, -1e-4, -16.997), DEGREES, degrees_at(180.0, -17.0)),
}


@pytest.mark.parametrize("place", PLACES)
def test_pixels_lie_where_they_are_across_the_antimeridian(tmp_path: Path, place: str) -> None:
    crs, transform, sar_crs, sar_transform = PLACES[place]
    s2 = write_raster(tmp_path / "s2.tif", np.full((1, *SHAPE), 1500, np.uint16), crs=crs, transform=transform, descriptions=("B02",))
    s1 = write_raster(tmp_path / "s1.tif", ramp(sar_crs, sar_transform), crs=sar_crs, transform=sar_transform, descriptions=("VV", "VH"))
    scene = open_scene(s2, s1, s1_units="db")
    read = scene.read_sar(WHOLE)
    expected = ramp(crs, transform, SHAPE)
    assert np.isfinite(read).mean() > 0.95
    np.testing.assert_allclose(read, np.where(np.isfinite(read), expected, np.nan), atol=2e-3)
    assert isinstance(scene.sar, SarReader)
    part = Window(row=11, col=37, height=20, width=30)
    np.testing.assert_array_equal(scene.read_sar(part), read[:, 11:31, 37:67])


def test_the_other_side_of_the_earth_does_not_overlap(tmp_path: Path) -> None:
    s2 = write_raster(
        tmp_path / "s2.tif",
        np.full((1, *SHAPE), 1500, np.uint16),
        crs=DEGREES,
        transform=Affine(1e-4, 0, 179.997, 0, -1e-4, -16.997),
        descriptions=("B02",),
    )
    s1 = write_raster(
        tmp_path / "s1.tif",
        np.full((2, 200, 200), -10, np.float32),
        crs=DEGREES,
        transform=degrees_at(0.0, -17.0),
        descriptions=("VV", "VH"),
    )
    with pytest.raises(NoOverlapError, match="must overlap"):
        open_scene(s2, s1)
