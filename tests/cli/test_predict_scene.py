"""`geocr predict-scene` on small scenes: what it writes, says and leaves alone."""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from rio_cogeo.cogeo import cog_validate

from tests.cli.conftest import RGBN, Command, Files, make_checkpoint, make_files
from tests.scenes import TRANSFORM, write_raster


def read(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as dataset:
        pixels: NDArray[Any] = dataset.read()
    return pixels


def require_result(files: Files, *, sar: bool = True, full: bool = False, out: Path | None = None) -> None:
    """The output is a COG on the input's grid, whose pixels and provenance are as they must be."""
    out = out or files.out
    provenance = out.with_name(f"{out.stem}_provenance.tif")
    for path in (out, provenance):
        assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
    with rasterio.open(files.s2) as source, rasterio.open(out) as result, rasterio.open(provenance) as classes:
        for dataset in (result, classes):
            assert (dataset.shape, dataset.transform, dataset.crs) == (source.shape, source.transform, source.crs)
        for name in ("count", "dtypes", "descriptions", "scales", "offsets"):
            assert getattr(result, name) == getattr(source, name)
        np.testing.assert_equal(result.nodata, source.nodata)
        before, after, kinds = source.read(), result.read(), classes.read(1)
        empty_value = source.nodata if source.nodata is not None else (np.nan if before.dtype.kind == "f" else 0)
    seen = ~(np.isnan(before) if np.isnan(empty_value) else before == empty_value)
    valid = seen.any(axis=0)
    needed = valid if full else valid & files.cloud
    covered = np.arange(before.shape[2]) < before.shape[2] - before.shape[2] // 4
    with_sar = np.where(sar & covered, 2, 3)
    np.testing.assert_array_equal(kinds, np.where(valid, np.where(needed, with_sar, 1), 0))
    np.testing.assert_array_equal(after[:, ~needed], before[:, ~needed])
    np.testing.assert_array_equal(np.isnan(after) if np.isnan(empty_value) else after == empty_value, ~seen)
    if needed.any():
        assert (after != before)[:, needed].any()


def test_a_scene(geocr: Command, files: Files, rgbn_net: Path) -> None:
    done = geocr(*files.arguments("--checkpoint", rgbn_net))
    assert done.code == 0
    require_result(files)
    assert {path.name for path in files.folder.iterdir()} == {
        "s1.tif",
        "s2.tif",
        "mask.tif",
        files.out.name,
        files.provenance.name,
        files.provenance.name + ".aux.xml",
        files.provenance.with_suffix(".qml").name,
        files.out.with_suffix(".json").name,
    }
    assert "Traceback" not in done.err
    for word in ("done", "cloud mask", "reconstructed", str(files.out), str(files.provenance)):
        assert word in done.out
    assert "note: Sentinel-1 is taken as dB" in done.err


def test_tags_tell_how_it_was_made(geocr: Command, files: Files, rgbn_net: Path) -> None:
    with rasterio.open(files.s2, "r+") as dataset:
        dataset.update_tags(PROCESSING_BASELINE="05.09", TIFFTAG_DATETIME="2021:07:03 10:00:00", AREA_OR_POINT="Area", OWN="kept")
    geocr(*files.arguments("--checkpoint", rgbn_net))
    with rasterio.open(files.out) as dataset:
        tags = dataset.tags()
    assert tags["ATTRIBUTION"] == "Contains modified Copernicus Sentinel data [2021]"
    assert (tags["GEOCR_INPUT_S1"], tags["GEOCR_INPUT_S2"]) == ("s1.tif", "s2.tif")
    assert json.loads(tags["GEOCR_METHOD"])["name"] == "fusion_unet"
    assert json.loads(tags["GEOCR_CLOUD_MASK"])["source"] == "file"
    assert json.loads(tags["GEOCR_SCALE"]) == {"scale": 1e-4, "offset": -0.1}
    assert json.loads(tags["GEOCR_PARAMETERS"])["mask_buffer_px"] == 0
    assert (tags["OWN"], tags["PROCESSING_BASELINE"]) == ("kept", "05.09")
    with rasterio.open(files.provenance) as dataset:
        assert dataset.tags()["ATTRIBUTION"] == tags["ATTRIBUTION"]
        assert dataset.tags()["PROVENANCE_2"] == "reconstructed with SAR"
        assert dataset.colormap(1)[1] == (90, 130, 80, 255)


@pytest.mark.parametrize(
    "stored",
    [
        ("uint16", 0, {"scale": 1e-4, "offset": -0.1}),
        ("uint16", 0, {"tags": {"PROCESSING_BASELINE": "05.09"}}),
        ("uint16", None, {}),
        ("uint16", 65535, {"scale": 1e-4}),
        ("int16", 0, {}),
        ("int16", -9999, {"scale": 1e-4}),
        ("float32", np.nan, {}),
        ("float32", -9999.0, {}),
        ("float32", 0.0, {}),
        ("float32", None, {}),
    ],
)
def test_types_of_scenes(geocr: Command, tmp_path: Path, rgbn_net: Path, stored: tuple[str, float | None, dict[str, Any]]) -> None:
    dtype, nodata, options = stored
    files = make_files(tmp_path, dtype=dtype, nodata=nodata, **options)
    done = geocr(*files.arguments("--checkpoint", rgbn_net))
    assert done.code == 0, done.err
    require_result(files)


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (65, 64), (64, 300)])
def test_sizes_of_scenes(geocr: Command, tmp_path: Path, rgbn_net: Path, shape: tuple[int, int]) -> None:
    files = make_files(tmp_path, shape, nodata=None, cover=0.9)
    done = geocr(*files.arguments("--checkpoint", rgbn_net))
    assert done.code == 0, done.err
    require_result(files)


