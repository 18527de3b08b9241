from pathlib import Path

import numpy as np
import pytest
import rasterio

from geocr.clouds.synthesize import apply_clouds
from geocr.core.errors import InputError
from geocr.radiometry.optical import OpticalScale
from geocr.simulate.large import WideClouds, make_wide_clouds, mirrored, write_large_scene
from geocr.simulate.scene import simulate_scene, sized_clouds

SUN = {"sun_zenith_deg": 38.0, "sun_azimuth_deg": 155.0}
ODD = (1037, 1191)


def wide(shape: tuple[int, int], cover: float = 0.3, seed: int = 0, **sun: float) -> WideClouds:
    spec = sized_clouds(shape, cloud_cover=cover, pixel_size_m=10.0, like=None)
    return make_wide_clouds(shape, spec=spec, rng=np.random.default_rng([seed, 5]), **SUN | sun)


def test_mirrored_repeats_without_seams() -> None:
    assert mirrored(np.arange(-3, 10), 3).tolist() == [2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1, 2, 2]


def test_odd_sizes_equal_the_specification(tmp_path: Path) -> None:
    bands = ("B02", "B10", "B11")
    paths = write_large_scene(tmp_path, shape=ODD, seed=6, cloud_cover=0.3, bands=bands, block_px=128, truth=True)
    block = simulate_scene(shape=(128, 128), seed=6, cloud_cover=0.0, bands=bands)
    field = wide(ODD, seed=6).strip(0, ODD[0])
    rows, cols = mirrored(np.arange(ODD[0]), 128), mirrored(np.arange(ODD[1]), 128)
    clear = block.clear[:, rows][:, :, cols]
    scale = OpticalScale(scale=1e-4, offset=0.0, nodata=0.0, dtype="uint16")
    assert paths.truth is not None
    with rasterio.open(paths.s2) as source, rasterio.open(paths.truth) as truth:
        assert source.shape == truth.shape == ODD
        assert source.descriptions == truth.descriptions == bands
        assert source.crs == block.crs
        assert source.transform == block.transform
        assert (source.nodata, source.dtypes[0], source.scales[0], source.offsets[0]) == (0, "uint16", 1e-4, 0.0)
        assert "MEAN_SUN_AZIMUTH_ANGLE" in source.tags()
        np.testing.assert_array_equal(truth.read(), scale.to_dn(clear))
        np.testing.assert_array_equal(source.read(), scale.to_dn(apply_clouds(clear, bands, field)))
        assert source.read().min() > 0
    with rasterio.open(paths.mask) as source:
        np.testing.assert_array_equal(source.read(1), field.cloud_mask | field.shadow_mask)
    with rasterio.open(paths.s1) as source:
        assert source.descriptions == ("VV", "VH")
        np.testing.assert_array_equal(source.read(), block.sar_db[:, rows][:, :, cols])


@pytest.mark.parametrize("shape", [(300, 520), (1500, 1450)])
def test_strips_do_not_depend_on_where_they_begin(shape: tuple[int, int]) -> None:
    clouds = wide(shape)
    whole, part = clouds.strip(0, shape[0]), clouds.strip(200, 37)
    for name in ("thick", "cirrus", "haze", "shadow", "cloud_mask", "shadow_mask"):
        assert getattr(whole, name)[200:237].tobytes() == getattr(part, name).tobytes()


@pytest.mark.parametrize("cover", [0.0, 0.3, 0.8, 1.0])
def test_cover_is_met_at_full_resolution(cover: float) -> None:
    shape = (2900, 3100)  # a coarse field of factor 3, levels set on every row
    clouds = wide(shape, cover)
    assert clouds.factor == 3
    share = sum(int(clouds.strip(row, 100).cloud_mask.sum()) for row in range(0, shape[0], 100)) / (shape[0] * shape[1])
    assert share == pytest.approx(cover, abs=2e-3)


def test_shadows_fall_away_from_the_sun() -> None:
    field = wide((400, 400), 0.2, sun_zenith_deg=45.0, sun_azimuth_deg=180.0).strip(0, 400)
    thick, shadow = field.thick > 4, field.shadow > 0
    overlap = [(np.roll(thick, dy, axis=0) & shadow)[100:300].mean() for dy in (-88, 88)]
    assert overlap[0] > 2 * overlap[1]


def test_no_array_is_as_large_as_the_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heights: list[int] = []
    strip = WideClouds.strip

    def watched(self: WideClouds, row: int, height: int) -> object:
        heights.append(height)
        return strip(self, row, height)

    monkeypatch.setattr(WideClouds, "strip", watched)
    write_large_scene(tmp_path, shape=(1100, 96), seed=0, bands=("B02",), block_px=64)
    assert heights == [512, 512, 76]


def test_no_truth_unless_asked_for(tmp_path: Path) -> None:
    paths = write_large_scene(tmp_path, shape=(64, 70), bands=("B02",), block_px=64)
    assert paths.truth is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scene_s1.tif", "scene_s2.tif", "truth_mask.tif"]


def test_too_small_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 64"):
        write_large_scene(tmp_path, shape=(63, 70))
