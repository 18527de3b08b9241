"""What a run draws beside its rasters, for the commands that take `--quicklook` and `--report`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geocr.cli._render import Display
    from geocr.inference.outputs import OutputPaths


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """The files to draw, and how it is told."""

    quicklook: bool
    report: Path | None

    def require_places(self, paths: "OutputPaths", *, overwrite: bool) -> None:
        """Raise unless they may be written, before anything is computed.

        Raises:
            GeocrError: A leaf for each thing that can be wrong.
        """
        from geocr.inference.outputs import require_free

        if self.quicklook and not overwrite:
            require_free(paths, paths.quicklook)
        if self.report is not None:
            from geocr.report.html import require_report_place

            require_report_place(self.report, overwrite=overwrite)

    def drawer(self, display: "Display") -> "Callable[[OutputPaths, str], dict[str, Path]] | None":
        """What draws them, given where the products are and the Sentinel-2 file that they were made of; None when none was asked for."""
        if not self.quicklook and self.report is None:
            return None

        def draw(paths: "OutputPaths", s2: str) -> dict[str, Path]:
            drawn = {}
            if self.quicklook:
                from geocr.report.quicklook import write_quicklook

                drawn["quicklook"] = write_quicklook(s2, str(paths.scene), str(paths.provenance), paths.quicklook)
            if self.report is not None:
                from geocr.report.html import write_report
                from geocr.report.result import find_result

                display.stage("writing the report", 1)
                drawn["report"] = write_report(find_result(str(paths.scene), s2), self.report)
                display.advance()
            return drawn

        return draw

    def files(self, paths: "OutputPaths") -> dict[str, str]:
        """What was drawn, by its role."""
        drawn = {}
        if self.quicklook:
            drawn["quicklook"] = str(paths.published(paths.quicklook))
        if self.report is not None:
            drawn["report"] = str(self.report)
        return drawn
