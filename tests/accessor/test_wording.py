"""What the flow says in options of the command line reaches callers of Python as arguments."""

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import geocr
from geocr.accessor.wording import in_python, python_words
from geocr.config import OPTION_NAMES, PredictConfig
from geocr.core.errors import CloudMaskError, RemoteReadError

OPTION = re.compile(r"(?<![\w-])--[a-z]")


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("give it as --scl FILE, or use --cloud-mask auto to find clouds", 'give it as scl=FILE, or use cloud_mask="auto" to find clouds'),
        ("--cloud-mask: it must be one of auto, rule", "cloud_mask: it must be one of auto, rule"),
        ("give it as --cloud-mask cldprb=FILE, or", 'give it as cloud_mask="cldprb=FILE", or'),
        ("name them, for example --s2-bands B02,B03,B04", "name them, for example s2_bands=('B02', 'B03', 'B04')"),
        ("--s2-offset 0 (it is in the values) or --s2-offset -0.1", "s2_offset=0 (it is in the values) or s2_offset=-0.1"),
        ("(--s2-scale and --s2-offset to say otherwise).", "(s2_scale and s2_offset to say otherwise)."),
        ("these look like dB; give --s1-units db, or leave it out", 'these look like dB; give s1_units="db", or leave it out'),
        ("or go on without one: --no-s1", "or go on without one: s1=None"),
        ("exists; add --overwrite, or choose another name with -o", "exists; add overwrite=True, or choose another name"),
        ("leave it out, or add --any-level", "leave it out, or add any_level=True"),
        ("--uncertainty needs a method that has one; leave --uncertainty out", "uncertainty needs a method that has one; leave uncertainty out"),
        ("--tile, --overlap and --compile are settings; without --checkpoint leave them out",
         "tile_px, overlap_px and compiled are settings; without checkpoint leave them out"),
        ("a coarser grid, --resolution 20", "a coarser grid, resolution_m=20"),
        ("write --stretch MIN,MAX", "write stretch=(MIN, MAX)"),
        ("convert it with `geocr import-checkpoint --config FILE`", "convert it with `geocr import-checkpoint --config FILE`"),
        ("write a copy with `rio stack s1.tif --bidx 1,2 -o s1.tif`", "write a copy with `rio stack s1.tif --bidx 1,2 -o s1.tif`"),
        ("10 -- 20 m, --unknown 5", "10 -- 20 m, --unknown 5"),
    ],
)  # fmt: skip
def test_options_become_arguments(said: str, wanted: str) -> None:
    assert in_python(said) == wanted
    assert in_python(wanted) == wanted


@given(st.text(), st.sampled_from(sorted(PredictConfig.model_fields)), st.text())
def test_no_option_of_a_setting_is_left(before: str, field: str, after: str) -> None:
    option = "--" + OPTION_NAMES.get(field, field).replace("_", "-")
    said = in_python(f"{before} {option} {after}")
    if "`" not in before and "geocr" not in before:
        assert not re.search(rf"(?<![\w-]){option}(?![\w-])", said)
        assert field in said


def test_texts_without_options_stay(tmp_path: Path) -> None:
    text = f"input rasters must exist; there is nothing at {tmp_path}/a--b.tif; check the path"
    assert in_python(text) == text


