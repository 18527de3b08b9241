import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from typer.testing import CliRunner

from geocr.cli.app import app
from geocr.clouds.mdfcr import blend_as_published, prepare_cloud
from geocr.clouds.patches import CloudPatches
from geocr.core.errors import GeocrError, InputError, MissingDataError, OutputExistsError
from geocr.simulate.scene import simulate_scene, write_scene
from tests.clouds.test_painters import make_patches


def run(*arguments: object) -> dict[str, object]:
    result = CliRunner().invoke(app, ["synthesize-clouds", *map(str, arguments), "--json"])
    if result.exception is not None:
        raise result.exception
    report: dict[str, object] = json.loads(result.stdout)
    return report


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clear")
    write_scene(simulate_scene(shape=(200, 220), seed=1, cloud_cover=0.3), root)
    make_patches(root / "38", count=1)
    return root


@pytest.mark.parametrize(
    "options",
    [
        ("--cover", 0.4, "--seed", 3),
        ("--method", "transplant", "--donor", "scene_s2.tif", "--donor-mask", "truth_mask.tif", "--donor-clear", "truth_s2.tif"),
        ("--method", "transplant", "--donor", "scene_s2.tif", "--opacity", "solid", "--seed", 2),
        ("--method", "real-patches", "--patches", "38"),
    ],
)
def test_each_method_writes_a_scene_and_its_mask(
    folder: Path, tmp_path: Path, options: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    report = run("truth_s2.tif", "-o", tmp_path / "cloudy.tif", *options)
    assert report["mask"] == str(tmp_path / "cloudy_mask.tif")
    assert 0.05 < float(str(report["cloud_share"])) < 0.9
    with (
        rasterio.open("truth_s2.tif") as before,
        rasterio.open(tmp_path / "cloudy.tif") as after,
        rasterio.open(str(report["mask"])) as mask,
    ):
        clear = mask.read(1) == 0
        np.testing.assert_array_equal(after.read()[:, clear], before.read()[:, clear])
        assert after.transform == before.transform


def test_a_donor_over_its_own_ground_comes_back(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    options = ("--method", "transplant", "--donor", "scene_s2.tif", "--donor-mask", "truth_mask.tif", "--donor-clear", "truth_s2.tif")
    run("truth_s2.tif", "-o", tmp_path / "cloudy.tif", *options)
    with rasterio.open("scene_s2.tif") as donor, rasterio.open(tmp_path / "cloudy.tif") as after:
        error = np.abs(donor.read().astype(int) - after.read().astype(int))
    assert np.quantile(error, 0.99) <= 1  # one digital number of rounding


class Interrupted:
    """Stands for a function during which Ctrl-C is pressed, at the call behind the first few."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, *_: Any) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


def test_mdfcr_writes_its_folders_as_published_and_whole(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    for part, name in (("train", "837.bmp"), ("train", "52.bmp"), ("test_simu", "52.bmp")):
        for kind in ("sar", "rgb"):
            path = tmp_path / "TGRS" / part / kind / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (256, 256, 3), np.uint8)).save(path)
    patches = CloudPatches(folder / "38")
    first = patches.names()[0]
    lines = ["Number,Image names,,", f"1,{first}.TIF,,", ",,", "Correlation,,"]
    lines += [
        f"E:\\Data\\{part}\\sar\\{name},gt_{first}.TIF,,"
        for part, name in (("train", "837.bmp"), ("train", "52.bmp"), ("test_simu", "52.bmp"))
    ]
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    options = ("--method", "mdfcr", "--patches", folder / "38", "--pairing", tmp_path / "pairs.csv")
    assert run(tmp_path / "TGRS", "-o", tmp_path / "out", *options) == {"folder": str(tmp_path / "out"), "pictures": 3}
    for kind in ("gt", "cloudy rgb", "rgb", "sar"):
        assert sorted(path.name for path in (tmp_path / "out" / kind).iterdir()) == ["837.bmp", "test_simu_52.bmp", "train_52.bmp"]
    clear = np.asarray(Image.open(tmp_path / "TGRS" / "train" / "rgb" / "837.bmp")).transpose(2, 0, 1)
    expected = blend_as_published(clear, prepare_cloud(patches.read(first, ("red", "green", "blue"))))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / "cloudy rgb" / "837.bmp")).transpose(2, 0, 1), expected)
    mask = np.asarray(Image.open(tmp_path / "out" / "gt" / "837.bmp"))
    assert set(np.unique(mask)) == {0, 255}
    with pytest.raises(OutputExistsError, match="out/gt does"):
        run(tmp_path / "TGRS", "-o", tmp_path / "out", *options)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    with monkeypatch.context() as stopped:
        stopped.setattr("geocr.clouds.mdfcr_set._save", Interrupted(after=3))
        with pytest.raises(SystemExit):
            run(tmp_path / "TGRS", "-o", tmp_path / "out", "--overwrite", *options)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path != tmp_path / "out"} == before
    (tmp_path / "TGRS" / "train" / "rgb" / "837.bmp").unlink()
    with pytest.raises(MissingDataError, match=r"needs 6 pictures .* 1 are not under .*train/rgb/837\.bmp"):
        run(tmp_path / "TGRS", "-o", tmp_path / "out2", *options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--method", "magic"), "--method must be one of"),
        (("--method", "transplant"), "needs --donor"),
        (("--method", "real-patches"), "needs --patches"),
        (("--method", "mdfcr", "--patches", "38"), "needs --pairing"),
        (("--method", "sythetic"), "did you mean 'synthetic'"),
        (("--donor", "cloudy.tif"), "--donor belongs to --method transplant; got --method synthetic"),
        (("--method", "transplant", "--patches", "38"), "--patches belongs to --method real-patches or mdfcr"),
    ],
)
def test_what_is_missing_is_named(folder: Path, tmp_path: Path, options: tuple[object, ...], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        run(folder / "truth_s2.tif", "-o", tmp_path / "cloudy.tif", *options)
    assert isinstance(caught.value, GeocrError)


@pytest.mark.parametrize(("option", "value"), [("--cover", 40), ("--cover", -0.1), ("--thick-share", 2), ("--cirrus-share", -1)])
def test_shares_lie_between_0_and_1(folder: Path, tmp_path: Path, option: str, value: float) -> None:
    result = CliRunner().invoke(app, ["synthesize-clouds", str(folder / "truth_s2.tif"), "-o", str(tmp_path / "c.tif"), option, str(value)])
    assert result.exit_code == 2
    assert "Invalid value" in result.output
    assert not (tmp_path / "c.tif").exists()


def test_what_is_in_the_way_is_told_before_clouds_are_looked_for(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a scene was opened")

    monkeypatch.setattr("geocr.io.open.open_scene", never)
    for name in ("cloudy.tif", "cloudy_mask.tif"):
        (tmp_path / name).touch()
        with pytest.raises(OutputExistsError, match=f"{name} does; give --overwrite"):
            run(folder / "truth_s2.tif", "-o", tmp_path / "cloudy.tif")
        (tmp_path / name).unlink()
