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
        (lambda s2: s2.geocr.plan(None, s1_units="decibel"), "s1_units"),
        (lambda s2: s2.geocr.plan(s2.assign_coords(x=s2.x + 1e6).isel(band=[0])), "s1=None"),
    ],
)  # fmt: skip
def test_the_accessor_speaks_of_arguments(make: Any, said: str) -> None:
    with pytest.raises(geocr.GeocrError) as caught:
        make(image())
    assert said in str(caught.value)
    assert not OPTION.search(str(caught.value))


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