@pytest.mark.parametrize("kind", [CloudMaskError, RemoteReadError])
def test_an_error_keeps_its_kind_and_its_cause(kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught, python_words():
        raise kind("give --scl FILE") from ValueError("why")
    assert str(caught.value) == "give scl=FILE"
    assert str(caught.value.__cause__) == "why"


@pytest.mark.parametrize("name", ["predict_scene", "open_scene"])
def test_public_functions_pickle_and_are_one(name: str) -> None:
    function = getattr(geocr, name)
    assert pickle.loads(pickle.dumps(function)) is function is getattr(geocr, name)  # noqa: S301 - its own bytes


def image(bands: tuple[str, ...] = ("B02", "B03", "B04", "B08"), **more: Any) -> xr.DataArray:
    values = np.random.default_rng(0).integers(500, 3000, (len(bands), 40, 50)).astype("uint16")
    coords = {"band": list(bands), "y": 5_000_000 - 10.0 * np.arange(40), "x": 500_000 + 10.0 * np.arange(50)}
    made = xr.DataArray(values, dims=("band", "y", "x"), coords=coords, attrs={"scale_factor": 1e-4, "_FillValue": 0, **more})
    return made.rio.write_crs("EPSG:32633")


def test_staged_files_are_called_by_what_they_are() -> None:
    said = f"99% of a sample of /tmp/geocr-array-{'0f' * 16}/s1_0000.tif is negative; /tmp/geocr-array-{'0f' * 16}/cloud_mask_0012.tif"
    assert in_python(said) == "99% of a sample of the array s1 is negative; the array cloud_mask"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda s2: s2.geocr.cloud_mask("scl"), "give it as scl=FILE"),
        (lambda s2: s2.chunk().geocr.cloud_mask("scl").compute(), "give it as scl=FILE"),
        (lambda s2: s2.geocr.cloud_mask("nothing.tif"), "cloud_mask: it must be one of auto"),
        (lambda s2: s2.drop_vars("band").geocr.cloud_mask(), "s2_bands="),
        (lambda s2: s2.geocr.remove_clouds(None, mode="full"), 'mode="full" rewrites every pixel'),
        (lambda s2: s2.geocr.remove_clouds(None, tile_px=64), "tile_px, overlap_px, batch, precision and compiled"),
        (lambda s2: s2.geocr.plan(None, mask_buffer_m=1.0, mask_buffer_px=1), "got mask_buffer_px=1 and mask_buffer_m=1.0"),
        (lambda s2: s2.geocr.plan(None, s1_units="decibel"), "s1_units: Input should be 'db', 'power', 'amplitude' or 'display', got 'decibel'"),
        (lambda s2: s2.geocr.plan(None, uncertanty=True), "there is none called uncertanty, did you mean uncertainty?"),
        (lambda s2: s2.geocr.plan(s2.values), "s1 is a DataArray, a Dataset or a path, or None to go on without, got ndarray"),
        (lambda s2: s2.geocr.plan(s2.drop_vars("spatial_ref")), "s1: a scene must have a CRS, got none"),
        (lambda s2: s2.geocr.plan(Path("nothing.tif")), "there is nothing at"),
        (lambda s2: s2.geocr.cloud_mask(s2[0].values > 0), "cloud_mask lies on the scene by its coordinates, and an array of NumPy has none"),
        (lambda s2: s2.geocr.cloud_mask(s2), "cloud_mask: a mask has one band, got 4"),
        (lambda s2: s2.drop_vars("band").geocr.cloud_mask(s2_bands=("B02", "B03")), "it has 4, got 2 names (B02, B03)"),
        (lambda s2: s2.geocr.cloud_mask(s2_bands=("B02", "B03")), "or choose bands first, for example with .isel(band=[1, 2, 3])"),
        (lambda s2: s2[:2].assign_coords(band=["VV", "VH"]).geocr.remove_clouds(s2), "this is Sentinel-1 (bands called VV, VH)"),
        (lambda s2: geocr.predict_scene(None, "s2.tif", config={"seed": 1}), "config is a geocr.PredictConfig, got dict"),
        (lambda s2: geocr.predict_scene(Path("s1.tif"), Path("s2.tif"), "clear.tif"), "there is nothing at"),
        (lambda s2: s2.geocr.plan(None, config={"seed": 1}), "config is a geocr.PredictConfig, got dict"),
        (lambda s2: s2.geocr.remove_clouds(None, geocr.PredictConfig()), "the path of a trained model, got PredictConfig; settings are keywords"),
        (lambda s2: geocr.open_scene(Path("s2.tif")), "there is nothing at"),
        (lambda s2: s2.geocr.plan(s2.assign_coords(x=s2.x + 1e6).isel(band=[0])), "s1=None"),
    ],
)  # fmt: skip
def test_the_accessor_speaks_of_arguments(make: Any, said: str) -> None:
    with pytest.raises(geocr.GeocrError) as caught:
        make(image())
    assert said in str(caught.value)
    assert not OPTION.search(str(caught.value))


def test_bands_may_be_named_in_one_string_and_paths_be_paths(tmp_path: Path) -> None:
    s2 = image()
    (0 * s2[0]).rio.to_raster(tmp_path / "mask.tif")
    plain = s2.drop_vars("band").geocr.plan(None, s2_bands="B02,B03,B04,B08", cloud_mask=str(tmp_path / "mask.tif"))
    assert plain.scenes[0]["optical_bands"] == ["B02", "B03", "B04", "B08"]
    s2[:2].astype("float32").rio.to_raster(tmp_path / "s1.tif")
    assert s2.geocr.plan(tmp_path / "s1.tif", s1_units="power").scenes[0]["sar_bands"] == ["VV", "VH"]


def test_notes_speak_of_arguments(tmp_path: Path) -> None:
    s2 = image()
    s1 = xr.DataArray(
        np.random.default_rng(1).normal(-12, 2, (2, 40, 50)).astype("float32"), dims=s2.dims, coords={**s2.coords, "band": ["VV", "VH"]}
    )
    notes = s2.geocr.plan(s1).scenes[0]["notes"]
    assert any("s1_units says otherwise" in note for note in notes)
    assert not OPTION.search(" ".join(notes))
    s2.rio.to_raster(tmp_path / "s2.tif")
    s1.rio.to_raster(tmp_path / "s1.tif")
    (0 * s2[0]).rio.to_raster(tmp_path / "mask.tif")
    given = geocr.PredictConfig(s2_bands=("B02", "B03", "B04", "B08"), cloud_mask=str(tmp_path / "mask.tif"))
    result = geocr.predict_scene(str(tmp_path / "s1.tif"), str(tmp_path / "s2.tif"), tmp_path / "clear.tif", config=given)
    assert any("s1_units says otherwise" in note for note in result.summary["notes"])
    assert not OPTION.search(" ".join(result.summary["notes"]))
    with pytest.raises(FileExistsError, match=r"add overwrite=True, or choose another name$"):
        geocr.predict_scene(str(tmp_path / "s1.tif"), str(tmp_path / "s2.tif"), tmp_path / "clear.tif", config=given)