def test_every_valid_pixel_in_mode_full(geocr: Command, files: Files, rgbn_net: Path) -> None:
    assert geocr(*files.arguments("--checkpoint", rgbn_net, "--mode", "full")).code == 0
    require_result(files, full=True)


def test_without_sentinel_1(geocr: Command, files: Files, tmp_path: Path) -> None:
    net = make_checkpoint(tmp_path / "blind.safetensors", sar_bands=[])
    assert geocr(*files.arguments("--checkpoint", net, sar=False)).code == 0
    require_result(files, sar=False)
    with rasterio.open(files.out) as dataset:
        assert dataset.tags()["GEOCR_INPUT_S1"] == "none"


def test_uncertainty(geocr: Command, files: Files, rgbn_net: Path) -> None:
    done = geocr(*files.arguments("--checkpoint", rgbn_net, "--uncertainty", "--json"))
    assert done.code == 0
    path = files.folder / "s2_cloudfree_std.tif"
    assert done.json["files"]["std"] == str(path)
    assert cog_validate(path, strict=True, quiet=True)[0]
    with rasterio.open(path) as dataset, rasterio.open(files.out) as scene:
        assert (dataset.shape, dataset.transform, dataset.crs) == (scene.shape, scene.transform, scene.crs)
        assert (set(dataset.dtypes), dataset.nodata, dataset.scales[0], dataset.offsets[0]) == ({"uint16"}, 65535, 1e-4, 0)
        assert dataset.descriptions[0] == "B02 standard deviation"
        std = dataset.read()
    seen = files.dn != 0
    np.testing.assert_array_equal(std == 65535, ~seen)
    np.testing.assert_array_equal((std > 0) & (std < 65535), seen & files.cloud)


def test_uncertainty_of_a_method_without_is_refused(geocr: Command, files: Files, tmp_path: Path) -> None:
    net = make_checkpoint(tmp_path / "plain.safetensors", variance=False)
    done = geocr(*files.arguments("--checkpoint", net, "--uncertainty"))
    assert done.code == 2
    assert "fusion_unet has none; leave --uncertainty out" in done.err
    assert not files.out.exists()


