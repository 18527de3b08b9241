"""Cloud masks of real Sentinel-2 scenes; the numbers asserted are floors under what was measured."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from geocr.clouds import detection
from geocr.clouds.selection import make_cloud_mask
from geocr.core.types import BoolArray
from geocr.io.open import open_scene
from geocr.io.scene import Scene
from tests.scenes import UTM, write_raster

pytestmark = pytest.mark.real_data
ALPS = "s2_l2a_scene_T33TWM_120m"
CLEAR, CLEARER, CLOUDY = "S2B_33TWM_20230813_0_L2A", "S2A_33TWM_20230815_0_L2A", "S2A_33TWM_20230818_0_L2A"
SUN = {"sun_zenith_deg": 90 - 54.8217047881152, "sun_azimuth_deg": 157.132706150966}  # STAC item of 18 August


def f1(found: BoolArray, truth: BoolArray) -> float:
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


def iou(found: BoolArray, truth: BoolArray) -> float:
    return float((found & truth).sum() / (found | truth).sum())


def with_crs(source: Path, folder: Path) -> Scene:
    """The scene, in a copy that has a CRS when the file has none."""
    with rasterio.open(source) as dataset:
        if dataset.crs is not None:
            return open_scene(str(source))
        pixels = dataset.read()
    return open_scene(write_raster(folder / source.name, pixels, crs=UTM, transform=Affine(10, 0, 500_000, 0, -10, 5_000_000)))


def alps(folder: Path, date: str, tmp_path: Path) -> tuple[Scene, str, BoolArray]:
    """Scene of B02, B03, B04, B08, path of its SCL, and the SCL's values."""
    place = folder / ALPS / date
    names = ("B02", "B03", "B04", "B08")
    pixels = np.stack([rasterio.open(place / f"{name}.tif").read(1) for name in names])
    with rasterio.open(place / "SCL.tif") as dataset:
        scl, transform = dataset.read(1), dataset.transform
    path = write_raster(tmp_path / f"{date}.tif", pixels, crs=dataset.crs, transform=transform, nodata=0, descriptions=names, scale=1e-4)
    return open_scene(path), str(place / "SCL.tif"), scl


@pytest.mark.parametrize(("date", "share"), [(CLEAR, 0.010), (CLEARER, 0.002), (CLOUDY, 0.422)])
def test_scl_shares_are_those_of_the_product(real_data: Path, tmp_path: Path, date: str, share: float) -> None:
    scene, path, scl = alps(real_data, date, tmp_path)
    mask = make_cloud_mask(scene, scl=path, buffer_m=0)
    found = mask.read(scene.grid.window)
    assert mask.source == "scl"
    assert (found & (scl != 3)).mean() == pytest.approx(share, abs=0.001)
    assert (found & (scl == 3)).sum() == (scl == 3).sum()
    assert not any("cover" in note for note in mask.notes)


@pytest.mark.parametrize(("date", "share", "agreement"), [(CLEAR, 0.0093, 0.60), (CLEARER, 0.0026, 0.28), (CLOUDY, 0.332, 0.72)])
def test_four_bands_find_the_clouds_of_the_scene_classification(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, date: str, share: float, agreement: float
) -> None:
    scene, _, scl = alps(real_data, date, tmp_path)
    monkeypatch.setattr(detection, "find_shadows", lambda cloud, *_, **__: np.zeros_like(cloud))
    mask = make_cloud_mask(scene, buffer_m=0)
    assert mask.source == "rule"
    clouds = mask.read(scene.grid.window)
    assert clouds.mean() == pytest.approx(share, abs=0.002)
    assert iou(clouds, np.isin(scl, (8, 9, 10))) >= agreement


def test_shadows_of_few_clouds_stay_few(real_data: Path, tmp_path: Path) -> None:
    scene, _, _ = alps(real_data, CLEAR, tmp_path)
    assert make_cloud_mask(scene, buffer_m=0).describe()["shadow_share"] < 0.03  # type: ignore[operator]


def test_shadows_lie_where_the_sun_throws_them(real_data: Path, tmp_path: Path) -> None:
    scene, _, scl = alps(real_data, CLOUDY, tmp_path)
    truth = np.isin(scl, (3, 8, 9, 10))

    def agreement(azimuth: float) -> float:
        mask = make_cloud_mask(scene, buffer_m=0, sun_zenith_deg=SUN["sun_zenith_deg"], sun_azimuth_deg=azimuth)
        return f1(mask.read(scene.grid.window), truth)

    right, wrong = agreement(SUN["sun_azimuth_deg"]), agreement(SUN["sun_azimuth_deg"] - 180)
    assert right > 0.80
    assert right > wrong + 0.02


