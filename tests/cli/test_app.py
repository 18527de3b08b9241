"""The command itself: help, version, doctor, and how quickly it answers."""

import subprocess
import sys

import pytest

from geocr._version import __version__
from geocr.cli._render import help_text, in_words
from tests.cli.conftest import Command

HEAVY = ("torch", "rasterio", "numpy", "xarray", "dask", "scipy", "torchgeo", "shapely", "PIL")


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("predict-scene", "--help"), ("demo", "--help"), ("doctor", "-h")])
def test_help(geocr: Command, arguments: tuple[str, ...]) -> None:
    done = geocr(*arguments)
    assert done.code == 0
    assert "Usage: geocr" in done.out
    assert done.err == ""


def test_help_names_every_command_and_where_to_begin(geocr: Command) -> None:
    out = geocr("--help").out
    for word in ("predict-scene", "demo", "doctor", "geocr predict-scene scene_s1.tif scene_s2.tif", "--install-completion"):
        assert word in out


@pytest.mark.parametrize("command", ["predict-scene", "demo"])
def test_help_of_a_command_has_examples(geocr: Command, command: str) -> None:
    out = geocr(command, "--help").out
    assert "Examples" in out
    assert f"geocr {command}" in out


def test_paragraphs_of_help_are_wrapped_by_the_terminal(geocr: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert help_text("First\n    line.\n\n    Two\n    lines.\n\n      geocr demo\n    ") == "First line.\n\nTwo lines.\n\n  geocr demo"
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 100)
    text = geocr("predict-scene", "--help").out.partition("Examples")[0]
    paragraph = [line.strip() for line in text.splitlines() if line.strip()][2:]
    assert len(paragraph) > 2
    assert min(len(line) for line in paragraph[:-1]) > 70  # no line ends where the source's did


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["predict-scene", "--help"], ["predict-scene", "--no-such-option"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """Instead of a stopwatch: what takes the time is importing these (typer itself imports pydantic)."""
    code = (
        "import sys\n"
        "from geocr.cli.app import main\n"
        f"sys.argv = ['geocr', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('modules:', *sorted(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.rpartition("modules:")[2].split())
    assert "geocr.cli.app" in loaded
    assert not loaded & set(HEAVY)


def test_version(geocr: Command) -> None:
    done = geocr("--version")
    assert (done.code, done.out) == (0, f"geocr {__version__}\n")


@pytest.mark.parametrize(
    "arguments", [("no-such-command",), ("predict-scene", "--no-such-option"), ("predict-scene",), ("--no-such-option",)]
)
def test_a_wrong_command_line_exits_with_2(geocr: Command, arguments: tuple[str, ...]) -> None:
    done = geocr(*arguments)
    assert done.code == 2
    assert "Usage:" in done.err
    assert "Traceback" not in done.err


def test_the_module_runs_as_the_script_does() -> None:
    done = subprocess.run([sys.executable, "-m", "geocr", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"geocr {__version__}\n"


def test_doctor_for_people(geocr: Command) -> None:
    done = geocr("doctor")
    assert done.code == 0
    for word in ("versions", "rasterio", "gdal", "cores", "GPU", "GTiff", "nothing"):
        assert word in done.out


def test_doctor_for_scripts(geocr: Command) -> None:
    facts = geocr("doctor", "--json").json
    assert facts["missing"] == []
    assert facts["versions"]["geocr"] == __version__
    assert all(facts["versions"].values())
    assert facts["cores"] >= 1
    assert facts["free_disk_gib"] > 0


def test_doctor_finds_a_missing_package(geocr: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from geocr.cli import doctor

    monkeypatch.setattr(doctor, "_PACKAGES", (*doctor._PACKAGES, "no-such-package"))
    done = geocr("doctor", "--json")
    assert done.code == 2
    assert done.json["missing"] == ["package no-such-package: pip install no-such-package"]
    people = geocr("doctor")
    assert people.code == 2
    assert "pip install no-such-package" in people.out


def test_doctor_finds_missing_parts_of_gdal(geocr: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from geocr.cli import doctor

    monkeypatch.setattr(doctor, "_gdal", lambda: ({"GTiff"}, {"DEFLATE"}, "3.10.0"))
    done = geocr("doctor", "--json")
    assert done.code == 2
    assert "GDAL driver VRT" in " ".join(done.json["missing"])
    assert "ZSTD" in " ".join(done.json["missing"])
    assert "JP2OpenJPEG" in done.json["missing_optional_drivers"]


def test_doctor_without_rasterio_and_torch(geocr: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rasterio", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    done = geocr("doctor", "--json")
    assert done.code == 2
    assert done.json["gpu"] is None
    assert done.json["versions"]["gdal"] is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "none"),
        ([], "none"),
        ([[15.0, 46.0, 15.1, 46.1]], "15.0, 46.0, 15.1, 46.1"),
        ({"sar": [1, 2, 64], "cloudy": [1, 13, 64]}, "sar 1 x 2 x 64; cloudy 1 x 13 x 64"),
        ({"catalog": "archive", "collection": None}, "catalog archive; collection none"),
    ],
)
def test_reports_are_told_without_the_signs_of_a_language(value: object, words: str) -> None:
    assert in_words(value) == words


@pytest.mark.parametrize(
    ("command", "usage"),
    [("train", "[CONFIG.yaml]"), ("evaluate", "[CKPT...]"), ("predict-batch", "PAIRS"), ("fetch", "PAIRS"), ("export", "CKPT")],
)
def test_arguments_are_shown_once_and_in_capitals(geocr: Command, command: str, usage: str) -> None:
    line = next(text for text in geocr(command, "--help").out.splitlines() if "Usage:" in text)
    assert usage in line
    assert "[[" not in line
