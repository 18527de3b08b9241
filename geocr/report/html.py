"""`write_report`: one HTML file that shows a finished run and says what it rests on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import rasterio

from geocr._version import __version__
from geocr.core.errors import InputError, OutputExistsError, OutputWriteError
from geocr.core.types import FloatArray
from geocr.io.qgis import STD_COLOURS, std_range
from geocr.report.cells import CELL_PX, CellCounts, Chip, choose_chips, count_cells
from geocr.report.charts import gradient, histogram, line_swatch, quartiles, spectra, swatch
from geocr.report.classes import ProvenanceClass, provenance_classes
from geocr.report.command import other_dates, repeat_command
from geocr.report.layers import Palette, Pixels, draw_layers, palette_of, read_pixels
from geocr.report.page import definitions, self_contained_page, table
from geocr.report.rendering import shrunk_shape
from geocr.report.result import READ_OPTIONS, OpenResult, ResultFiles, json_tag, open_result, settings_of
from geocr.report.sample import PixelSample, sample_pixels
from geocr.report.swipe import Mark, swipe_figure

OVERVIEW_PX = 1600
"""Longest side of the picture of the whole scene."""
OVERVIEW_BYTES, CHIP_BYTES = 1_200_000, 120_000
"""Most bytes of one photograph of the whole scene and of a chip: with six chips and all overlays a report stays under 10 MB."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Facts:
    """What a report is about, read once."""

    result: OpenResult
    classes: tuple[ProvenanceClass, ...]
    cells: CellCounts
    overview: Pixels
    palette: Palette
    chips: tuple[Chip, ...]
    sample: PixelSample

    @property
    def bands(self) -> list[str]:
        """How bands are called in words: canonical, else by number."""
        return [name or f"band {number}" for number, name in enumerate(self.result.bands, start=1)]


def require_report_place(destination: Path, *, overwrite: bool) -> None:
    """Raise unless a report may be written there.

    Raises:
        InputError: When the name does not end in .html, or is a folder's.
        OutputExistsError: When there is something and it may not be overwritten.
        OutputWriteError: When the folder is not there.
    """
    if ":/" in str(destination) or destination.suffix.lower() not in (".html", ".htm") or destination.is_dir():
        raise InputError(f"a report is a file of this machine that ends in .html, got {destination}; give such a name")
    if destination.exists() and not overwrite:
        raise OutputExistsError(
            f"outputs are never overwritten unasked, and {destination} exists; add --overwrite, or choose another name for the report"
        )
    if not destination.absolute().parent.is_dir():
        raise OutputWriteError(f"the report's folder must exist, and {destination.absolute().parent} does not; make it, or choose another")


def write_report(files: ResultFiles, destination: Path) -> Path:
    """Write the report of a run.

    Memory does not grow with the scene: the provenance is read once in strips, everything else from overviews, from chips, and from a fixed
    sample. The same run gives the same report.

    Args:
        files: The rasters of the run, as `find_result` finds them.
        destination: HTML to write; replaced in one step.

    Returns:
        `destination`.

    Raises:
        RasterReadError: When a raster cannot be read.
        OutputWriteError: When the report cannot be written.
    """
    with rasterio.Env(**READ_OPTIONS), open_result(files) as result:
        text = _page(_read(result))
    temporary = destination.with_name(destination.name + ".partial")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(destination)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputWriteError(
            f"the report must be writable; {destination} is not: {error}; free space or choose another name for it"
        ) from error
    return destination


def _read(result: OpenResult) -> Facts:
    classes = provenance_classes(result.provenance)
    cells = count_cells(result)
    overview = read_pixels(result, shrunk_shape(result.scene.shape, OVERVIEW_PX))
    top = std_range(overview.std) if overview.std is not None else 1.0
    return Facts(
        result=result,
        classes=classes,
        cells=cells,
        overview=overview,
        palette=palette_of(overview, top),
        chips=choose_chips(result, cells, _unsureness(overview, cells)),
        sample=sample_pixels(result, cells, classes),
    )


