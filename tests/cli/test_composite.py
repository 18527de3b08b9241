"""`geocr composite` and `--reference`, from the command line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image

from geocr.clouds.mask import CloudMask
from geocr.clouds.selection import make_cloud_mask
from geocr.config import PredictConfig
from geocr.evaluation.interpolation import interpolate_holes
from geocr.inference.products import Provenance
from geocr.inference.run import predict_scene
from geocr.io.scene import Scene
from tests.cli.conftest import Command
from tests.scenes import write_raster
from tests.temporal.worlds import BANDS, Date, disc, make_ground, seen

SHAPE = (240, 256)
GROUND = 0.25 * make_ground(SHAPE)
CLOUDS = {"20240501": disc(SHAPE, 60, 60, 40), "20240511": disc(SHAPE, 170, 180, 30), "20240521": disc(SHAPE, 60, 190, 35)}


def series(folder: Path) -> list[str]:
    return [
        write_raster(folder / f"S2_{day}.tif", seen(GROUND, Date(days=0, clouds=clouds), 0), nodata=0, descriptions=BANDS, scale=1e-4)
        for day, clouds in CLOUDS.items()
    ]


def test_the_clearest_date_is_filled_from_the_others(tmp_path: Path, geocr: Command) -> None:
    out = tmp_path / "clear.tif"
    done = geocr("composite", *reversed(series(tmp_path)), "-o", str(out), "--json", "--uncertainty")
    assert done.code == 0, done.err
    assert done.json["target"] == {"name": "S2_20240511.tif", "day": "2024-05-11"}
    assert sorted(done.json["files"]) == ["item", "provenance", "scene", "source_days", "std"]
    with rasterio.open(out) as file, rasterio.open(tmp_path / "S2_20240511.tif") as target:
        made, observed = file.read(), target.read()
    with rasterio.open(tmp_path / "clear_provenance.tif") as file:
        provenance = file.read(1)
    with rasterio.open(tmp_path / "clear_source_days.tif") as file:
        days = file.read(1)
    hidden = CLOUDS["20240511"]
    assert set(np.unique(provenance[hidden])) == {Provenance.OBSERVED_ON_ANOTHER_DATE}
    assert set(np.unique(days[hidden])) <= {-10, 10}
    np.testing.assert_array_equal(made[:, provenance == Provenance.OBSERVED], observed[:, provenance == Provenance.OBSERVED])
    assert np.abs(made[:, hidden] * 1e-4 - GROUND[:, hidden]).max() < 0.002


def test_the_date_chooses_the_target(tmp_path: Path, geocr: Command) -> None:
    scenes = series(tmp_path)
    done = geocr("composite", *scenes, "-o", str(tmp_path / "clear.tif"), "--date", "2024-05-19", "--dry-run", "--json")
    assert done.json["target"]["day"] == "2024-05-21"
    assert done.json["references"] == [{"name": "S2_20240511.tif", "days": -10}, {"name": "S2_20240501.tif", "days": -20}]
    assert not (tmp_path / "clear.tif").exists()
    tie = geocr("composite", *scenes, "-o", str(tmp_path / "clear.tif"), "--date", "2024-05-16", "--dry-run", "--json")
    assert tie.json["target"]["day"] == "2024-05-11"  # of equally near ones the earlier


def test_a_composite_on_a_coarser_grid(tmp_path: Path, geocr: Command) -> None:
    done = geocr("composite", *series(tmp_path), "-o", str(tmp_path / "clear.tif"), "--resolution", "20", "--dry-run", "--json")
    assert done.code == 0, done.err
    assert (done.json["rows"], done.json["columns"]) == (SHAPE[0] // 2, SHAPE[1] // 2)
    assert [date["days"] for date in done.json["references"]] == [-10, 10]


def test_one_scene_is_its_own_target(tmp_path: Path, geocr: Command) -> None:
    done = geocr("composite", series(tmp_path)[0], "-o", str(tmp_path / "clear.tif"), "--dry-run", "--json")
    assert (done.json["target"]["day"], done.json["method"]["name"]) == ("2024-05-01", "scenefit")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--date", "May"], "--date is a day as YYYY-MM-DD"),
        (["S2_20240501.tif"], "each scene of a composite is given once; more than once: S2_20240501.tif"),
        (["S2_20240501.tif,"], "--reference takes S2 or S2,S1"),
        (["nameless.tif"], "a composite needs the day of each scene"),
        (
            ["--cloud-mask", "rule+mine.gpkg"],
            "a file is of one date; got mine.gpkg; name a detector, or give the mask to geocr predict-scene",
        ),
        (["--cloud-mask", "cldprb=cldprb.tif"], "a file is of one date; got cldprb.tif"),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, geocr: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    series(tmp_path)
    (tmp_path / "nameless.tif").write_bytes((tmp_path / "S2_20240501.tif").read_bytes())
    done = geocr("composite", "S2_20240501.tif", *arguments, "-o", "out.tif")
    assert done.code == 2
    assert said in " ".join(done.err.split())


def test_a_damaged_date_is_looked_at_as_the_run_would(tmp_path: Path, geocr: Command) -> None:
    first, second, _ = series(tmp_path)
    content = bytearray(Path(first).read_bytes())
    content[len(content) // 2 : len(content) // 2 + 3000] = bytes(3000)
    Path(first).write_bytes(content)
    stopped = geocr("composite", first, second, "-o", str(tmp_path / "clear.tif"), "--dry-run")
    assert stopped.code == 2
    assert "every block of an input must decode" in " ".join(stopped.err.split())
    done = geocr("composite", first, second, "-o", str(tmp_path / "clear.tif"), "--dry-run", "--json", "--on-error", "nodata")
    assert done.code == 0, done.err
    assert done.json["target"]["day"] == "2024-05-11"


def test_outputs_are_not_overwritten(tmp_path: Path, geocr: Command) -> None:
    scenes = series(tmp_path)
    (tmp_path / "clear_source_days.tif").touch()
    done = geocr("composite", *scenes, "-o", str(tmp_path / "clear.tif"))
    assert done.code == 2
    assert "clear_source_days.tif exists" in " ".join(done.err.split())


def test_what_stands_at_the_outputs_is_said_before_any_date_is_read(tmp_path: Path, geocr: Command) -> None:
    scenes = series(tmp_path)
    for there, arguments in (
        ("clear_source_days.tif", []),
        ("clear_quicklook.png", ["--quicklook"]),
        ("told.html", ["--report", tmp_path / "told.html"]),
    ):
        (tmp_path / there).touch()
        done = geocr("composite", *scenes, "-o", tmp_path / "clear.tif", *arguments)
        (tmp_path / there).unlink()
        assert done.code == 2
        assert f"{there} exists; add --overwrite" in " ".join(done.err.split())
        assert "looking for the clearest" not in done.err
    single = geocr("composite", scenes[0], "-o", scenes[0], "--overwrite")
    assert "an output may not be one of the inputs" in " ".join(single.err.split())


def test_a_dry_run_of_a_composite_foresees_what_would_stop_it(tmp_path: Path, geocr: Command) -> None:
    scenes = series(tmp_path)
    (tmp_path / "clear_source_days.tif").touch()
    arguments = ["composite", *scenes, "-o", tmp_path / "clear.tif", "--dry-run", "--json"]
    assert "clear_source_days.tif exists" in geocr(*arguments).json["notes"][-1]
    assert not any("would stop at once" in note for note in geocr(*arguments, "--overwrite").json["notes"])


def test_a_composite_is_drawn_and_reported_against_its_target(tmp_path: Path, geocr: Command) -> None:
    page, out = tmp_path / "told.html", tmp_path / "out" / "clear.tif"
    out.parent.mkdir()
    done = geocr("composite", *series(tmp_path), "-o", out, "--quicklook", "--report", page, "--json", "--no-stac")
    assert done.code == 0, done.err
    assert list(done.json["files"]) == sorted(["scene", "provenance", "source_days", "quicklook", "report"])
    with Image.open(out.with_name("clear_quicklook.png")) as picture:
        assert picture.width > 2.5 * picture.height  # before, after and provenance: the target was found, though it lies elsewhere
    assert done.json["files"]["quicklook"] == str(out.with_name("clear_quicklook.png"))
    html = page.read_text()
    assert "S2_20240511.tif" in html  # of the three the target
    assert "--reference" in html


def test_the_detector_of_a_composite_looks_at_each_date(tmp_path: Path, geocr: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def make(scene: Scene, method: str, **more: Any) -> CloudMask:
        asked.append((Path(scene.optical.path).name if "<" not in scene.optical.path else "", method))
        return make_cloud_mask(scene, "rule", **more)

    monkeypatch.setattr("geocr.inference.references.make_cloud_mask", make)
    done = geocr("composite", *series(tmp_path), "-o", tmp_path / "clear.tif", "--cloud-mask", "rule+s2cloudless", "--dry-run", "--json")
    assert done.code == 2  # the target's own mask is made by what was named, and s2cloudless needs bands that it has not
    assert "s2cloudless" in done.err
    assert {method for _, method in asked} == {"rule+s2cloudless"}
    done = geocr("composite", *series(tmp_path), "-o", tmp_path / "clear.tif", "--cloud-mask", "rule", "--dry-run", "--json")
    assert done.json["cloud_mask"]["source"] == "rule"


def test_references_on_the_command_line(tmp_path: Path, geocr: Command) -> None:
    first, second, third = series(tmp_path)
    out = tmp_path / "out.tif"
    done = geocr(
        "predict-scene", "--no-s1", second, "--reference", first, "--reference", third, "-o", str(out), "--max-days", "10", "--quiet"
    )
    assert done.code == 0, done.err
    assert (tmp_path / "out_source_days.tif").exists()
    people = geocr("predict-scene", "--no-s1", second, "--reference", first, "-o", str(out), "--overwrite")
    words = " ".join(people.out.split())
    assert "observed on another date" in words
    assert "S2_20240501.tif, -10 days; after matching it differs by" in words
    refused = geocr("predict-scene", "--no-s1", second, "--method", "wishful", "-o", str(out))
    assert "--method: Input should be 'auto', 'scenefit' or 'temporal'" in " ".join(refused.err.split())


AMAZON = ("2019_06_11", "2019_07_01", "2019_07_11", "2019_07_26")


def amazon(data: Path, folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The series with a CRS, which its files lack: Sentinel-2 by day, and the Sentinel-1 of 2 July and 20 June."""
    source = data / "multiearth_s1s2_series"

    def stacked(pattern: str, names: tuple[str, ...]) -> NDArray[np.generic]:
        return np.stack([rasterio.open(source / pattern.format(name)).read(1) for name in names])

    optical = {
        day: write_raster(
            folder / f"S2_{day.replace('_', '')}.tif",
            stacked(f"sent2/Sentinel2_{{}}_-55.20_-4.39_{day}.tiff", ("B2", "B3", "B4")),
            nodata=0,
            descriptions=BANDS,
            scale=1e-4,
        )
        for day in AMAZON
    }
    sar = {
        day: write_raster(
            folder / f"S1_{day.replace('_', '')}.tif",
            stacked(f"sent1/Sentinel1_{{}}_-55.20_-4.39_{day}.tiff", ("VV", "VH")),
            descriptions=("VV", "VH"),
        )
        for day in ("2019_06_20", "2019_07_02")
    }
    return optical, sar


