"""Charts of a report, drawn as inline SVG: colours come from the page's style, so they follow light and dark."""

from collections.abc import Callable, Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from geocr.core.bands import S2_BANDS
from geocr.core.types import FloatArray

BINS = 40
_WIDTH, _HEIGHT = 300, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 22, 22


def histogram(title: str, groups: Mapping[str, NDArray[np.float32]]) -> str:
    """Distributions of one band, each as a share of its own pixels.

    Args:
        title: The band.
        groups: Name to reflectance of its pixels, `(n,)`; NaN is left out.

    Returns:
        An `<svg>`; empty where no group holds a value.
    """
    seen = {name: values[np.isfinite(values)] for name, values in groups.items()}
    seen = {name: values for name, values in seen.items() if values.size}
    if not seen:
        return ""
    low = min(float(np.percentile(values, 0.5)) for values in seen.values())
    high = max(float(np.percentile(values, 99.5)) for values in seen.values())
    high = max(high, low + 1e-4)
    shares = {name: np.histogram(np.clip(values, low, high), BINS, (low, high))[0] / values.size for name, values in seen.items()}
    top = max(float(share.max()) for share in shares.values())
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    lines = []
    for name, share in shares.items():
        steps = [(_LEFT + width * (i + side) / BINS, _TOP + height * (1 - value / top)) for i, value in enumerate(share) for side in (0, 1)]
        lines.append(f'<path class="line {css_name(name)}" d="{_path(steps)}"/>')
    base = _TOP + height
    return "".join(
        (
            f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(_histogram_words(title, seen))}">',
            f'<text class="title" x="{_LEFT}" y="14">{escape(title)}</text>',
            f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>',
            *lines,
            f'<text x="{_LEFT}" y="{_HEIGHT - 6}">{low:.3f}</text>',
            f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 6}" text-anchor="end">{high:.3f}</text></svg>',
        )
    )


def _histogram_words(title: str, seen: Mapping[str, NDArray[np.float32]]) -> str:
    medians = ", ".join(f"median {float(np.median(values)):.3f} {name}" for name, values in seen.items())
    return f"Histogram of reflectance in {title}: {medians}"


def spectra(bands: Sequence[str | None], groups: Mapping[str, FloatArray]) -> str:
    """Median and quartiles of every band, over the bands' central wavelengths.

    Args:
        bands: Canonical names; where one is unknown, bands are spread evenly.
        groups: Name to `(band, n)` reflectance; NaN is left out.

    Returns:
        An `<svg>`; empty where no group holds a value.
    """
    figures = {name: quartiles(values) for name, values in groups.items() if np.isfinite(values).any()}
    if not figures:
        return ""
    width, height = 640, 300
    left, right, top, bottom = 48, 12, 12, 40
    places = _places(bands)
    span = max(places) - min(places) or 1.0
    order = np.argsort(places, kind="stable")
    highest = max(float(np.nanmax(figure)) for figure in figures.values()) * 1.05 or 1.0
    lowest = min(0.0, *(float(np.nanmin(figure)) for figure in figures.values()))

    def at(band: int, value: float) -> tuple[float, float]:
        x = left + (width - left - right) * (places[band] - min(places)) / span
        return x, top + (height - top - bottom) * (1 - (value - lowest) / (highest - lowest))

    parts = [_scale_lines(lowest, highest, left, width - right, lambda value: at(0, value)[1])]
    for name, figure in figures.items():
        known = [int(band) for band in order if np.isfinite(figure[:, band]).all()]
        if not known:
            continue
        area = [at(band, figure[0, band]) for band in known] + [at(band, figure[2, band]) for band in reversed(known)]
        middle = [at(band, figure[1, band]) for band in known]
        parts.append(f'<path class="area {css_name(name)}" d="{_path(area)}Z"/>')
        parts.append(f'<path class="line {css_name(name)}" d="{_path(middle)}"/>')
        parts += [f'<circle class="dot {css_name(name)}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in middle]
    parts.append(_band_ticks(bands, [at(band, lowest)[0] for band in range(len(bands))], [int(i) for i in order], height - bottom))
    words = f"Spectra: median reflectance and quartiles of {' and '.join(figures)} pixels in {len(bands)} bands; the table below has the figures"
    return f'<svg class="chart wide" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(words)}">{"".join(parts)}</svg>'


def quartiles(values: FloatArray) -> NDArray[np.float64]:
    """`(3, band)`: 25th, 50th and 75th percentile of `(band, n)`; NaN for a band without a value."""
    columns = []
    for band in values:
        seen = band[np.isfinite(band)]
        columns.append(np.percentile(seen, [25, 50, 75]) if seen.size else np.full(3, np.nan))
    return np.stack(columns, axis=1)


def css_name(group: str) -> str:
    """The class of a group in the page's style."""
    return {"observed": "observed", "reconstructed": "reconstructed"}.get(group, "other")


def swatch(colour: str) -> str:
    """A square of a colour, for legends; `#rrggbb`."""
    return f'<svg class="swatch" viewBox="0 0 12 12" aria-hidden="true"><rect width="12" height="12" fill="{escape(colour)}"/></svg>'


def line_swatch(group: str) -> str:
    """A piece of a chart's line, for legends."""
    return f'<svg class="swatch long" viewBox="0 0 28 12" aria-hidden="true"><path class="line {css_name(group)}" d="M1 6H27"/></svg>'


def gradient(colours: Sequence[tuple[int, int, int]], top: float) -> str:
    """A legend of colours from 0 to `top` reflectance."""
    stops = "".join(
        f'<stop offset="{number / (len(colours) - 1):.3f}" stop-color="rgb({red},{green},{blue})"/>'
        for number, (red, green, blue) in enumerate(colours)
    )
    return (
        f'<svg class="gradient" viewBox="0 0 220 30" role="img" aria-label="Colours of the standard deviation from 0 to {top:g} reflectance">'
        f'<defs><linearGradient id="std-ramp">{stops}</linearGradient></defs><rect width="220" height="12" fill="url(#std-ramp)"/>'
        f'<text x="0" y="27">0</text><text x="220" y="27" text-anchor="end">{top:g}</text></svg>'
    )


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _places(bands: Sequence[str | None]) -> list[float]:
    if all(name in S2_BANDS for name in bands):
        return [S2_BANDS[name].wavelength_nm for name in bands if name]
    return [float(number) for number in range(len(bands))]


def _scale_lines(low: float, high: float, left: float, right: float, height_of: Callable[[float], float]) -> str:
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 1e9) if (high - low) / step <= 6)
    values = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    return "".join(
        f'<line class="grid" x1="{left}" x2="{right}" y1="{height_of(value):.1f}" y2="{height_of(value):.1f}"/>'
        f'<text x="{left - 6}" y="{height_of(value) + 4:.1f}" text-anchor="end">{value:.2f}</text>'
        for value in values.tolist()
    )


def _band_ticks(bands: Sequence[str | None], places: Sequence[float], order: Sequence[int], base: float) -> str:
    """Names under the axis, on two lines by turns and left out where they would lie on each other."""
    parts, last = [], {0: -1e9, 1: -1e9}
    for band in order:
        x = places[band]
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{base}" y2="{base + 4}"/>')
        line = next((line for line in (0, 1) if x - last[line] >= 26), None)
        if line is not None:
            last[line] = x
            parts.append(
                f'<text x="{x:.1f}" y="{base + 16 + 15 * line}" text-anchor="middle">{escape(bands[band] or str(band + 1))}</text>'
            )
    return "".join(parts)
