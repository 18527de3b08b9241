"""`geocr predict-scene` with Sentinel-1 in its forms, and what it says of them."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

from tests.cli.conftest import Command, Files, make_files
from tests.scenes import TRANSFORM, UTM, write_raster


@pytest.fixture
def dated(tmp_path: Path) -> Files:
    return make_files(tmp_path / "data", scale=1e-4, offset=-0.1, tags={"PRODUCT_START_TIME": "2023-08-15T10:10:31Z"})


def split(files: Files, stem: str = "S1A_IW_20230812T051733_gamma0_desc") -> str:
    """Both polarisations in files of their own."""
    with rasterio.open(files.s1) as source:
        pixels = source.read()
    return ",".join(
        write_raster(files.folder / f"{stem}_{name}.tif", pixels[band : band + 1], nodata=np.nan) for band, name in enumerate(("VV", "VH"))
    )


def command(files: Files, s1: str, *more: object) -> list[object]:
    return ["predict-scene", s1, files.s2, "--cloud-mask", files.mask, "--mask-buffer-px", 0, *more]


def test_a_pair_gives_the_pixels_of_its_stack_and_its_facts(geocr: Command, dated: Files, rgbn_net: Path) -> None:
    stacked = dated.folder / "stacked.tif"
    assert geocr(*dated.arguments("--checkpoint", rgbn_net, "-o", stacked)).code == 0
    done = geocr(*command(dated, split(dated), "--checkpoint", rgbn_net, "--json", "--max-days", 4))
    assert done.code == 0, done.err
    with rasterio.open(stacked) as one, rasterio.open(dated.out) as other:
        np.testing.assert_array_equal(one.read(), other.read())
        tags = other.tags()
    account = {"acquired": "2023-08-12T05:17:33+00:00", "days_from_s2": -3.2, "orbit": "descending", "radiometry": "gamma0"}
    assert json.loads(tags["GEOCR_S1"]) == done.json["sar"] == account
    assert tags["GEOCR_INPUT_S1"] == "S1A_IW_20230812T051733_gamma0_desc_VV.tif,S1A_IW_20230812T051733_gamma0_desc_VH.tif"


@pytest.mark.parametrize("given", ["list", "folder"])
def test_no_file_behind_a_pair_is_overwritten(geocr: Command, dated: Files, rgbn_net: Path, given: str) -> None:
    (dated.folder / "pair").mkdir()
    vv, vh = (Path(path) for path in split(dated, "pair/s1_20230812").split(","))
    before = vv.read_bytes()
    s1 = f"{vv},{vh}" if given == "list" else str(vv.parent)
    done = geocr(*command(dated, s1, "--checkpoint", rgbn_net, "-o", vv, "--overwrite"))
    assert done.code == 2
    assert "an output may not be one of the inputs" in " ".join(done.err.split())
    assert vv.read_bytes() == before
    assert sorted(path.name for path in vv.parent.iterdir()) == [vh.name, vv.name]


def test_max_days_is_enforced(geocr: Command, dated: Files) -> None:
    done = geocr(*command(dated, split(dated), "--max-days", 3))
    assert done.code == 2
    assert "must lie within --max-days 3 of Sentinel-2" in " ".join(done.err.split())
    assert not dated.out.exists()


def test_a_changed_half_of_a_pair_is_another_run(geocr: Command, dated: Files, rgbn_net: Path) -> None:
    """What a stopped run goes on from depends on every file behind the pixels."""
    from geocr.config import PredictConfig
    from geocr.inference.prepare import prepare_scene
    from geocr.inference.record import fingerprint_of

    s1 = split(dated)
    config = PredictConfig(checkpoint=str(rgbn_net), cloud_mask=str(dated.mask))

    def fingerprint() -> str:
        return fingerprint_of(prepare_scene(str(dated.s2), s1, config, threads=1))

    before = fingerprint()
    assert fingerprint() == before
    vh = Path(s1.split(",")[1])
    vh.touch()
    assert fingerprint() != before


def test_damage_in_one_half_of_a_pair_becomes_nodata_on_demand(geocr: Command, dated: Files, rgbn_net: Path) -> None:
    vv, vh = (Path(path) for path in split(dated).split(","))
    content = bytearray(vh.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 200] = b"\xff" * 200
    vh.write_bytes(content)
    s1 = f"{vv},{vh}"
    stopped = geocr(*command(dated, s1, "--checkpoint", rgbn_net, "--s1-units", "db"))
    assert stopped.code == 2
    assert vh.name in stopped.err.replace("\n", "")
    assert "VRTDataset" not in stopped.err
    done = geocr(*command(dated, s1, "--checkpoint", rgbn_net, "--s1-units", "db", "--on-error", "nodata", "--json"))
    assert done.code == 0, done.err
    assert done.json["damaged_blocks"]


def grd(files: Files) -> str:
    """Counts in radar geometry over the scene."""
    rows, cols = 110, 130
    points = [(row, col) for row in (0, 55, 110) for col in (0, 65, 130)]
    places = [TRANSFORM * Affine.translation(-10, -10) * (col, row) for row, col in points]
    lons, lats = transform_points(UTM, CRS.from_epsg(4326), [x for x, _ in places], [y for _, y in places])
    gcps = [GroundControlPoint(row=row, col=col, x=lon, y=lat) for (row, col), lon, lat in zip(points, lons, lats, strict=True)]
    path = files.folder / "grd.tiff"
    with rasterio.open(
        path, "w", driver="GTiff", width=cols, height=rows, count=2, dtype="uint16", gcps=gcps, crs=CRS.from_epsg(4326)
    ) as out:
        out.write(np.random.default_rng(0).gamma(4, 40, (2, rows, cols)).astype(np.uint16) + 1)
        out.descriptions = ("VV", "VH")
    return str(path)


def test_a_grd_is_refused_and_taken_on_demand(geocr: Command, dated: Files, rgbn_net: Path) -> None:
    refused = geocr(*command(dated, grd(dated)))
    assert refused.code == 2
    words = " ".join(refused.err.split())
    assert all(word in words for word in ("SNAP", "pyroSAR", "HyP3", "--s1-gcps"))
    done = geocr(*command(dated, grd(dated), "--s1-gcps", "--checkpoint", rgbn_net, "--json"))
    assert done.code == 0, done.err
    assert done.json["pixels"]["reconstructed_with_sar"] > 0
    assert any("without terrain correction" in note for note in done.json["notes"])


def test_a_mosaic_and_its_words(geocr: Command, dated: Files, rgbn_net: Path) -> None:
    with rasterio.open(dated.s1) as source:
        pixels = source.read()
    other = write_raster(dated.folder / "S1A_20230801T051733_sigma0.tif", np.full_like(pixels, -14), descriptions=("VV", "VH"))
    near = write_raster(dated.folder / "S1A_20230816T051733.tif", pixels, nodata=np.nan, descriptions=("VV", "VH"))
    done = geocr(*command(dated, f"{other},{near}", "--checkpoint", rgbn_net, "--json"))
    assert done.code == 0, done.err
    assert done.json["sar"]["days_from_s2"] == 0.8
    assert done.json["sar_share"] == 1
    with rasterio.open(dated.out) as result:
        assert result.tags()["GEOCR_INPUT_S1"] == "S1A_20230816T051733.tif,S1A_20230801T051733_sigma0.tif"


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--s1-radiometry", "beta0", "--s1-radiometry"),
        ("--s1-border-noise", "drop", "--s1-border-noise"),
        ("--max-days", "-1", "--max-days"),
    ],
)
def test_wrong_values(geocr: Command, dated: Files, option: str, value: str, words: str) -> None:
    done = geocr(*command(dated, str(dated.s1), option, value))
    assert done.code == 2
    assert words in done.err


def test_a_check_without_result_is_said(geocr: Command, dated: Files) -> None:
    """Noise against noise: there is nothing to measure, and no alarm."""
    done = geocr(*command(dated, str(dated.s1), "--check-shift", "--dry-run", "--json"))
    assert done.code == 0, done.err
    assert any("could not be measured" in note for note in done.json["notes"])