def _unsureness(overview: Pixels, cells: CellCounts) -> FloatArray | None:
    """Mean standard deviation by cell, from the picture of the whole scene; NaN where nothing was reconstructed."""
    if overview.std is None:
        return None
    rows, cols = (
        np.minimum(np.arange(n) * full // n // CELL_PX, -(-full // CELL_PX) - 1)
        for n, full in zip(overview.std.shape, cells.shape, strict=True)
    )
    total, seen = np.zeros(cells.counts.shape[1:], np.float64), np.zeros(cells.counts.shape[1:], np.float64)
    known = np.isfinite(overview.std)
    where = np.broadcast_to(rows[:, None], known.shape)[known], np.broadcast_to(cols, known.shape)[known]
    np.add.at(total, where, overview.std[known])
    np.add.at(seen, where, 1)
    with np.errstate(invalid="ignore"):
        mean: FloatArray = (total / seen).astype(np.float32)
    return mean


def _page(facts: Facts) -> str:
    name = _name(facts.result.files.scene)
    missing = "".join(f'<p class="note">{escape(reason)}</p>' for reason in facts.result.files.missing)
    body = (
        f'<a class="skip" href="#scene">Skip to the scene</a><header><h1>{escape(name)}</h1>{_lead(facts)}</header><main>'
        f'{missing}<h2 id="compare">Before and after</h2>{_scene(facts)}'
        f'<h2 id="chips">Pixel by pixel</h2>{_chips(facts)}'
        f'<h2 id="account">Where the pixels come from</h2>{_account(facts)}'
        f'<h2 id="error">Expected error</h2>{_error(facts)}'
        f'<h2 id="statistics">Observed against reconstructed</h2>{_statistics(facts)}'
        f'<h2 id="run">The run</h2>{_run(facts)}</main>'
        f"<footer><p>{escape(facts.result.tags.get('ATTRIBUTION', 'Contains modified Copernicus Sentinel data'))}</p></footer>"
    )
    return self_contained_page(f"{name}: geocr report", body)


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _lead(facts: Facts) -> str:
    totals = facts.cells.totals()
    valid = max(1, sum(count for value, count in totals.items() if value))
    replaced = sum(totals.get(kind.value, 0) for kind in facts.classes if kind.replaced)
    rows, cols = facts.result.scene.shape
    method = json_tag(facts.result.tags, "GEOCR_METHOD").get("name")
    by = f" by the method {escape(str(method))}" if method else ""
    return (
        f"<p>{cols:,} x {rows:,} pixels, {facts.result.scene.count} bands, {escape(_crs(facts.result))}. {replaced / valid:.1%} of the valid pixels were "
        f"replaced{by}; a reconstructed pixel is an estimate, not a measurement.</p>"
    )


def _crs(result: OpenResult) -> str:
    crs = result.scene.crs
    return "no CRS" if crs is None else str(crs.to_string() if crs.to_epsg() else crs.to_wkt()[:60])


def _scene(facts: Facts) -> str:
    layers = draw_layers(facts.result, facts.overview, facts.palette, facts.classes, limit=OVERVIEW_BYTES)
    marks = [
        Mark(window=chip.window, target=f"chip-{number}", label=f"chip {number}, {chip.reason}")
        for number, chip in enumerate(facts.chips, start=1)
    ]
    title = "The whole scene. Move the divider with the slider, its arrow keys, or by dragging on the picture; frames lead to the chips."
    if layers.before is None:
        title = "The whole scene, after. Frames lead to the chips."
    return swipe_figure("scene", title, layers, marks=marks, scene=facts.cells.shape, chip=False) + _legend(facts)


def _legend(facts: Facts) -> str:
    totals = facts.cells.totals()
    shown = [kind for kind in facts.classes if kind.replaced and totals.get(kind.value)]
    items = "".join(f"<li>{swatch(kind.hex_colour)} {escape(kind.name)}</li>" for kind in shown)
    legend = f'<ul class="legend" aria-label="Colours of the provenance">{items}</ul>'
    if facts.overview.std is not None:
        legend += f"<p>Uncertainty, mean standard deviation of the bands in reflectance: {gradient(STD_COLOURS, facts.palette.std_top)}</p>"
    return legend


def _chips(facts: Facts) -> str:
    if not facts.chips:
        return "<p>Nothing was replaced in this scene.</p>"
    parts = []
    for number, chip in enumerate(facts.chips, start=1):
        pixels = read_pixels(facts.result, chip.window.shape, chip.window)
        layers = draw_layers(facts.result, pixels, facts.palette, facts.classes, limit=CHIP_BYTES)
        x, y = facts.result.scene.xy(chip.window.row + chip.window.height / 2, chip.window.col + chip.window.width / 2, offset="ul")
        title = f"Chip {number}: {chip.reason}; centre {x:.8g}, {y:.8g}; rows from {chip.window.row}, columns from {chip.window.col}"
        parts.append(swipe_figure(f"chip-{number}", title, layers, chip=True))
    return (
        "<p>One pixel of the scene is one of the screen at 1:1. The parts are chosen by rule: where the most was replaced, "
        + ("where the standard deviation is largest, " if facts.overview.std is not None else "")
        + f'and parts with a middling share.</p><div class="chips">{"".join(parts)}</div>'
    )


def _account(facts: Facts) -> str:
    totals = facts.cells.totals()
    everything = max(1, sum(totals.values()))
    rows = [[kind.name, f"{totals.get(kind.value, 0):,}", f"{totals.get(kind.value, 0) / everything:.2%}"] for kind in facts.classes]
    text = table(["provenance", "pixels", "share"], rows, "Every pixel of the scene, counted")
    if facts.sample.unchanged is not None:
        compared, same = facts.sample.unchanged
        text += f"<p>Of {compared:,} observed pixels of the sample, {same:,} hold the very values of the input in every band.</p>"
    return text


def _error(facts: Facts) -> str:
    error = json_tag(facts.result.tags, "GEOCR_METHOD").get("error")
    error = error if isinstance(error, dict) else {}
    expected = error.get("rmse") if isinstance(error.get("rmse"), list) else None
    deviations = quartiles(facts.sample.std) if facts.sample.std is not None and facts.sample.std.size else None
    if expected is None and deviations is None:
        return "<p>The method says nothing of its error on this scene, and no uncertainty was asked for (--uncertainty).</p>"
    rows = [
        [
            band,
            _figure(expected[number] if expected and number < len(expected) else None),
            _figure(deviations[1, number] if deviations is not None else None),
        ]
        for number, band in enumerate(facts.bands)
    ]
    text = table(["band", "expected RMSE", "median standard deviation"], rows, "By band, in reflectance")
    if expected is not None:
        text = f"<p>{escape(_expected_words(error))}</p>" + text
    return text


def _expected_words(error: Mapping[str, object]) -> str:
    parts = [f"Root mean square error over all bands {_figure(error.get('rmse_overall'))}"]
    for key, words in (("rmse_with_sar", "with Sentinel-1"), ("rmse_without_sar", "without")):
        if error.get(key) is not None:
            parts.append(f"{_figure(error.get(key))} {words}")
    text = (
        ", ".join(parts) + f", measured on {_count(error.get('held_out_px'))} samples of clear pixels that the fit had hidden from itself."
    )
    inside = error.get("within_one_std")
    if isinstance(inside, (int, float)):
        text += f" {inside:.0%} of those errors lie within one standard deviation (68% where errors are normal)."
    return text


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "an unknown number of"


def _figure(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, (int, float, np.floating)) and np.isfinite(value) else "-"


def _statistics(facts: Facts) -> str:
    groups = facts.sample.groups
    if not groups:
        return "<p>The scene holds no valid pixel.</p>"
    legend = "".join(f"<li>{line_swatch(name)} {escape(name)}, {values.shape[1]:,} pixels</li>" for name, values in groups.items())
    charts = "".join(histogram(band, {name: values[number] for name, values in groups.items()}) for number, band in enumerate(facts.bands))
    figures = {name: quartiles(values) for name, values in groups.items()}
    rows = [
        [band, *(_figure(figure[q, number]) for figure in figures.values() for q in (1, 0, 2))] for number, band in enumerate(facts.bands)
    ]
    heads = ["band", *(f"{name}: {what}" for name in figures for what in ("median", "lower quartile", "upper quartile"))]
    return (
        f"<p>From a fixed sample of {facts.sample.cells} parts of the scene at full resolution. Clouds do not lie at random, so what was "
        f"reconstructed may well be other land than what was observed.</p>"
        f'<ul class="legend" aria-label="Lines of the charts">{legend}</ul>'
        f"<h3>Spectra</h3><p>Median and the range between the quartiles, reflectance over wavelength.</p>{spectra(facts.result.bands, groups)}"
        f"<details><summary>Figures</summary>{table(heads, rows, 'Reflectance of the sample')}</details>"
        f'<h3>Histograms</h3><p>Reflectance; the height is the share of a kind of pixel.</p><div class="charts">{charts}</div>'
    )


def _run(facts: Facts) -> str:
    tags = facts.result.tags
    inputs = [("Sentinel-2", tags.get("GEOCR_INPUT_S2", "unknown")), ("Sentinel-1", tags.get("GEOCR_INPUT_S1", "unknown"))]
    inputs += [("Other dates", ", ".join(other_dates(tags)))] if other_dates(tags) else []
    made = [
        ("geocr, of the run", tags["GEOCR_VERSION"]),
        ("geocr, of this report", __version__),
        ("GDAL, of this report", rasterio.__gdal_version__),
    ]
    return (
        f"<h3>To repeat it</h3>{_command(facts)}<h3>Inputs and versions</h3>{definitions(inputs + made)}"
        f"{_said('Parameters', settings_of(tags))}"
        f"{_said('Method', {key: value for key, value in json_tag(tags, 'GEOCR_METHOD').items() if key != 'error'})}"
        f"{_said('Cloud mask', json_tag(tags, 'GEOCR_CLOUD_MASK'))}"
    )


def _said(title: str, facts: Mapping[str, object]) -> str:
    """What the run says of one thing; nothing where it does not."""
    return f"<h3>{title}</h3>{definitions(_plain(facts))}" if facts else ""


def _command(facts: Facts) -> str:
    tags = facts.result.tags
    if "GEOCR_INPUT_S2" not in tags:
        return "<p>The scene was made from arrays in Python (.geocr.remove_clouds): no command line repeats it.</p>"
    return (
        f'<pre id="command" tabindex="0">{escape(repeat_command(tags, _name(facts.result.files.scene)))}</pre>'
        f'<p><button type="button" class="copy" hidden>Copy the command</button> <span class="soft">Files are named without their folders.</span></p>'
    )


def _plain(facts: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(name, _words(value)) for name, value in facts.items()]


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(item, (str, int, float)) for item in value):
        return ", ".join(str(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
