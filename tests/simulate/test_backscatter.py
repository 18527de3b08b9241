import numpy as np
import pytest

from geocr.core.types import BoolArray, FloatArray
from geocr.simulate.backscatter import LOOKS, make_backscatter, mean_power, speckle
from geocr.simulate.landscape import LandCover, Landscape, make_landscape
from geocr.simulate.spectra import make_reflectance
from geocr.simulate.traits import Traits, make_traits

SHAPE = (256, 256)


@pytest.fixture(scope="module")
def ground() -> tuple[Landscape, Traits]:
    land = make_landscape(SHAPE, np.random.default_rng(7))
    return land, make_traits(land, np.random.default_rng(8), pixel_size_m=10.0)


def decibels(power: FloatArray) -> FloatArray:
    return 10 * np.log10(power)


@pytest.mark.parametrize("looks", [1.0, 4.5, 9.0])
def test_speckle_keeps_mean_power_and_has_its_looks(looks: float) -> None:
    field = speckle((400, 400), np.random.default_rng(0), looks=looks).astype(np.float64)
    assert field.min() >= 0
    assert field.mean() == pytest.approx(1, abs=0.02)
    assert field.mean() ** 2 / field.var() == pytest.approx(looks, rel=0.06)
    # third moment of a gamma variable: skewness 2 / sqrt(looks)
    assert ((field - field.mean()) ** 3).mean() / field.std() ** 3 == pytest.approx(2 / np.sqrt(looks), rel=0.12)


def test_speckle_is_alike_between_neighbours_only() -> None:
    field = speckle((400, 400), np.random.default_rng(1)) - 1
    near = (field[:, 1:] * field[:, :-1]).mean() / field.var()
    far = (field[:, 5:] * field[:, :-5]).mean() / field.var()
    assert 0.2 < near < 0.6
    assert abs(far) < 0.05


def test_speckle_differs_between_polarisations(ground: tuple[Landscape, Traits]) -> None:
    land, traits = ground
    noisy = make_backscatter(land, traits, np.random.default_rng(3))
    calm = decibels(mean_power(land, traits, np.random.default_rng(3)))
    grain = noisy - calm
    assert abs(np.corrcoef(grain[0].ravel(), grain[1].ravel())[0, 1]) < 0.05
    assert (10 ** (grain / 10)).mean() == pytest.approx(1, abs=0.03)
    assert 1 / (10 ** (grain / 10)).var() == pytest.approx(LOOKS, rel=0.1)


def test_covers_have_their_levels(ground: tuple[Landscape, Traits]) -> None:
    land, traits = ground
    vv, vh = decibels(mean_power(land, traits, np.random.default_rng(3)))

    def level(image: FloatArray, where: BoolArray) -> float:
        return float(np.median(image[where]))

    water, forest, town, crop = (land.where(cover) for cover in (LandCover.WATER, LandCover.FOREST, LandCover.SETTLEMENT, LandCover.CROP))
    assert level(vv, water) < -16
    assert level(vh, water) < -22
    assert -11 < level(vv, forest) < -7
    assert level(vh, forest) > level(vh, crop) + 3
    assert level(vv, town) > level(vv, crop) + 3
    assert np.quantile(vv[town], 0.99) > 0  # double bounces
    assert (vv > vh).mean() > 0.99


def test_backscatter_follows_moisture_and_biomass_within_a_cover(ground: tuple[Landscape, Traits]) -> None:
    land, traits = ground
    power = decibels(mean_power(land, traits, np.random.default_rng(3)))
    crop = land.where(LandCover.CROP)
    bare_soil = crop & (traits.biomass < 0.15)
    assert np.corrcoef(power[0][bare_soil], traits.moisture[bare_soil])[0, 1] > 0.3
    assert np.corrcoef(power[1][crop], traits.biomass[crop])[0, 1] > 0.5


def test_backscatter_tells_something_but_not_all_of_reflectance(ground: tuple[Landscape, Traits]) -> None:
    land, traits = ground
    radar = decibels(mean_power(land, traits, np.random.default_rng(3))).reshape(2, -1).T.astype(np.float64)
    light = make_reflectance(land, traits, np.random.default_rng(4), bands=("B04", "B08", "B11"), sun_zenith_deg=38, sun_azimuth_deg=155)
    design = np.column_stack([np.ones(len(radar)), radar, radar**2, radar[:, 0] * radar[:, 1]])
    for image in light:
        target = image.ravel().astype(np.float64)
        residual = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
        assert 0.05 < 1 - residual.var() / target.var() < 0.85
