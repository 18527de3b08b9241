"""What a run would do, as notebooks show it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from geocr.accessor.run import ArrayRun
from geocr.accessor.wording import with_python_notes
from geocr.core.html import facts_table

_SHOWN = {
    "rows": "rows", "columns": "columns", "optical_bands": "bands", "sar_bands": "Sentinel-1", "cloud_share": "under cloud",
    "sar_share": "covered by Sentinel-1", "method": "method", "tiles_computed": "tiles to compute", "tiles_skipped": "tiles to skip",
    "memory_bytes": "memory of a run, estimated",
}  # fmt: skip
"""What is shown of a plan, and how it is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CubePlan:
    """What `remove_clouds` would do with each date."""

    scenes: tuple[dict[str, Any], ...]
    """JSON-able facts of each date, as `predict-scene --dry-run --json` tells them."""
    labels: tuple[str, ...]
    """What to call each date."""

    @classmethod
    def of(cls, runs: Sequence[ArrayRun], dates: tuple[Any, ...] | None) -> "CubePlan":
        """Open, mask and plan every run."""
        labels = (
            [f"date {number}" for number in range(len(runs))] if dates is None else [np.datetime_as_string(day, unit="D") for day in dates]
        )
        return cls(scenes=tuple(with_python_notes(run.prepare().describe()) for run in runs), labels=tuple(map(str, labels)))

    def _rows(self) -> list[list[str]]:
        return [[title, *(_said(key, scene[key]) for scene in self.scenes)] for key, title in _SHOWN.items()]

    def __repr__(self) -> str:
        rows = [["", *self.labels], *self._rows()] if len(self.scenes) > 1 else self._rows()
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)

    def _repr_html_(self) -> str:
        notes = list(dict.fromkeys(note for scene in self.scenes for note in scene["notes"]))
        return facts_table("Plan of remove_clouds", self._rows(), head=self.labels if len(self.scenes) > 1 else (), notes=notes)


def _said(key: str, value: Any) -> str:  # noqa: ANN401 - JSON
    if key.endswith("_share"):
        return f"{value:.1%}"
    if key.endswith("_bytes"):
        return f"{value / 2**30:.2f} GiB"
    if key == "method":
        return str(value["name"])
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else f"{value:,}"
