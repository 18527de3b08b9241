"""`geocr.evaluate`: what the command does, from Python."""

from pathlib import Path
from typing import Any

import pytest

import geocr
from geocr.core.errors import InputError, OutputExistsError
from geocr.data.datasets.synthetic import Synthetic

OPTIONS: dict[str, Any] = {"length": 2, "size_px": 64}
QUICK: dict[str, Any] = {"resamples": 100, "gallery": False, "device": "cpu"}


def test_a_name_and_a_folder_are_enough(tmp_path: Path) -> None:
    found = geocr.evaluate((), "synthetic=.", tmp_path / "out", options=OPTIONS, baselines=["input"], **QUICK)
    assert len(found.rows) == 2
    html = found._repr_html_()
    assert "all pixels, 2 samples" in html
    assert "<th style='text-align:left'>input</th>" in html
    assert "<script" not in html
    assert {"summary.json", "samples.parquet", "table.md"} <= {path.name for path in (tmp_path / "out").iterdir()}
    with pytest.raises(OutputExistsError):
        geocr.evaluate((), "synthetic=.", tmp_path / "out", options=OPTIONS, baselines=["input"], **QUICK)


def test_a_set_without_a_folder_writes_nothing(nets: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    samples = Synthetic(split="test", **OPTIONS)
    assert geocr.evaluate(nets[0], samples, **QUICK).plan.methods.names == geocr.evaluate(nets[:1], samples, **QUICK).plan.methods.names
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "more", "message"),
    [
        ("synthetic", {}, "data is NAME=PATH"),
        ("synthetic=.", {"presett": "geocr"}, "settings of an evaluation are .*preset.*; got presett"),
        ("synthetic=.", {"options": {"lenght": 2}}, "lenght"),
        ("synthetic=.", {"export": True}, "name one with out="),
    ],
)
def test_what_is_wrong_is_said(data: str, more: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        geocr.evaluate((), data, **{"options": OPTIONS, "baselines": ("input",), **QUICK, **more})
