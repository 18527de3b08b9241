"""What an evaluation leaves behind: a folder of tables, pictures and predictions, each file whole at its name."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from geocr.core.errors import OutputExistsError
from geocr.evaluation.gallery import draw_galleries
from geocr.evaluation.plots import draw_plots
from geocr.evaluation.report import markdown, summarise, write_rows
from geocr.evaluation.run import EvaluationResult
from geocr.io.failure import naming_failure, require_writable_folder


@dataclass(frozen=True, slots=True)
class EvaluationFolder:
    """Names of the files."""

    folder: Path
    """All are in it."""

    @property
    def summary(self) -> Path:
        """All figures."""
        return self.folder / "summary.json"

    @property
    def samples(self) -> Path:
        """A row for each sample and method."""
        return self.folder / "samples.parquet"

    @property
    def table(self) -> Path:
        """For a paper."""
        return self.folder / "table.md"

    @property
    def predictions(self) -> Path:
        """Folder of COGs."""
        return self.folder / "predictions"

    @property
    def part(self) -> Path:
        """Samples that are done, while an evaluation runs; it goes with the summary."""
        return self.folder / ".evaluation.part"

    def require_free(self, *, overwrite: bool) -> None:
        """Refuse a folder that holds an evaluation; not one that was stopped before its summary.

        Raises:
            OutputExistsError: When one of the files is there and may not be replaced.
            OutputWriteError: When nothing could be written there.
        """
        require_writable_folder(self.folder)
        files = (self.summary, self.samples, self.table, self.predictions)
        there = [path for path in (files[:1] if self.part.exists() else files) if path.exists()]
        if there and not overwrite:
            raise OutputExistsError(
                f"outputs must not exist yet; {there[0]} does; give --overwrite to replace the evaluation, or another folder with -o"
            )


def write_evaluation(result: EvaluationResult, folder: EvaluationFolder) -> dict[str, Any]:
    """Write tables and pictures; the summary comes last. Pictures of an older evaluation go; its predictions stay.

    Returns:
        The summary, with the names of the files.

    Raises:
        OutputWriteError: When a file cannot be written.
    """
    with naming_failure(folder.folder):
        folder.folder.mkdir(parents=True, exist_ok=True)
        for leftover in _pictures_and_summary(folder):  # of methods that an older evaluation had
            leftover.unlink()
    written = [folder.samples, folder.table]
    _whole(folder.samples, lambda path: write_rows(result, path))
    _whole(folder.table, lambda path: _write_text(path, markdown(result)))
    pictures = draw_plots(result)
    if result.plan.settings.gallery:
        pictures |= {f"gallery_{re.sub(r'[^A-Za-z0-9_.+-]', '_', name)}": picture for name, picture in draw_galleries(result).items()}
    for name, picture in pictures.items():
        target = folder.folder / f"{name}.png"
        _whole(target, partial(_write_picture, picture))
        written.append(target)
    summary = summarise(result) | {"files": [str(path) for path in (*written, folder.summary)]}
    text = json.dumps(summary, indent=2, allow_nan=False) + "\n"
    _whole(folder.summary, lambda path: _write_text(path, text))
    folder.part.unlink(missing_ok=True)
    return summary


def _pictures_and_summary(folder: EvaluationFolder) -> list[Path]:
    """What another evaluation left, its summary first."""
    patterns = ("reliability_*.png", "discard_*.png", "coverage.png", "gallery_*.png")
    return [path for pattern in (folder.summary.name, *patterns) for path in folder.folder.glob(pattern)]


def _write_picture(picture: Image.Image, path: Path) -> None:
    picture.save(path, format="PNG", optimize=True)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _whole(target: Path, write: Callable[[Path], None]) -> None:
    """Write under a temporary name beside the target, then rename."""
    temporary = target.with_name(f".{target.name}.partial")
    with naming_failure(target):
        try:
            write(temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
