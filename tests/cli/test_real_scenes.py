"""The command line on real scenes, end to end: grid, observed pixels, COGs, provenance, tags, memory."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

from geocr.core.bands import L1C_BANDS, L2A_BANDS
from geocr.core.types import BoolArray
from geocr.simulate.large import write_large_scene
from tests.cli.conftest import RGBN, Command, make_checkpoint
from tests.scenes import write_raster


@dataclass(frozen=True)
class Pair:
    """A real pair by its place in the data folder."""

    s1: str
    s2: str
    level: str
    assumed_zero: bool
    """Whether DN 0 is nodata only by assumption."""


PAIRS = {
    "Spain, degrees, int16": Pair(
        "sen1floods11_spain_512/Spain_7370579_S1Hand.tif", "sen1floods11_spain_512/Spain_7370579_S2Hand.tif", "L1C", assumed_zero=False
    ),
    "SEN12MS-CR winter, clouds of its own": Pair(
        "sen12mscr/ROIs2017_winter_s1/s1_112/ROIs2017_winter_s1_112_p797.tif",
        "sen12mscr/ROIs2017_winter_s2_cloudy/s2_cloudy_112/ROIs2017_winter_s2_cloudy_112_p797.tif",
        "L1C",
        assumed_zero=True,
    ),
    "SEN12MS-CR winter, clear date": Pair(
        "sen12mscr/ROIs2017_winter_s1/s1_112/ROIs2017_winter_s1_112_p797.tif",
        "sen12mscr/ROIs2017_winter_s2/s2_112/ROIs2017_winter_s2_112_p797.tif",
        "L1C",
        assumed_zero=True,
    ),
    "TerraMesh L1C": Pair("terramesh_224/S1RTC/38D_378R_2_3.tif", "terramesh_224/S2L1C/38D_378R_2_3.tif", "L1C", assumed_zero=True),
    "TerraMesh L2A": Pair("terramesh_224/S1RTC/282D_485L_3_3.tif", "terramesh_224/S2L2A/282D_485L_3_3.tif", "L2A", assumed_zero=True),
}


def blobs(shape: tuple[int, int], cover: float) -> BoolArray:
    """Cloud-shaped holes."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(4).normal(size=shape), min(shape) / 20)
    mask: BoolArray = noise > np.quantile(noise, 1 - cover)
    return mask


def require_product(pair: Pair, s2: Path, out: Path, cloud: BoolArray | None) -> dict[int, int]:
    """Everything that must hold of a result; returns pixels by class."""
    provenance = out.with_name(f"{out.stem}_provenance.tif")
    for path in (out, provenance):
        assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
    with rasterio.open(s2) as source, rasterio.open(out) as result, rasterio.open(provenance) as classes:
        for dataset in (result, classes):
            assert (dataset.width, dataset.height) == (source.width, source.height)
            assert dataset.transform == source.transform
            assert dataset.crs == source.crs
        for name in ("count", "dtypes", "nodata", "scales", "offsets"):
            assert getattr(result, name) == getattr(source, name)
        names = L1C_BANDS if pair.level == "L1C" else L2A_BANDS
        assert result.descriptions == tuple(text or band for text, band in zip(source.descriptions, names, strict=True))
        before, after, kinds = source.read(), result.read(), classes.read(1)
        tags = result.tags()
    seen = before != 0
    assert set(np.unique(kinds)) <= {0, 1, 2, 3}
    np.testing.assert_array_equal(kinds == 0, ~seen.any(axis=0))
    np.testing.assert_array_equal(after[:, kinds <= 1], before[:, kinds <= 1])
    np.testing.assert_array_equal(after == 0, before == 0)
    if cloud is not None:
        np.testing.assert_array_equal(kinds >= 2, cloud & seen.any(axis=0))
    assert tags["ATTRIBUTION"].startswith("Contains modified Copernicus Sentinel data [20")
    assert tags["GEOCR_INPUT_S2"] == s2.name
    for name in ("GEOCR_METHOD", "GEOCR_CLOUD_MASK", "GEOCR_SCALE", "GEOCR_PARAMETERS"):
        json.loads(tags[name])
    return {int(value): int(count) for value, count in zip(*np.unique(kinds, return_counts=True), strict=True)}


