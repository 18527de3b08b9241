"""`predict-scene --report` and `geocr report`."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tests.cli.conftest import Command, Files, make_files
from tests.report.runs import make_run


@pytest.fixture
def clear(files: Files, geocr: Command, rgbn_net: Path) -> Path:
    """A run with everything, and its report."""
    out = files.folder / "clear.tif"
    done = geocr(
        *files.arguments(
            "-o", out, "--uncertainty", "--checkpoint", rgbn_net, "--report", files.folder / "run.html", "--quiet", "--any-level"
        )
    )
    assert done.code == 0, done.err
    return out


def test_a_run_writes_its_report_and_styles(clear: Path, files: Files, geocr: Command) -> None:
    text = (files.folder / "run.html").read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert "Before: the cloudy input" in text
    assert "Standard deviation" in text
    assert "geocr predict-scene s1.tif s2.tif -o clear.tif" in text
    assert str(files.folder) not in text  # where files lay is nobody's business
    for name, kind in (("clear_std.qml", "singlebandpseudocolor"), ("clear_provenance.qml", "paletted")):
        assert f'type="{kind}"' in (files.folder / name).read_text()
    assert (files.folder / "clear_provenance.tif.aux.xml").exists()
    assert geocr("report", clear, "-o", files.folder / "again.html").code == 0
    assert (files.folder / "again.html").read_text() == text


def test_the_report_changes_no_byte_of_the_run(clear: Path, files: Files, geocr: Command, rgbn_net: Path) -> None:
    plain = files.folder / "plain.tif"
    assert geocr(*files.arguments("-o", plain, "--uncertainty", "--checkpoint", rgbn_net, "--quiet", "--any-level")).code == 0
    assert plain.read_bytes() == clear.read_bytes()


def test_the_item_lists_what_this_run_drew_and_nothing_older(clear: Path, files: Files, geocr: Command, rgbn_net: Path) -> None:
    def drawn(*more: object) -> set[str]:
        done = geocr(*files.arguments("-o", clear, "--checkpoint", rgbn_net, "--any-level", "--quiet", "--overwrite", *more))
        assert done.code == 0, done.err
        assets = json.loads(clear.with_suffix(".json").read_text())["assets"]
        return {asset["href"] for name, asset in assets.items() if name in ("quicklook", "report")}

    assert drawn("--quicklook", "--report", files.folder / "run.html") == {"./clear_quicklook.png", "./run.html"}
    assert drawn("--report", files.folder / "run.html") == {"./run.html"}
    (files.folder / "sub").mkdir()
    assert drawn("--report", files.folder / "sub" / "run.html") == set()


def test_the_summary_names_it(files: Files, geocr: Command, rgbn_net: Path) -> None:
    done = geocr(*files.arguments("--checkpoint", rgbn_net, "--report", files.folder / "a.html", "--json", "--any-level"))
    assert done.json["files"]["report"] == str(files.folder / "a.html")


def test_a_report_that_may_not_be_written_is_said_before_the_run(files: Files, geocr: Command) -> None:
    there = files.folder / "there.html"
    there.touch()
    done = geocr(*files.arguments("--report", there))
    assert done.code == 2
    assert "there.html exists; add --overwrite" in done.err
    assert geocr(*files.arguments("--report", files.folder / "a.pdf")).code == 2
    assert not files.out.exists()


def test_styles_are_never_overwritten_unasked(files: Files, geocr: Command) -> None:
    mine = files.folder / "s2_cloudfree_provenance.qml"
    mine.write_text("mine")
    done = geocr(*files.arguments())
    assert done.code == 2
    assert "s2_cloudfree_provenance.qml exists; add --overwrite" in done.err
    assert mine.read_text() == "mine"


def test_report_of_a_finished_run(tmp_path: Path, geocr: Command) -> None:
    run = make_run(tmp_path)
    done = geocr("report", run.scene, "--json")
    assert done.json["report"] == str(tmp_path / "clear_report.html")
    assert done.json["bytes"] == (tmp_path / "clear_report.html").stat().st_size
    assert done.json["missing"] == []
    assert geocr("report", run.scene).code == 2  # there already
    assert geocr("report", run.scene, "--overwrite").code == 0


def test_an_input_that_is_not_beside_is_asked_for(tmp_path: Path, geocr: Command) -> None:
    run = make_run(tmp_path / "run")
    moved = Path(run.s2).rename(tmp_path / "elsewhere.tif")
    done = geocr("report", run.scene)
    assert done.code == 0
    assert "note: The input of the run (s2.tif, the scene before) is not beside the result; name it with --s2." in done.err
    done = geocr("report", run.scene, "--s2", moved, "--overwrite")
    assert "note:" not in done.err
    assert "Before: the cloudy input" in (tmp_path / "run" / "clear_report.html").read_text()


def test_what_is_no_result_is_refused(tmp_path: Path, geocr: Command) -> None:
    files = make_files(tmp_path / "data")
    assert "a scene that geocr wrote" in geocr("report", files.s2).err
    done = geocr("report", tmp_path / "absent.tif")
    assert (done.code, "nothing at" in done.err) == (2, True)


def test_scaled_floats_are_reported_too(tmp_path: Path, geocr: Command, rgbn_net: Path) -> None:
    files = make_files(tmp_path / "data", dtype="float32", nodata=float("nan"))
    done = geocr(*files.arguments("--checkpoint", rgbn_net, "--any-level", "--report", tmp_path / "r.html", "--quiet"))
    assert done.code == 0, done.err
    text = (tmp_path / "r.html").read_text()
    with rasterio.open(files.provenance) as dataset:
        classes = dataset.read(1)
    for value, name in ((1, "observed"), (2, "reconstructed with SAR")):
        assert f"<td>{name}</td><td>{np.count_nonzero(classes == value):,}</td>" in text
