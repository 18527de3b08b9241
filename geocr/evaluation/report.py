"""An evaluation in words and figures: JSON, a Parquet table per sample, a Markdown table for a paper."""

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from geocr.evaluation.measuring import MethodMeasures, values_of
from geocr.evaluation.run import EvaluationResult
from geocr.evaluation.significance import LEVEL, Interval, PairedTest
from geocr.evaluation.strata import COVERAGE_NAMES
from geocr.metrics.calibration import CalibrationCurve

_UNITS = {"psnr_db": "PSNR [dB]", "ssim": "SSIM", "sam_deg": "SAM [deg]", "sam_rad": "SAM [rad]", "mae": "MAE", "rmse": "RMSE"}
_TEXT_COLUMNS = ("id", "roi", "split", "date", "coverage", "method", "fallback")


def summarise(result: EvaluationResult) -> dict[str, Any]:
    """All figures as strict JSON: null where a value is not defined or infinite (the PSNR of a perfect image)."""
    plan = result.plan
    return {
        **plan.describe(),
        "level": LEVEL,
        "resampled": {"unit": result.units.kind, "count": result.units.count, "resamples": plan.settings.resamples},
        "results": {name: _method_summary(result, name) for name in result.measures},
        "comparisons": [_test_summary(test) for test in result.tests],
        "seconds": {name: round(value, 3) for name, value in result.seconds.items()},
    }


def _method_summary(result: EvaluationResult, name: str) -> dict[str, Any]:
    measures = result.measures[name]
    fallbacks = [row["fallback"] for row in result.rows if row["method"] == name and row["fallback"] is not None]
    return {
        "values": _finite(values_of(measures.whole)),
        "intervals": {key: _ends(interval) for key, interval in result.intervals[name].items()},
        "by_coverage": {
            step: {"samples": measures.coverage_counts[step], "values": _finite(values_of(measures.by_coverage[step]))}
            for step in COVERAGE_NAMES
            if step in measures.by_coverage
        },
        "by_land_cover": {str(value): _finite(values_of(suite)) for value, suite in sorted(measures.by_land_cover.items())},
        "calibration": {key: _curve(curve) for key, curve in measures.curves().items()},
        "fallbacks": {kind: fallbacks.count(kind) for kind in sorted(set(fallbacks))},
    }


def _test_summary(test: PairedTest) -> dict[str, Any]:
    return {
        "measure": test.key,
        "a": test.a,
        "b": test.b,
        "difference": _number(test.difference),
        "interval": _ends(test.interval),
        "p_value": _number(test.p_value),
        "exact": test.exact,
    }


def _curve(curve: CalibrationCurve) -> dict[str, Any]:
    """Every field of a curve, bins without a sample as null."""
    return {name: _numbers(value) for name, value in curve._asdict().items()}


def _numbers(value: Tensor) -> float | list[float | None] | None:
    return _number(float(value)) if value.ndim == 0 else [_number(one) for one in value.tolist()]


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    return {key: _number(value) for key, value in values.items()}


def _ends(interval: Interval) -> list[float | None]:
    return [_number(interval.low), _number(interval.high)]


def write_rows(result: EvaluationResult, destination: Path) -> None:
    """One row per sample and method; measures are float64 columns, null where the method has none."""
    columns = list(dict.fromkeys(key for row in result.rows for key in row))
    fields = [
        pa.field(name, pa.string() if name in _TEXT_COLUMNS else pa.int64() if name == "valid_px" else pa.float64()) for name in columns
    ]
    rows = [{name: row.get(name) for name in columns} for row in result.rows]
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(fields)), destination)


def headline_keys(result: EvaluationResult) -> list[str]:
    """Measures of a small table: those of the preset over the whole image and over cloudy pixels."""
    names = [key for key in next(iter(result.measures.values())).sums if not key.endswith("_clear")]
    return names or list(next(iter(result.measures.values())).sums)


def column_title(key: str) -> str:
    """A measure as the head of a column."""
    for region in ("_cloudy", "_clear"):
        if key.endswith(region):
            return f"{column_title(key.removesuffix(region))} ({region[1:]})"
    return _UNITS.get(key, key)


def headline_rows(result: EvaluationResult) -> list[list[str]]:
    """A row for each method: its name, then each headline measure with its interval."""
    rows = []
    for name, measures in result.measures.items():
        values = values_of(measures.whole)
        cells = [_cell(key, values[key], result.intervals[name][key]) for key in headline_keys(result)]
        rows.append([name, *cells, *_calibration_cells(measures)])
    return rows


def headline_titles(result: EvaluationResult) -> list[str]:
    """Heads of the columns of `headline_rows`."""
    return ["method", *map(column_title, headline_keys(result)), "UCE", "AUCE"]