CLOUDY_SHARES = {
    "00316": (0.0, 0.01),
    "00581": (0.40, 0.62),
    "01302": (0.0, 0.02),
    "02729": (0.01, 0.05),
    "04065": (0.90, 1.0),
    "04287": (0.80, 0.97),
    "04433": (0.90, 1.0),
    "05254": (0.35, 0.50),
    "05349": (0.05, 0.15),
    "06317": (0.93, 1.0),
    "06780": (0.97, 1.0),
    "07657": (0.78, 0.93),
}


@pytest.mark.parametrize(("name", "bounds"), list(CLOUDY_SHARES.items()))
def test_real_clouds_of_the_triplets(real_data: Path, tmp_path: Path, name: str, bounds: tuple[float, float]) -> None:
    scene = with_crs(real_data / "sen12mscr_triplets" / "s2_cloudy" / f"{name}.tif", tmp_path)
    mask = make_cloud_mask(scene, buffer_m=0)
    assert mask.source == "s2cloudless"
    share = mask.describe()["cloud_share"]
    assert isinstance(share, float)
    assert bounds[0] <= share <= bounds[1]


def test_clear_dates_are_clear(real_data: Path, tmp_path: Path) -> None:
    shares = [
        make_cloud_mask(with_crs(path, tmp_path), buffer_m=0).describe()["cloud_share"]
        for path in sorted((real_data / "sen12mscr_triplets" / "s2_cloudfree").glob("*.tif"))[::2]
    ]
    assert len(shares) == 6
    assert np.median(np.array(shares, float)) < 0.001
    assert max(np.array(shares, float)) < 0.10


def test_clouds_and_shadows_darken_and_brighten_as_they_should(real_data: Path, tmp_path: Path) -> None:
    """Against the clear date, masked pixels differ more than twice as much as the rest (clouds and shadows of 05349)."""
    folder = real_data / "sen12mscr_triplets"
    scene = with_crs(folder / "s2_cloudy" / "05349.tif", tmp_path)
    found = make_cloud_mask(scene).read(scene.grid.window)
    with rasterio.open(folder / "s2_cloudfree" / "05349.tif") as dataset:
        clear = dataset.read([2, 8]) / 1e4
    change = np.abs(scene.read_reflectance(scene.grid.window, ("B02", "B08")) - clear).mean(axis=0)
    assert change[found].mean() > 2 * change[~found].mean()


def test_a_clear_scene_in_degrees(real_data: Path) -> None:
    scene = open_scene(str(real_data / "sen1floods11_spain_512" / "Spain_7370579_S2Hand.tif"))
    mask = make_cloud_mask(scene, buffer_m=0)
    assert mask.source == "s2cloudless"
    assert mask.read(scene.grid.window).mean() < 0.005
    assert make_cloud_mask(scene, "rule", buffer_m=0).describe()["cloud_share"] < 0.06  # type: ignore[operator]


@pytest.mark.parametrize(
    ("path", "low", "high"),
    [
        ("ROIs1868_summer_s2_cloudy/s2_cloudy_19/ROIs1868_summer_s2_cloudy_19_p30.tif", 0.35, 0.55),
        ("ROIs2017_winter_s2/s2_112/ROIs2017_winter_s2_112_p797.tif", 0.0, 0.005),
        ("ROIs2017_winter_s2_cloudy/s2_cloudy_112/ROIs2017_winter_s2_cloudy_112_p797.tif", 0.0, 0.005),  # dark haze: not seen
    ],
)
def test_sen12mscr_files(real_data: Path, path: str, low: float, high: float) -> None:
    scene = open_scene(str(real_data / "sen12mscr" / path))
    share = make_cloud_mask(scene, buffer_m=0).describe()["cloud_share"]
    assert isinstance(share, float)
    assert low <= share <= high


def test_windows_of_a_real_mask_are_pieces_of_the_whole(real_data: Path, tmp_path: Path) -> None:
    scene, path, _ = alps(real_data, CLOUDY, tmp_path)
    for mask in (make_cloud_mask(scene, **SUN), make_cloud_mask(scene, scl=path, buffer_m=300)):
        whole = mask.read(scene.grid.window)
        for row in range(0, 915, 305):
            window = scene.grid.window.__class__(row=row, col=row // 2, height=305, width=200)
            np.testing.assert_array_equal(mask.read(window), whole[row : row + 305, row // 2 : row // 2 + 200])
