"""The list of what was fetched, which predict-batch reads as it is."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from geocr.catalog.fetch_plan import PairPlan
from geocr.core.errors import OutputExistsError
from geocr.io.whole import write_whole

LIST_NAME = "pairs.csv"


def list_text(folder: Path, plans: Sequence[PairPlan]) -> str:
    """Pairs as CSV with places relative to the list, so that the folder can be moved."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, ("s1", "s2", "out"), lineterminator="\n")
    writer.writeheader()
    for plan in plans:
        writer.writerow(
            {
                "s1": ",".join(item.place.relative_to(folder).as_posix() for item in plan.s1),
                "s2": plan.s2.place.relative_to(folder).as_posix(),
                "out": f"{plan.s2.source.id}_cloudfree.tif",
            }
        )
    return stream.getvalue()


def require_free_list(path: Path, plans: Sequence[PairPlan], *, overwrite: bool) -> None:
    """Raise when there is another list already.

    Raises:
        OutputExistsError: With its name.
    """
    if path.exists() and not overwrite and path.read_text() != list_text(path.absolute().parent, plans):
        raise OutputExistsError(
            f"outputs are never overwritten unasked, and {path} is the list of other pairs; add --overwrite, or choose another folder with -o"
        )


def write_list(path: Path, plans: Sequence[PairPlan]) -> None:
    """Write the list, whole or not at all.

    Raises:
        OutputWriteError: When it cannot be written.
    """
    write_whole(path, list_text(path.absolute().parent, plans).encode())