def region_tables(result: EvaluationResult) -> dict[str, tuple[list[str], list[list[str]]]]:
    """Region to heads of columns and a row for each method: values alone, narrow enough for a terminal."""
    keys = list(next(iter(result.measures.values())).sums)
    tables: dict[str, tuple[list[str], list[list[str]]]] = {}
    for region in result.plan.ruler.regions:
        ending = "" if region == "all" else f"_{region}"
        other = tuple(f"_{one}" for one in ("cloudy", "clear") if one != region)
        shown = [key for key in keys if key.endswith(ending) and not key.endswith(other)]
        rows = []
        for name, measures in result.measures.items():
            values = values_of(measures.whole)
            curve = measures.curves().get(f"calibration{ending}")
            calibration = ["-", "-"] if curve is None else [_figure("uce", float(curve.uce)), _figure("auce", float(curve.auce))]
            rows.append([name, *(_figure(key, values[key]) for key in shown), *calibration])
        tables[region] = (["method", *(column_title(key.removesuffix(ending)) for key in shown), "UCE", "AUCE"], rows)
    return tables


def _calibration_cells(measures: MethodMeasures) -> list[str]:
    curve = measures.curves().get("calibration")
    return ["-", "-"] if curve is None else [_figure("uce", float(curve.uce)), _figure("auce", float(curve.auce))]


def _cell(key: str, value: float, interval: Interval) -> str:
    if not math.isfinite(interval.low):
        return _figure(key, value)
    return f"{_figure(key, value)} [{_figure(key, interval.low)}, {_figure(key, interval.high)}]"


def _figure(key: str, value: float) -> str:
    """Two decimals for dB and degrees, four for shares of 1."""
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" if "_db" in key or "_deg" in key else f"{value:.4f}"


def markdown(result: EvaluationResult) -> str:
    """Tables for a paper: methods, classes of coverage, land cover, tests; with the settings that decide the figures."""
    plan = result.plan
    unit = "regions" if result.units.kind == "region" else "samples"
    scale = "pictures with white at 1" if plan.optical_unit == "display" else "reflectance"
    setting = (
        f"{len(plan.numbers)} samples of {plan.dataset.card.name} (split {plan.dataset.split or 'none'}), preset {plan.ruler.preset.name}, "
        f"bands {', '.join(plan.ruler.bands)}, in {scale}. In brackets: {LEVEL:.0%} percentile intervals of the bootstrap over "
        f"{result.units.count} {unit} ({plan.settings.resamples} resamples, seed {plan.settings.seed})."
    )
    parts = [setting, _table(headline_titles(result), headline_rows(result))]
    coverage = _coverage_table(result)
    if coverage:
        parts += ["By cloud coverage of the sample:", coverage]
    cover = _land_cover_table(result)
    if cover:
        parts += ["By land cover (pixels of the class):", cover]
    if result.tests:
        parts += [f"Paired permutation tests over {unit}, p-values not corrected for their number:", _tests_table(result)]
    return "\n\n".join(parts) + "\n"


def _coverage_table(result: EvaluationResult) -> str:
    key = headline_keys(result)[0]
    counts = next(iter(result.measures.values())).coverage_counts
    steps = [step for step in COVERAGE_NAMES if step in counts]
    if not steps:
        return ""
    titles = [f"method, {column_title(key)}", *(f"{step} (n = {counts[step]})" for step in steps)]
    rows = [
        [name, *(_figure(key, values_of(measures.by_coverage[step])[key]) for step in steps)] for name, measures in result.measures.items()
    ]
    return _table(titles, rows)


def _land_cover_table(result: EvaluationResult) -> str:
    first = next(iter(result.measures.values()))
    classes = sorted(first.by_land_cover)
    keys = [key for key in headline_keys(result) if classes and key in first.by_land_cover[classes[0]].metrics()]
    if not keys:
        return ""
    rows = [
        [name, *(_figure(keys[0], values_of(measures.by_land_cover[value])[keys[0]]) for value in classes)]
        for name, measures in result.measures.items()
    ]
    return _table([f"method, {column_title(keys[0])}", *(f"class {value}" for value in classes)], rows)


def _tests_table(result: EvaluationResult) -> str:
    keys = headline_keys(result)
    rows = [
        [test.a, test.b, column_title(test.key), _cell(test.key, test.difference, test.interval), _p_text(test)]
        for test in result.tests
        if test.key in keys
    ]
    return _table(["a", "b", "measure", "a - b", "p"], rows)


def _p_text(test: PairedTest) -> str:
    return "-" if math.isnan(test.p_value) else f"{test.p_value:.4f}{' (exact)' if test.exact else ''}"


def _table(titles: list[str], rows: list[list[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
