import numpy as np
import pytest
from scipy import ndimage

from geocr.simulate.landscape import CROPS, LandCover, make_landscape
from geocr.simulate.parcels import lay_districts, lay_parcels, mix, normal, parcel_borders, uniform
from geocr.simulate.relief import make_relief
from geocr.simulate.spectra import illumination
from geocr.simulate.traits import make_traits


def test_hash_is_uniform_and_salted() -> None:
    keys = np.arange(20000, dtype=np.uint64)
    draw = uniform(keys, 1)
    assert 0 <= draw.min() < draw.max() < 1
    assert np.histogram(draw, 10)[0].std() < 100
    assert abs(np.corrcoef(draw, uniform(keys, 2))[0, 1]) < 0.03
    assert np.unique(mix(keys, 5)).size == keys.size
    assert normal(keys, 9).mean() == pytest.approx(0, abs=0.03)
    assert normal(keys, 9).std() == pytest.approx(1, abs=0.03)


def test_parcels_have_about_the_size_asked_for_and_are_compact() -> None:
    rng = np.random.default_rng(0)
    districts = lay_districts((300, 300), rng, spacing_px=120)
    parcels = lay_parcels(districts, rng, length_px=40, width_px=20)
    _, sizes = np.unique(parcels, return_counts=True)
    assert 150 < np.sum(sizes**2) / np.sum(sizes) < 2500
    borders = parcel_borders(parcels)
    assert 0.03 < borders.mean() < 0.25
    assert ndimage.label(~borders)[1] > 60


def test_water_lies_low_and_the_lake_is_level() -> None:
    relief = make_relief((200, 260), np.random.default_rng(2), pixel_size_m=10.0)
    assert relief.elevation_m[relief.river].mean() < np.quantile(relief.elevation_m, 0.35)
    assert np.ptp(ndimage.grey_erosion(relief.elevation_m, 1)[ndimage.binary_erosion(relief.lake, iterations=5)]) < 1.0
    assert 0.003 < relief.lake.mean() < 0.02
    rows, cols = np.nonzero(relief.river)
    assert np.ptp(rows) >= 198 or np.ptp(cols) >= 258  # from side to side


def test_slopes_are_the_derivatives_of_elevation_north_up() -> None:
    relief = make_relief((100, 100), np.random.default_rng(2), pixel_size_m=20.0)
    east = (relief.elevation_m[50, 61] - relief.elevation_m[50, 59]) / 40
    north = (relief.elevation_m[49, 60] - relief.elevation_m[51, 60]) / 40
    assert relief.slope_east[50, 60] == pytest.approx(east, abs=1e-5)
    assert relief.slope_north[50, 60] == pytest.approx(north, abs=1e-5)


def test_slopes_that_face_the_sun_are_brighter() -> None:
    relief = make_relief((100, 100), np.random.default_rng(2), pixel_size_m=10.0)
    light = illumination(relief, sun_zenith_deg=45, sun_azimuth_deg=90)
    assert np.corrcoef(light.ravel(), relief.slope_east.ravel())[0, 1] < -0.9
    light = illumination(relief, sun_zenith_deg=45, sun_azimuth_deg=180)
    assert np.corrcoef(light.ravel(), relief.slope_north.ravel())[0, 1] > 0.9


def test_fields_grow_a_mosaic_of_crops_with_variation_within_and_between() -> None:
    land = make_landscape((300, 300), np.random.default_rng(1))
    traits = make_traits(land, np.random.default_rng(2), pixel_size_m=10.0)
    crop = land.where(LandCover.CROP)
    assert 8 <= np.unique(land.crop[crop]).size <= len(CROPS) == 11
    parcels, member = np.unique(land.parcel[crop], return_inverse=True)
    values = traits.green[crop].astype(np.float64)
    count = np.bincount(member)
    mean = np.bincount(member, values) / count
    within = np.sqrt(np.mean((values - mean[member]) ** 2))
    assert 0.01 < within < 0.12 < mean.std()
    assert parcels.size > 100


def test_traits_stay_in_their_range() -> None:
    land = make_landscape((96, 130), np.random.default_rng(1))
    traits = make_traits(land, np.random.default_rng(2), pixel_size_m=10.0)
    for name in traits.__slots__:
        values = getattr(traits, name)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
        if name != "rows":
            assert 0 <= values.min() <= values.max() <= 1
    assert (traits.green + traits.dry).max() <= 1 + 1e-6
