"""What becomes of a result: files, pictures, provenance through xarray's own operations."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from rio_cogeo.cogeo import cog_validate

from geocr.accessor.layout import s1_band, s2_band
from geocr.core.errors import InputError, OutputExistsError
from geocr.inference.run import PredictResult
from geocr.simulate.files import ScenePaths
from tests.accessor.conftest import BANDS, Blend, opened


@pytest.fixture(scope="module")
def lazy(paths: ScenePaths) -> xr.DataArray:
    cloudy = opened(paths.s2, chunks={"y": 64})
    clear: xr.DataArray = cloudy.geocr.remove_clouds(opened(paths.s1, chunks={"y": 64}), uncertainty=True, reconstructor=Blend())
    return clear


def test_cogs_hold_what_predict_scene_writes(lazy: xr.DataArray, predicted: PredictResult, tmp_path: Path) -> None:
    assert lazy.geocr.to_cog(tmp_path / "clear.tif") == tmp_path / "clear.tif"
    for mine, theirs in (("clear", predicted.scene), ("clear_provenance", predicted.provenance), ("clear_std", predicted.std)):
        path = tmp_path / f"{mine}.tif"
        assert cog_validate(path, strict=True, quiet=True)[0]
        with rasterio.open(path) as made, rasterio.open(str(theirs)) as file:
            np.testing.assert_array_equal(made.read(), file.read())
            assert (made.dtypes, made.nodata, made.scales, made.offsets, made.descriptions) == (
                file.dtypes, file.nodata, file.scales, file.offsets, file.descriptions,
            )  # fmt: skip
            assert (made.crs, made.transform) == (file.crs, file.transform)
            assert made.tags()["GEOCR_VERSION"] == file.tags()["GEOCR_VERSION"]
            assert made.tags()["ATTRIBUTION"] == file.tags()["ATTRIBUTION"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "clear.tif",
        "clear_provenance.qml",
        "clear_provenance.tif",
        "clear_provenance.tif.aux.xml",
        "clear_std.qml",
        "clear_std.tif",
    ]
    for style in ("provenance", "std"):
        theirs = Path(str(predicted.scene)).with_name(f"clear_{style}.qml")
        assert (tmp_path / f"clear_{style}.qml").read_text() == theirs.read_text()
    with pytest.raises(OutputExistsError, match=r"clear\.tif exists"):
        lazy.geocr.to_cog(tmp_path / "clear.tif")


def test_the_deviation_of_a_cog_is_counted_in_the_scenes_own_steps(paths: ScenePaths, tmp_path: Path) -> None:
    cloudy = opened(paths.s2).assign_attrs(scale_factor=2e-4)
    cloudy.geocr.remove_clouds(reconstructor=Blend(), uncertainty=True).geocr.to_cog(tmp_path / "clear.tif")
    with rasterio.open(tmp_path / "clear_std.tif") as std:
        counts = std.read(1, masked=True)
        assert std.scales[0] == 2e-4
    assert abs(counts[counts > 0] * 2e-4 - 0.0123).max() < 1.01e-4


def test_an_observed_scene_goes_to_a_cog_alone(paths: ScenePaths, tmp_path: Path) -> None:
    cloudy = opened(paths.s2, decoded=True)
    cloudy.geocr.to_cog(tmp_path / "scene.tif")
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]
    np.testing.assert_array_equal(opened(tmp_path / "scene.tif").values, opened(paths.s2).values)


def test_nothing_is_left_of_a_cog_that_failed(lazy: xr.DataArray, tmp_path: Path) -> None:
    class Broken(Blend):
        def __call__(self, tile: object) -> None:
            raise RuntimeError("broken")

    cloudy = lazy.geocr.before
    with pytest.raises(RuntimeError, match="broken"):
        cloudy.geocr.remove_clouds(reconstructor=Broken()).geocr.to_cog(tmp_path / "clear.tif")
    assert list(tmp_path.iterdir()) == []


def test_provenance_survives_ordinary_operations(lazy: xr.DataArray) -> None:
    whole = lazy.geocr.provenance
    assert whole.dtype == np.uint8
    assert whole.attrs["flag_meanings"].split()[:2] == ["nodata", "observed"]
    part = lazy.isel(y=slice(20, 60), x=slice(None, None, -1))
    np.testing.assert_array_equal(part.geocr.provenance.values, whole.values[20:60, ::-1])
    assert (lazy * 2).geocr.provenance.dims == ("y", "x")
    assert lazy.sel(band=1).geocr.provenance.shape == whole.shape
    with pytest.raises(InputError, match=r"lost by resampling.*result\.geocr\.provenance"):
        _ = lazy.drop_vars("provenance").geocr.provenance


def test_attributes_coordinates_and_encoding_survive(paths: ScenePaths) -> None:
    cloudy = opened(paths.s2, decoded=True, chunks={"y": 64}).assign_coords(wavelength=("band", [490.0, 560.0, 665.0, 842.0]))
    clear = cloudy.geocr.remove_clouds(reconstructor=Blend())
    assert (clear.attrs, clear.encoding, clear.name, clear.dims) == (cloudy.attrs, cloudy.encoding, cloudy.name, cloudy.dims)
    assert clear.rio.crs == cloudy.rio.crs
    assert set(clear.coords) == {*cloudy.coords, "provenance"}
    for name in cloudy.coords:
        xr.testing.assert_identical(clear.coords[name].drop_vars("provenance", errors="ignore"), cloudy.coords[name])


@pytest.mark.filterwarnings("error::rasterio.errors.NotGeoreferencedWarning")
def test_what_an_earlier_result_said_of_its_pixels_does_not_stay(paths: ScenePaths, lazy: xr.DataArray) -> None:
    again = lazy.geocr.remove_clouds(reconstructor=Blend())
    assert "std" not in again.coords
    cloudy = opened(paths.s2)
    cube = xr.Dataset({band: cloudy.isel(band=number, drop=True).assign_attrs(long_name=band) for number, band in enumerate(BANDS)})
    first = cube.geocr.remove_clouds(reconstructor=Blend(), uncertainty=True)
    assert set(first.geocr.remove_clouds(reconstructor=Blend()).data_vars) == {*BANDS, "provenance"}


def test_a_preview_of_one_row(paths: ScenePaths) -> None:
    clear = opened(paths.s2).geocr.remove_clouds(reconstructor=Blend())
    assert clear.isel(y=[40]).geocr.preview().size[1] > 1


def test_preview_shows_three_panels_or_the_two_it_knows(lazy: xr.DataArray) -> None:
    whole = lazy.geocr.preview()
    pixels = np.asarray(whole.convert("RGB"))
    third = whole.width // 3
    panels = [pixels[60:180, start + 16 : start + 130] for start in (0, third, 2 * third)]
    assert not np.array_equal(panels[0], panels[1])
    assert not np.array_equal(panels[1], panels[2])
    provenance, before = lazy.geocr.provenance.values, lazy.geocr.before.values
    step = (whole.width - 16) // 3
    top, left = 16 + 34, (0, step, 2 * step)
    shown = pixels[top : top + 160, left[2] + 16 : left[2] + 16 + 128].astype(int)
    assert (shown[provenance == 2] == (240, 150, 40)).all()  # not turned over
    assert (shown[provenance == 0] == 255).all()
    clouded = before[0] > np.percentile(before[0][provenance == 1], 99)
    light = [pixels[top : top + 160, start + 16 : start + 16 + 128].mean(axis=2)[clouded & (provenance == 2)].mean() for start in left[:2]]
    assert light[0] > light[1] + 20  # before is the first
    part = lazy.isel(y=slice(0, 100))
    assert part.geocr.preview().width < whole.width
    assert part.geocr.preview(before=lazy.geocr.before.isel(y=slice(0, 100))).width == whole.width
    with pytest.raises(InputError, match="provenance is that of a result"):
        lazy.geocr.before.geocr.preview()
    with pytest.raises(InputError, match="same pixels"):
        part.geocr.preview(before=lazy.geocr.before)


def test_a_large_preview_is_reduced(paths: ScenePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocr.accessor.preview.PANEL_PX", 60)
    clear = opened(paths.s2).geocr.remove_clouds(reconstructor=Blend())
    picture = clear.geocr.preview()
    assert picture.height < 60 + 120


def test_a_result_that_is_a_dataset_has_all_products(paths: ScenePaths, predicted: PredictResult, tmp_path: Path) -> None:
    cloudy = opened(paths.s2, chunks={"y": 64})
    cube = xr.Dataset({band: cloudy.isel(band=number, drop=True).assign_attrs(long_name=band) for number, band in enumerate(BANDS)})
    clear = cube.geocr.remove_clouds(str(paths.s1), uncertainty=True, reconstructor=Blend())
    clear.geocr.to_cog(tmp_path / "clear.tif")
    for mine, theirs in (("clear", predicted.scene), ("clear_provenance", predicted.provenance), ("clear_std", predicted.std)):
        np.testing.assert_array_equal(opened(tmp_path / f"{mine}.tif").values, opened(str(theirs)).values)
    assert clear.geocr.preview().size == clear.compute().geocr.preview(before=cube).size
    again = clear.geocr.cloud_mask()
    assert again.shape == cloudy.shape[1:]


@pytest.mark.parametrize(
    ("name", "band"),
    [("B02_10m", "B02"), ("S2-L2A-B8A", "B8A"), ("b2", "B02"), ("nir08", "B8A"), ("B02_std", None), ("B8A_mask", None), ("SCL", None), ("AOT_10m", None)],
)  # fmt: skip
def test_names_of_bands_and_of_what_is_about_them(name: str, band: str | None) -> None:
    assert s2_band(name) == band


@pytest.mark.parametrize(
    ("name", "band"),
    [("vv", "VV"), ("S1-SIGMA0-VH", "VH"), ("VV", "VV"), ("hh", None), ("sigma0_vv", "VV"), ("VV_VH", None), ("angle", None)],
)
def test_names_of_polarisations(name: str, band: str | None) -> None:
    assert s1_band(name) == band