def test_quicklook(geocr: Command, files: Files, rgbn_net: Path) -> None:
    done = geocr(*files.arguments("--checkpoint", rgbn_net, "--quicklook", "--json"))
    picture = Path(done.json["files"]["quicklook"])
    assert picture == files.folder / "s2_cloudfree_quicklook.png"
    with Image.open(picture) as image:
        assert image.size[0] > 1000


def test_a_clear_scene_is_copied(geocr: Command, tmp_path: Path) -> None:
    files = make_files(tmp_path, cover=0)
    done = geocr(*files.arguments("--json"))
    assert done.code == 0, done.err
    require_result(files)
    np.testing.assert_array_equal(read(files.out), files.dn)
    assert done.json["method"] == "copy"
    assert done.json["pixels"]["reconstructed_with_sar"] == 0
    with rasterio.open(files.out) as dataset:
        assert json.loads(dataset.tags()["GEOCR_METHOD"]) == {"name": "copy"}


def test_clouds_where_the_first_band_is_empty_are_replaced_too(geocr: Command, tmp_path: Path, rgbn_net: Path) -> None:
    files = make_files(tmp_path)
    with rasterio.open(files.s2, "r+") as dataset:
        dataset.write(np.zeros((90, 110), np.uint16), 1)
    done = geocr(*files.arguments("--checkpoint", rgbn_net, "--json"))
    assert done.code == 0, done.err
    require_result(files)


@pytest.mark.parametrize("cover", [1.0, 0.995])
def test_a_scene_without_enough_clear_pixels_is_refused(geocr: Command, tmp_path: Path, cover: float) -> None:
    files = make_files(tmp_path)
    with rasterio.open(files.mask, "r+") as dataset:
        dataset.write((np.random.default_rng(0).random((1, 90, 110)) < cover).astype(np.uint8))
    done = geocr(*files.arguments())
    assert done.code == 2
    assert re.search(r"error: .*clear pixels.*checkpoint", done.err.replace("\n", " "))
    assert not files.out.exists()
    assert not files.provenance.exists()


def test_a_refused_fit_leaves_nothing(geocr: Command, tmp_path: Path) -> None:
    files = make_files(tmp_path)
    with rasterio.open(files.mask, "r+") as dataset:
        dataset.write(np.ones((1, 90, 110), np.uint8))
    listing = set(tmp_path.iterdir())
    assert geocr(*files.arguments()).code == 2
    assert set(tmp_path.iterdir()) == listing