@pytest.fixture(scope="session")
def nets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("nets")
    return {
        level: make_checkpoint(folder / f"{level}.safetensors", bands=bands, level=level, tile_px=96)
        for level, bands in (("L1C", L1C_BANDS), ("L2A", L2A_BANDS))
    }


@pytest.mark.real_data
@pytest.mark.parametrize("case", [(name, mask) for name in PAIRS for mask in ("auto", "blobs")], ids=", ".join)
def test_a_real_scene_with_a_net(geocr: Command, real_data: Path, nets: dict[str, Path], tmp_path: Path, case: tuple[str, str]) -> None:
    pair, mask = PAIRS[case[0]], case[1]
    s1, s2, out = real_data / pair.s1, real_data / pair.s2, tmp_path / "out.tif"
    cloud, options = None, []
    if mask == "blobs":
        cloud, options = file_mask(s2, tmp_path / "mask.tif")
    done = geocr("predict-scene", s1, s2, "-o", out, "--checkpoint", nets[pair.level], "--json", *options)
    assert done.code == 0, done.err
    counted = require_product(pair, s2, out, cloud)
    said = done.json["pixels"]
    words = ("nodata", "observed", "reconstructed_with_sar", "reconstructed_without_sar")
    assert {value: said[word] for value, word in enumerate(words) if said[word]} == counted


def file_mask(s2: Path, path: Path) -> tuple[BoolArray, list[object]]:
    with rasterio.open(s2) as source:
        cloud = blobs(source.shape, 0.35)
        write_raster(path, cloud[None].astype(np.uint8), crs=source.crs, transform=source.transform)
    return cloud, ["--cloud-mask", path, "--mask-buffer-px", 0]


@pytest.mark.real_data
@pytest.mark.slow
@pytest.mark.parametrize("name", ["Spain, degrees, int16", "SEN12MS-CR winter, clear date", "TerraMesh L2A"])
@pytest.mark.parametrize("sar", [True, False])
def test_a_real_scene_by_the_default_method(geocr: Command, real_data: Path, tmp_path: Path, name: str, sar: bool) -> None:
    """Fitted on the scene itself: better than the mean, with an error it foresees, and a deviation that is not zero."""
    pair = PAIRS[name]
    s1, s2, out = real_data / pair.s1, real_data / pair.s2, tmp_path / "out.tif"
    cloud, options = file_mask(s2, tmp_path / "mask.tif")
    scenes = [s1, s2] if sar else ["--no-s1", s2]
    done = geocr("predict-scene", *scenes, "-o", out, "--json", "--uncertainty", "--quicklook", *options)
    assert done.code == 0, done.err
    counted = require_product(pair, s2, out, cloud)
    facts = done.json
    assert facts["method"] == "scenefit"
    if not sar:
        assert counted.get(2, 0) == 0
    with rasterio.open(s2) as source, rasterio.open(out) as result, rasterio.open(tmp_path / "out_std.tif") as deviation:
        truth, got, std = source.read().astype(float), result.read().astype(float), deviation.read()
    valid = (truth != 0).all(axis=0)
    hidden, clear = cloud & valid, ~cloud & valid
    error = np.sqrt(((got - truth)[:, hidden] ** 2).mean()) * 1e-4
    mean = np.sqrt(((truth[:, clear].mean(axis=1)[:, None] - truth[:, hidden]) ** 2).mean()) * 1e-4
    assert error < 0.9 * mean
    assert facts["expected_error"]["rmse_overall"] == pytest.approx(error, rel=0.6)
    assert (std[:, hidden] > 0).all()
    np.testing.assert_array_equal(std[:, clear], 0)


@pytest.mark.real_data
@pytest.mark.slow
def test_a_real_scene_that_is_all_cloud(geocr: Command, real_data: Path, tmp_path: Path) -> None:
    pair = PAIRS["TerraMesh L1C"]
    s2, out = real_data / pair.s2, tmp_path / "out.tif"
    with rasterio.open(s2) as source:
        write_raster(tmp_path / "mask.tif", np.ones((1, *source.shape), np.uint8), crs=source.crs, transform=source.transform)
    done = geocr("predict-scene", real_data / pair.s1, s2, "-o", out, "--cloud-mask", tmp_path / "mask.tif")
    assert done.code == 2
    assert "clear pixels" in done.err
    assert "checkpoint" in done.err
    assert not out.exists()


