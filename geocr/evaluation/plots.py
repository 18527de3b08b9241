"""The plots of an evaluation: reliability, discard curve, scores by cloud coverage."""

from PIL import Image

from geocr.evaluation.chart import Curve, draw_chart
from geocr.evaluation.measuring import values_of
from geocr.evaluation.report import column_title, headline_keys
from geocr.evaluation.run import EvaluationResult
from geocr.evaluation.strata import COVERAGE_NAMES


def draw_plots(result: EvaluationResult) -> dict[str, Image.Image]:
    """Name to picture: calibrations by region where a method gave a variance, and coverage where there was a mask."""
    plots = {}
    curves = {name: measures.curves() for name, measures in result.measures.items()}
    for key in dict.fromkeys(key for found in curves.values() for key in found):
        region = key.removeprefix("calibration").removeprefix("_") or "all"
        known = {name: found[key] for name, found in curves.items() if key in found}
        reliability = [Curve(name=name, x=one.root_mean_variance.tolist(), y=one.rmse.tolist()) for name, one in known.items()]
        plots[f"reliability_{region}"] = draw_chart(
            f"Reliability, {region} pixels: on the line, variances are right", ("predicted: root mean variance", "observed: RMSE"),
            reliability, diagonal=True,
        )  # fmt: skip
        discard = [Curve(name=name, x=one.discard_fraction.tolist(), y=one.discard_mse.tolist()) for name, one in known.items()]
        plots[f"discard_{region}"] = draw_chart(
            f"Discard curve, {region} pixels", ("share kept, the most certain first", "mean squared error"), discard
        )
    scores = _coverage_curves(result)
    if any(curve.points for curve in scores):
        title = column_title(headline_keys(result)[0])
        plots["coverage"] = draw_chart(f"{title} by cloud coverage of the sample", ("cloud coverage, %", title), scores)
    return plots


def _coverage_curves(result: EvaluationResult) -> list[Curve]:
    key = headline_keys(result)[0]
    found = []
    for name, measures in result.measures.items():
        steps = [(number, step) for number, step in enumerate(COVERAGE_NAMES) if step in measures.by_coverage]
        values = [values_of(measures.by_coverage[step])[key] for _, step in steps]
        found.append(Curve(name=name, x=[20.0 * number + 10 for number, _ in steps], y=values))
    return found
