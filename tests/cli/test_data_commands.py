import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from typer.testing import CliRunner

from geocr.cli.app import app
from geocr.core.errors import GeoreferenceError, InputError, MissingDataError, OutputExistsError, RegistryError
from geocr.data.check import check_dataset
from tests.data_makers.scenes import make_scenes, write_s1
from tests.data_makers.sen12mscr import make_sen12mscr
from tests.data_makers.sen12mscr_ts import make_sen12mscr_ts

SMALL = ("--set", "patch_px=32", "--set", "block_px=64", "--set", "gap_px=0")


def run(*arguments: object, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["data", *map(str, arguments), "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


@pytest.fixture
def sen12(tmp_path: Path) -> Path:
    return make_sen12mscr(tmp_path / "SEN12MSCR", {"ROIs1158_spring": (1, 31), "ROIs1868_summer": (17,)})


def kinds(report: dict[str, Any]) -> dict[str, int]:
    return {finding["kind"]: finding["count"] for finding in report["findings"] if finding["severity"] == "error"}


def test_a_whole_set_passes(sen12: Path, tmp_path: Path) -> None:
    report = run("check", sen12, "-d", "sen12mscr", "--workers", 0)
    assert report["passed"]
    assert report["read"] == sum(report["counts"].values()) > 3
    assert run("check", sen12, "-d", "sen12mscr", "--limit", 2, "--workers", 2)["read"] == 2
    scenes = run("check", make_scenes(tmp_path / "place"), "-d", "scenes", *SMALL, "--workers", 0)
    assert scenes["passed"], scenes
    assert set(scenes["counts"]) == {"train", "val", "test"}


def damage(root: Path, how: str) -> None:
    files = sorted(root.rglob("*_s2_cloudy_*_p*.tif"))
    sar = sorted(root.rglob("*_s1_*_p*.tif"))
    if how == "truncated":
        files[0].write_bytes(files[0].read_bytes()[: files[0].stat().st_size // 2])
    elif how == "garbage":
        files[0].write_bytes(b"no raster at all")
    elif how == "bands":
        _rewrite(files[0], lambda pixels: pixels[:12])
    elif how == "size":
        _rewrite(files[0], lambda pixels: pixels[:, :-1])
    elif how == "bytes":
        _rewrite(files[0], lambda pixels: (pixels // 256).astype(np.uint8))
    elif how == "linear":
        _rewrite(sar[0], lambda pixels: 10 ** (pixels / 10))
    elif how == "values":
        _rewrite(sar[0], lambda pixels: pixels * 1000)


def _rewrite(path: Path, change: Any) -> None:
    with rasterio.open(path) as source:
        pixels, profile = change(source.read()), source.profile
    profile |= {"count": pixels.shape[0], "height": pixels.shape[1], "width": pixels.shape[2], "dtype": pixels.dtype}
    with rasterio.open(path, "w", **profile) as out:
        out.write(pixels)


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ("truncated", "unreadable or truncated file"),
        ("garbage", "unreadable or truncated file"),
        ("bands", "wrong bands, size or values"),
        ("size", "wrong bands, size or values"),
        ("bytes", "wrong bands, size or values"),
        ("linear", "wrong unit"),
        ("values", "wrong bands, size or values"),
    ],
)
def test_each_damage_is_named_and_fails(sen12: Path, how: str, kind: str) -> None:
    damage(sen12, how)
    report = run("check", sen12, "-d", "sen12mscr", "--workers", 0, code=1)
    assert not report["passed"]
    assert kinds(report) == {kind: 1}
    (finding,) = (finding for finding in report["findings"] if finding["severity"] == "error")
    assert ".tif" in finding["examples"][0] or "p" in finding["examples"][0]


def test_missing_partners_are_warnings_with_counts(sen12: Path) -> None:
    victim = min(sen12.rglob("*_s2_cloudy_*_p*.tif"))
    victim.unlink()
    report = run("check", sen12, "-d", "sen12mscr", "--workers", 0)
    (finding,) = (finding for finding in report["findings"] if finding["kind"] == "samples without their cloudy")
    assert finding["severity"] == "warning"
    assert finding["count"] >= 1


def test_an_empty_folder_fails_with_the_layout(tmp_path: Path) -> None:
    report = run("check", tmp_path, "-d", "sen12mscr", code=1)
    assert kinds(report) == {"missing or empty layout": 3}
    assert "Layout wanted" in report["findings"][0]["examples"][0]
    result = CliRunner().invoke(app, ["data", "check", str(tmp_path), "-d", "sen12mscr"])
    assert result.exit_code == 1
    assert "error: missing or empty layout (3)" in result.output


def test_a_folder_that_is_not_there_is_no_finding(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"there is none at .*nowhere; geocr data list tells how to get sen12mscr"):
        run("check", tmp_path / "nowhere", "-d", "sen12mscr")
    with pytest.raises(RegistryError, match=r"got 'sen12mcsr'; did you mean 'sen12mscr'\?"):
        run("check", tmp_path / "nowhere", "-d", "sen12mcsr")


def test_a_name_promises_the_format_that_is_written(sen12: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"an index is written as \.parquet; got .*a\.csv; give -o .*a\.parquet"):
        run("index", sen12, "-d", "sen12mscr", "-o", tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"a picture of samples is written as \.png; got .*a\.tif; give -o .*a\.png"):
        run("show", sen12, "-d", "sen12mscr", "-o", tmp_path / "a.tif")
    assert not list(tmp_path.glob("a.*"))


def test_splits_that_share_a_region_fail(sen12: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from geocr.data.datasets import sen12mscr

    splits = iter(["train", "val", "test"] * 100)
    monkeypatch.setattr(sen12mscr, "split_of", lambda season, roi: next(splits))
    report = check_dataset("sen12mscr", sen12)
    assert {"regions in two splits", "files in two splits"} & {finding.kind for finding in report.findings if finding.severity == "error"}


def test_an_index_is_made_beside_the_data_and_shown_in_numbers(sen12: Path) -> None:
    report = run("index", sen12, "-d", "sen12mscr", "--workers", 0, "--cloud-mask", "rule")
    assert report["index"] == str(sen12 / "geocr_index_sen12mscr.parquet")
    assert report["rows"] == report["measured"] > 3
    assert report["errors"] == 0
    assert run("index", sen12, "-d", "sen12mscr", "--cloud-mask", "rule")["measured"] == 0
    assert (
        run("index", sen12, "-d", "sen12mscr", "--cloud-mask", "none", "--no-checksum", "-o", sen12 / "x.parquet", "--workers", 0)[
            "measured"
        ]
        > 3
    )


def test_samples_are_drawn(sen12: Path, tmp_path: Path) -> None:
    report = run("show", sen12, "-d", "sen12mscr", "-n", 2, "-o", tmp_path / "a.png")
    assert len(report["samples"]) == 2
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape[0] > 2 * 192
    assert pixels.shape[1] == 3 * 200 + 8
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
    with pytest.raises(OutputExistsError, match="give --overwrite"):
        run("show", sen12, "-d", "sen12mscr", "-o", tmp_path / "a.png")
    scenes = run("show", make_scenes(tmp_path / "place"), "-d", "scenes", *SMALL, "--split", "val", "-o", tmp_path / "b.png")
    assert scenes["samples"]
    with Image.open(tmp_path / "b.png") as picture:
        assert picture.width == 4 * 200 + 8  # with a mask


def test_wrong_words_are_told(sen12: Path) -> None:
    with pytest.raises(RegistryError, match="sen12mscr"):
        run("check", sen12, "-d", "nothing")
    with pytest.raises(InputError, match="NAME=VALUE"):
        run("show", sen12, "-d", "sen12mscr", "--set", "patch")
    with pytest.raises(InputError, match="options of sen12mscr are"):
        run("show", sen12, "-d", "sen12mscr", "--set", "colour=red")
    for command in ("check", "index"):
        with pytest.raises(InputError, match="split"):
            run(command, sen12, "-d", "sen12mscr", "--set", "split=val")


def test_series_are_checked_and_indexed_with_a_detector_and_drawn_by_the_index(tmp_path: Path) -> None:
    root = make_sen12mscr_ts(tmp_path / "ts", [("ROIs1868", 36)], patches=(1,), side=32)
    detector = ("--set", "cloud_mask=rule")
    assert run("index", root, "-d", "sen12mscr_ts", *detector, "--workers", 0)["errors"] == 0
    report = run("check", root, "-d", "sen12mscr_ts", "--workers", 0, *detector, code=1)
    assert kinds(report) == {"missing or empty layout": 2}  # of one region
    assert report["counts"] == {"train": 1}
    cover = f"cover={root / 'geocr_index_sen12mscr_ts.parquet'}"
    assert run("show", root, "-d", "sen12mscr_ts", "--set", cover, "-o", tmp_path / "a.png")["samples"] == ["ROIs1868_36_patch_1"]
    with pytest.raises(InputError, match="--set cloud_mask=auto"):
        run("show", root, "-d", "sen12mscr_ts", "-o", tmp_path / "b.png")


@pytest.mark.real_data
def test_real_patches_are_indexed(real_data: Path, tmp_path: Path) -> None:
    report = run("index", real_data / "sen12mscr", "-d", "sen12mscr", "-o", tmp_path / "real.parquet", "--workers", 0)
    assert report["rows"] >= 1
    assert report["errors"] == 0


def test_max_days_is_an_option_of_each_command(tmp_path: Path) -> None:
    root = make_scenes(tmp_path / "place")  # the clear scene four days later
    with pytest.raises(GeoreferenceError, match="raise --max-days"):
        run("index", root, "-d", "scenes", "--max-days", "3.5")
    for command in (("index", "--workers", 0), ("check", "--workers", 0), ("show", "-o", tmp_path / "a.png")):
        run(command[0], root, "-d", "scenes", *SMALL, *command[1:], "--max-days", "4.1")
    with pytest.raises(InputError, match="max_days"):
        run("index", root, "-d", "sen12mscr", "--max-days", "4")


def test_times_are_told_where_matching_needs_them(tmp_path: Path) -> None:
    root = make_scenes(tmp_path / "place", masks=False)
    write_s1(root / "s1" / "undated.tif")
    with pytest.raises(InputError, match=r"not known for .*undated\.tif"):
        run("show", root, "-d", "scenes", "-o", tmp_path / "x.png")