# not `ru_maxrss`: that of a new process begins with the memory of the one which started it
PEAK = """
import sys
from pathlib import Path
from geocr.cli.app import main
from geocr.inference import tuning
tuning.TUNE_FROM_TILES = 10**9  # what runs fastest is found by trying: two runs compared here might hold other batches and other cores
sys.argv = ["geocr", *sys.argv[1:]]
try:
    main()
finally:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(status["VmHWM"].split()[0], file=sys.stderr)
"""


def peak_mib(arguments: list[Any]) -> float:
    command = [sys.executable, "-c", PEAK, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stderr.split()[-1]) / 1024


@pytest.mark.slow
@pytest.mark.parametrize("mask", ["file", "rule"])
def test_memory_does_not_grow_with_rows(tmp_path: Path, mask: str) -> None:
    net = make_checkpoint(tmp_path / "net.safetensors", tile_px=256)
    peaks = {}
    for rows in (5120, 10240):
        paths = write_large_scene(tmp_path / str(rows), shape=(rows, 2048), bands=RGBN, block_px=512)
        chosen = paths.mask if mask == "file" else "rule"
        peaks[rows] = peak_mib(
            ["predict-scene", paths.s1, paths.s2, "--checkpoint", net, "--quiet", "--cloud-mask", chosen, "--threads", 2, "--uncertainty"]
        )
        print(f"{rows} x 2048: {peaks[rows]:.0f} MiB")  # noqa: T201 - a figure to read, not to assert
    assert peaks[10240] < 1.1 * peaks[5120]


@pytest.mark.slow
def test_max_memory_is_kept(tmp_path: Path) -> None:
    """On a wide scene, with more threads than the memory allows; the same bytes as without a limit."""
    net = make_checkpoint(tmp_path / "net.safetensors", tile_px=256)
    paths = write_large_scene(tmp_path, shape=(1536, 8192), bands=RGBN, block_px=512)
    fixed = [
        "--checkpoint",
        net,
        "--quiet",
        "--cloud-mask",
        paths.mask,
        "--threads",
        12,
        "--batch",
        4,
        "--precision",
        "fp32",
        "--uncertainty",
    ]
    limit_mib = 1200
    free = peak_mib(["predict-scene", paths.s1, paths.s2, "-o", tmp_path / "free.tif", *fixed])
    kept = peak_mib(["predict-scene", paths.s1, paths.s2, "-o", tmp_path / "kept.tif", *fixed, "--max-memory", f"{limit_mib}MiB"])
    print(f"free {free:.0f} MiB, kept {kept:.0f} MiB")  # noqa: T201 - figures to read, not to assert
    assert kept <= limit_mib < free
    with rasterio.open(tmp_path / "free.tif") as one, rasterio.open(tmp_path / "kept.tif") as other:
        np.testing.assert_array_equal(one.read(), other.read())


@pytest.mark.slow
@pytest.mark.real_data
def test_the_plan_foretells_the_memory_of_the_default_method(real_data: Path, tmp_path: Path) -> None:
    """The estimate is near enough to the measured peak to choose a machine by."""
    spain = real_data / "sen1floods11_spain_512"
    mask = np.zeros((1, 512, 512), np.uint8)
    mask[:, 100:330, 150:400] = 1
    with rasterio.open(spain / "Spain_7370579_S2Hand.tif") as source:
        write_raster(tmp_path / "mask.tif", mask, crs=source.crs, transform=source.transform)
    script = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from geocr.config import PredictConfig\n"
        "from geocr.inference.run import plan_run, predict_scene\n"
        "s1, s2, mask, out = sys.argv[1:]\n"
        "config = PredictConfig(cloud_mask=mask, mask_buffer_px=0)\n"
        "plan = plan_run(s1, s2, config=config)\n"
        "predict_scene(s1, s2, out, config=config)\n"
        "status = dict(line.split(':', 1) for line in Path('/proc/self/status').read_text().splitlines())\n"
        "print(json.dumps([plan['memory_bytes'], int(status['VmHWM'].split()[0]) * 1024]))\n"
    )
    scenes = [str(spain / f"Spain_7370579_{name}Hand.tif") for name in ("S1", "S2")]
    command = [sys.executable, "-c", script, *scenes, str(tmp_path / "mask.tif"), str(tmp_path / "out.tif")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told, peak = json.loads(done.stdout)
    assert 0.75 < told / peak < 1.5