@pytest.mark.real_data
@pytest.mark.slow
def test_a_hidden_part_of_the_amazon_comes_back_from_other_dates(real_data: Path, tmp_path: Path) -> None:
    """26 July 2019 with a quarter of it hidden, filled from 11 and 1 July, against Sentinel-1 and against interpolation."""
    optical, sar = amazon(real_data, tmp_path)
    hidden = disc((256, 256), 128, 128, 72)
    mask = write_raster(tmp_path / "mask.tif", hidden[None].astype(np.uint8))
    target = optical["2019_07_26"]
    with rasterio.open(target) as file:
        truth = file.read() * 1e-4

    def filled(name: str, **settings: object) -> NDArray[np.float64]:
        config = PredictConfig(cloud_mask=mask, mask_buffer_px=0, **settings)
        result = predict_scene(sar["2019_07_02"], target, tmp_path / f"{name}.tif", config=config)
        with rasterio.open(result.scene) as file:
            return file.read() * 1e-4

    def rmse(image: NDArray[np.floating]) -> float:
        return float(np.sqrt(((image - truth)[:, hidden] ** 2).mean()))

    others = (f"{optical['2019_07_11']},{sar['2019_07_02']}", optical["2019_07_01"])
    temporal = rmse(filled("temporal", references=others))
    assert temporal < 0.8 * rmse(filled("scenefit"))
    assert temporal < 0.8 * rmse(interpolate_holes(truth.astype(np.float32), hidden, ~hidden))


@pytest.mark.real_data
@pytest.mark.slow
def test_the_amazon_series_as_a_composite(real_data: Path, tmp_path: Path, geocr: Command) -> None:
    optical, sar = amazon(real_data, tmp_path)
    scenes = [f"{optical['2019_07_01']},{sar['2019_07_02']}", optical["2019_06_11"], optical["2019_07_11"], optical["2019_07_26"]]
    done = geocr("composite", *scenes, "-o", str(tmp_path / "clear.tif"), "--date", "2019-07-02", "--json")
    assert done.code == 0, done.err
    assert done.json["target"]["day"] == "2019-07-01"
    assert done.json["pixels"]["nodata"] == 0
    assert [date["days"] for date in done.json["dates"]] == [10, -20, 25]