def test_the_default_output_lies_beside_the_input(
    geocr: Command, files: Files, rgbn_net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert geocr(*files.arguments("--checkpoint", rgbn_net)).code == 0
    assert files.out.exists()
    assert not list(elsewhere.iterdir())


def make_read_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root, for whom no permission counts."""
    access = os.access

    def denied(path: Any, mode: int, **more: Any) -> bool:
        return access(path, mode, **more) and not (mode & os.W_OK and Path(path).resolve() == folder.resolve())

    monkeypatch.setattr(os, "access", denied)


def test_the_default_output_lies_here_when_the_input_is_read_only(
    geocr: Command, files: Files, rgbn_net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    make_read_only(files.folder, monkeypatch)
    assert geocr(*files.arguments("--checkpoint", rgbn_net)).code == 0
    require_result(files, out=elsewhere / "s2_cloudfree.tif")
    assert not files.out.exists()


def test_a_read_only_output_folder_is_refused(geocr: Command, files: Files, rgbn_net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_read_only(files.folder, monkeypatch)
    done = geocr(*files.arguments("-o", files.folder / "x.tif", "--checkpoint", rgbn_net))
    assert done.code == 2
    assert re.search(r"folder must be writable, and .*data is not; choose another with -o", done.err)


def test_relative_paths(geocr: Command, files: Files, rgbn_net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files.folder)
    done = geocr(
        "predict-scene",
        "s1.tif",
        "s2.tif",
        "--cloud-mask",
        "mask.tif",
        "--mask-buffer-px",
        0,
        "--checkpoint",
        rgbn_net,
        "-o",
        "x.tif",
        "--quicklook",
    )
    assert done.code == 0, done.err
    require_result(files, out=files.folder / "x.tif")
    assert (files.folder / "x_quicklook.png").exists()


# what it prints


def test_json_is_all_of_standard_output(geocr: Command, files: Files, rgbn_net: Path) -> None:
    done = geocr(*files.arguments("--checkpoint", rgbn_net, "--json"))
    facts = done.json
    assert done.err == ""
    assert facts["files"] == {"scene": str(files.out), "provenance": str(files.provenance), "item": str(files.out.with_suffix(".json"))}
    assert facts["method"] == "fusion_unet"
    assert facts["cloud_mask"] == "file"
    valid = (files.dn != 0).any(axis=0)
    assert facts["pixels"]["nodata"] == np.count_nonzero(~valid)
    assert facts["pixels"]["observed"] == np.count_nonzero(valid & ~files.cloud)
    assert facts["pixels"]["reconstructed_with_sar"] + facts["pixels"]["reconstructed_without_sar"] == np.count_nonzero(valid & files.cloud)
    assert facts["cloud_share"] == pytest.approx(np.count_nonzero(valid & files.cloud) / np.count_nonzero(valid), abs=5e-3)
    assert any("dB" in note for note in facts["notes"])


def test_quiet_says_nothing_but_errors(geocr: Command, files: Files, rgbn_net: Path) -> None:
    done = geocr(*files.arguments("--checkpoint", rgbn_net, "--quiet"))
    assert (done.code, done.out, done.err) == (0, "", "")
    again = geocr(*files.arguments("--checkpoint", rgbn_net, "-q"))
    assert again.code == 2
    assert again.out == ""
    assert again.err.startswith("error: ")


def test_dry_run_writes_nothing(geocr: Command, files: Files, rgbn_net: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in files.folder.iterdir()}
    done = geocr(*files.arguments("--checkpoint", rgbn_net, "--dry-run"))
    assert done.code == 0
    for word in ("nothing was computed", "110 x 90 pixels", "EPSG:32633", "fusion_unet", "file", "tiles", "memory", "uncompressed"):
        assert word in done.out
    assert {path: path.stat().st_mtime_ns for path in files.folder.iterdir()} == before
    facts = geocr(*files.arguments("--checkpoint", rgbn_net, "--dry-run", "--json")).json
    assert (facts["rows"], facts["columns"]) == (90, 110)
    assert facts["tiles"] == facts["tiles_computed"] + facts["tiles_skipped"]
    assert facts["memory_bytes"] > 0
    assert {path: path.stat().st_mtime_ns for path in files.folder.iterdir()} == before


def test_a_dry_run_foretells_the_run(geocr: Command, files: Files, rgbn_net: Path) -> None:
    plan = geocr(*files.arguments("--checkpoint", rgbn_net, "--dry-run", "--json")).json
    run = geocr(*files.arguments("--checkpoint", rgbn_net, "--json")).json
    assert plan["tiles_computed"] == run["tiles_computed"]
    assert plan["cloud_share"] == run["cloud_share"]


# what is there already


@pytest.mark.parametrize("which", ["scene", "provenance", "std", "quicklook"])
def test_existing_outputs_are_left_alone(geocr: Command, files: Files, rgbn_net: Path, which: str) -> None:
    path = {
        "scene": files.out,
        "provenance": files.provenance,
        "std": files.folder / "s2_cloudfree_std.tif",
        "quicklook": files.folder / "s2_cloudfree_quicklook.png",
    }[which]
    path.write_bytes(b"mine")
    os.utime(path, ns=(10**18, 10**18))
    listing = set(files.folder.iterdir())
    command = files.arguments("--checkpoint", rgbn_net, "--uncertainty", "--quicklook")
    done = geocr(*command)
    assert done.code == 2
    assert f"{path} exists; add --overwrite" in done.err
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (b"mine", 10**18)
    assert set(files.folder.iterdir()) == listing
    assert geocr(*command, "--overwrite").code == 0
    assert path.read_bytes() != b"mine"
    require_result(files)


def test_overwriting_leaves_nothing_of_the_old_output(geocr: Command, files: Files, rgbn_net: Path) -> None:
    """Statistics that QGIS put beside the old file would be wrong for the new one."""
    aux = files.out.with_name(files.out.name + ".aux.xml")
    files.out.write_bytes(b"old")
    aux.write_text("<PAMDataset><Metadata><MDI key='OLD'>yes</MDI></Metadata></PAMDataset>")
    assert geocr(*files.arguments("--checkpoint", rgbn_net, "--overwrite")).code == 0
    with rasterio.open(files.out) as dataset:
        assert "OLD" not in dataset.tags()


@pytest.mark.parametrize("which", ["s1", "s2", "mask"])
def test_an_input_is_never_the_output(geocr: Command, files: Files, rgbn_net: Path, which: str) -> None:
    path: Path = getattr(files, which)
    before = path.read_bytes()
    link = files.folder / "link.tif"
    link.symlink_to(path)
    for out in (path, link):
        done = geocr(*files.arguments("-o", out, "--overwrite", "--checkpoint", rgbn_net))
        assert done.code == 2
        assert "may not be one of the inputs" in done.err
    assert path.read_bytes() == before


def test_a_side_product_is_never_an_input(geocr: Command, files: Files, rgbn_net: Path) -> None:
    """`-o scene.tif` also writes scene_provenance.tif, which here is the mask."""
    mask = files.folder / "x_provenance.tif"
    files.mask.rename(mask)
    before = mask.read_bytes()
    done = geocr(
        "predict-scene", files.s1, files.s2, "--cloud-mask", mask, "--checkpoint", rgbn_net, "-o", files.folder / "x.tif", "--overwrite"
    )  # fmt: skip
    assert done.code == 2
    assert mask.read_bytes() == before


# bad input


def one_raster(folder: Path, name: str, pixels: NDArray[Any], **options: Any) -> Path:
    return Path(write_raster(folder / name, pixels, **options))


RNG = np.random.default_rng(0)
DB = RNG.normal(-12, 3, (2, 90, 110)).astype(np.float32)
DN = RNG.integers(100, 5000, (4, 90, 110)).astype(np.uint16)


def bad_s1(files: Files, **options: Any) -> list[object]:
    return ["predict-scene", one_raster(files.folder, "bad_s1.tif", **{"pixels": DB, **options}), files.s2, "--cloud-mask", files.mask]


def bad_s2(files: Files, **options: Any) -> list[object]:
    s2 = one_raster(files.folder, "bad_s2.tif", **{"pixels": DN, "descriptions": RGBN, **options})
    return ["predict-scene", files.s1, s2, "--cloud-mask", files.mask]


def given(files: Files, *, s1: Any = None, s2: Any = None) -> list[object]:
    return ["predict-scene", s1 or files.s1, s2 or files.s2, "--cloud-mask", files.mask]


def text(files: Files) -> Path:
    path = files.folder / "notes.tif"
    path.write_text("not a raster")
    return path


def cut(files: Files, path: Path) -> Path:
    short = files.folder / "short.tif"
    data = path.read_bytes()
    short.write_bytes(data[: len(data) // 2])
    return short


BAD: dict[str, tuple[Any, str]] = {
    "no CRS on S1": (lambda f: bad_s1(f, crs=None), r"bad_s1\.tif has none; .*gdal_edit\.py"),
    "no CRS on S2": (lambda f: bad_s2(f, crs=None), r"bad_s2\.tif has none; .*gdal_edit\.py"),
    "no overlap": (lambda f: bad_s1(f, transform=TRANSFORM * Affine.translation(999, 0)), "must overlap .*--no-s1"),
    "S1 missing": (lambda f: given(f, s1=f.folder / "absent.tif"), r"nothing at .*absent\.tif; check the path"),
    "S2 missing": (lambda f: given(f, s2=f.folder / "absent.tif"), r"nothing at .*absent\.tif; check the path"),
    "S1 is text": (lambda f: given(f, s1=text(f)), r"must be rasters .*notes\.tif is not"),
    "S2 is text": (lambda f: given(f, s2=text(f)), r"must be rasters .*notes\.tif is not"),
    "S1 truncated": (lambda f: given(f, s1=cut(f, f.s1)), r"short\.tif (fails in rows|is not)"),
    "S2 truncated": (lambda f: given(f, s2=cut(f, f.s2)), r"short\.tif (fails in rows|is not)"),
    "wrong number of bands": (lambda f: bad_s2(f, descriptions=()), "has 4 bands .*--s2-bands B02,B03,B04,B08"),
    "unknown band": (lambda f: [*given(f), "--s2-bands", "B02,B03,B04,B99"], "got 'B99'; .*--s2-bands"),
    "too few names": (lambda f: [*given(f), "--s2-bands", "B02,B03"], "has 4 bands, got 2 names"),
    "three-band S1": (lambda f: bad_s1(f, pixels=np.zeros((3, 90, 110), np.float32)), "has 3; .*rio stack"),
    "HH and HV": (lambda f: bad_s1(f, descriptions=("HH", "HV")), "HH and HV are not supported"),
    "integer S1": (lambda f: bad_s1(f, pixels=np.ones((2, 90, 110), np.uint16)), "--s1-units amplitude"),
    "unknown units": (lambda f: [*given(f), "--s1-units", "dB"], "--s1-units: .*'db'.*got 'dB'"),
    "unknown mode": (lambda f: [*given(f), "--mode", "half"], "--mode: .*'replace-clouds' or 'full', got 'half'"),
    "negative buffer": (lambda f: [*given(f), "--mask-buffer-px", "-1"], "--mask-buffer-px: .*greater than or equal to 0, got -1"),
    "two buffers": (
        lambda f: [*given(f), "--mask-buffer-px", "1", "--mask-buffer-m", "10"],
        "valid; the mask is buffered .*not both: .*; give one",
    ),
    "tile too small": (lambda f: [*given(f), "--tile", "3"], r"--tile: .*16, got 3"),
    "tile without a net": (lambda f: [*given(f), "--tile", "64"], "without --checkpoint leave them out"),
    "missing checkpoint": (lambda f: [*given(f), "--checkpoint", f.folder / "absent"], "No such file"),
    "a raster as checkpoint": (lambda f: [*given(f), "--checkpoint", f.s1], "must be a safetensors file"),
    "unknown mask": (
        lambda f: [*given(f)[:3], "--cloud-mask", "magic"],
        "auto, s2cloudless, scl, cldprb, omnicloudmask, rule, or the path .*'magic'",
    ),
    "scl without a file": (lambda f: [*given(f)[:3], "--cloud-mask", "scl"], "--scl FILE"),
    "s2cloudless without its bands": (lambda f: [*given(f)[:3], "--cloud-mask", "s2cloudless"], "s2cloudless"),
    "one raster": (lambda f: ["predict-scene", f.s2], "takes two rasters: .*got 1"),
    "three rasters": (lambda f: ["predict-scene", f.s1, f.s2, f.s2], "takes two rasters: .*got 3"),
    "two rasters with --no-s1": (lambda f: ["predict-scene", "--no-s1", f.s1, f.s2], "one raster with --no-s1"),
    "missing folder": (lambda f: [*given(f), "-o", f.folder / "absent" / "x.tif"], "folder must exist, and .*absent does not; make it"),
    "a PNG": (lambda f: [*given(f), "-o", f.folder / "x.png"], r"ends in \.tif, got .*x\.png"),
    "a folder": (lambda f: [*given(f), "-o", f.folder], r"ends in \.tif"),
    "zero scale": (lambda f: [*given(f), "--s2-scale", "0", "--s2-offset", "0"], "other than 0"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_answered_with_the_cure(geocr: Command, files: Files, what: str) -> None:
    arguments, message = BAD[what]
    command = arguments(files)
    listing = set(files.folder.iterdir())
    done = geocr(*command)
    assert done.code == 2, done.err
    assert done.out == ""
    assert done.err.count("error: ") == 1
    assert "Traceback" not in done.err
    error = done.err[done.err.index("error: ") :]
    assert re.search(message, error.replace("\n", " ")), error
    assert set(files.folder.iterdir()) == listing


def test_a_folder_at_the_outputs_name(geocr: Command, files: Files, rgbn_net: Path) -> None:
    files.out.mkdir()
    done = geocr(*files.arguments("--checkpoint", rgbn_net, "--overwrite"))
    assert done.code == 2
    assert "is a folder" in done.err
    assert files.out.is_dir()


def test_a_checkpoint_of_other_bands_says_what_would_fit(geocr: Command, files: Files, l1c_net: Path) -> None:
    done = geocr(*files.arguments("--checkpoint", l1c_net))
    assert done.code == 2
    assert "B01" in done.err


def test_verbose_shows_the_traceback(geocr: Command, files: Files) -> None:
    from geocr.core.errors import RasterNotFoundError

    with pytest.raises(RasterNotFoundError):
        geocr("predict-scene", files.s1, files.folder / "absent.tif", "--verbose")
    plain = geocr("predict-scene", "--no-s1", files.folder / "absent.tif")
    assert plain.code == 2


def test_json_and_errors(geocr: Command, files: Files) -> None:
    done = geocr("predict-scene", files.s1, files.folder / "absent.tif", "--json")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "nofolder/clear.tif"], "the output's folder must exist"),
        (["-o", "there.tif"], "there.tif exists; add --overwrite"),
        (["-o", "clear.tif", "--quicklook"], "clear_quicklook.png exists; add --overwrite"),
        (["-o", "clear.tif", "--report", "clear.pdf"], "a report is a file of this machine that ends in .html"),
        (["-o", "clear.tif", "--save-mask"], "clear_mask.tif exists; add --overwrite"),
    ],
)
def test_a_dry_run_foresees_what_would_stop_the_run(
    geocr: Command, files: Files, rgbn_net: Path, monkeypatch: pytest.MonkeyPatch, *, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(files.folder)
    for name in ("there.tif", "clear_quicklook.png", "clear_mask.tif"):
        Path(name).touch()
    before = sorted(Path().rglob("*"))
    command = files.arguments("--checkpoint", rgbn_net, "--any-level", *arguments, "--dry-run")
    done = geocr(*command)
    assert done.code == 0, done.err
    assert "plan (nothing was computed)" in done.out
    foreseen = done.err.partition("note: The run itself would stop at once: ")[2]
    assert said in foreseen.splitlines()[0]
    assert said in geocr(*command, "--json").json["notes"][-1]
    assert sorted(Path().rglob("*")) == before


def test_a_dry_run_that_can_begin_foresees_nothing(geocr: Command, files: Files, rgbn_net: Path) -> None:
    done = geocr(*files.arguments("--checkpoint", rgbn_net, "--any-level", "--dry-run", "--json"))
    assert not any("would stop" in note for note in done.json["notes"])


@pytest.mark.parametrize("out", [".", "..", "", "/", "folder", "clear", "clear.png"])
def test_an_output_that_is_no_geotiff_is_told_how_it_is_named(
    geocr: Command, files: Files, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    monkeypatch.chdir(files.folder)
    Path("folder").mkdir()
    done = geocr(*files.arguments("-o", out))
    assert done.code == 2
    assert "the output is a GeoTIFF and ends in .tif, got" in done.err
    cure = done.err.strip().rpartition("write for example -o ")[2]
    assert cure == {"folder": "folder/clear.tif", "..": "../clear.tif"}.get(out, "clear.tif")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--s1-units", "decibel"], "--s1-units: Input should be 'auto', 'db', "),
        (["--max-memory", "lots"], "--max-memory: Input should be a size such as 2GiB or 1500MB, got 'lots'"),
        (["--s2-bands", "B02,B03"], "got 2 names (B02, B03); name all of them, or write a copy with the wanted ones"),
    ],
)
def test_a_wrong_value_is_told_what_is_right(geocr: Command, files: Files, arguments: list[str], said: str) -> None:
    done = geocr(*files.arguments(*arguments))
    assert done.code == 2
    assert said in done.err
