"""Curves on axes, drawn with Pillow: enough for reliability, discard and coverage plots."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

_SIZE = (900, 560)
_LEFT, _TOP, _RIGHT, _BOTTOM = 90, 50, 250, 60
_INK, _GRID = (30, 30, 30), (225, 225, 225)
_COLOURS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233), (90, 90, 90), (150, 60, 20))
"""Colours that people with colour blindness tell apart (Okabe & Ito 2008), and two more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One line of a chart."""

    name: str
    """In the legend."""
    x: Sequence[float]
    """Places; points that are not finite are left out."""
    y: Sequence[float]
    """Values."""

    @property
    def points(self) -> list[tuple[float, float]]:
        """What can be drawn."""
        return [(x, y) for x, y in zip(self.x, self.y, strict=True) if math.isfinite(x) and math.isfinite(y)]


def draw_chart(title: str, axes: tuple[str, str], curves: Sequence[Curve], *, diagonal: bool = False) -> Image.Image:
    """Draw curves with axes, ticks at round numbers and a legend.

    Args:
        title: Above.
        axes: Names of the x and the y axis.
        curves: What to draw; empty ones are left out.
        diagonal: Draw the line on which x is y, and give both axes one range.
    """
    points = [point for curve in curves for point in curve.points] or [(0.0, 0.0)]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    if diagonal:
        xs = ys = [0.0, *xs, *ys]
    across, up = _ticks(min(xs), max(xs)), _ticks(min(ys), max(ys))
    canvas = Image.new("RGB", _SIZE, (255, 255, 255))
    draw = ImageDraw.Draw(canvas)
    place = _Frame(across=(across[0], across[-1]), up=(up[0], up[-1]))
    _draw_axes(draw, place, (across, up), axes, title)
    if diagonal:
        draw.line([place(across[0], across[0]), place(across[-1], across[-1])], fill=(150, 150, 150), width=1)
    shown = [curve for curve in curves if curve.points]
    for number, curve in enumerate(shown):
        _draw_curve(draw, place, curve, number)
    return canvas


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """From values to pixels."""

    across: tuple[float, float]
    up: tuple[float, float]

    def __call__(self, x: float, y: float) -> tuple[float, float]:
        right = (x - self.across[0]) / (self.across[1] - self.across[0])
        high = (y - self.up[0]) / (self.up[1] - self.up[0])
        return _LEFT + right * (_SIZE[0] - _LEFT - _RIGHT), _SIZE[1] - _BOTTOM - high * (_SIZE[1] - _TOP - _BOTTOM)


def _draw_axes(draw: ImageDraw.ImageDraw, place: _Frame, ticks: tuple[list[float], list[float]], axes: tuple[str, str], title: str) -> None:
    font = ImageFont.load_default(14)
    for x in ticks[0]:
        draw.line([place(x, place.up[0]), place(x, place.up[1])], fill=_GRID)
        draw.text((place(x, 0)[0], _SIZE[1] - _BOTTOM + 8), f"{x:.4g}", fill=_INK, font=font, anchor="ma")
    for y in ticks[1]:
        draw.line([place(place.across[0], y), place(place.across[1], y)], fill=_GRID)
        draw.text((_LEFT - 8, place(0, y)[1]), f"{y:.4g}", fill=_INK, font=font, anchor="rm")
    draw.text((_LEFT, 10), title, fill=_INK, font=ImageFont.load_default(18))
    draw.text((_LEFT, _TOP - 18), axes[1], fill=_INK, font=font)
    draw.text(((_LEFT + _SIZE[0] - _RIGHT) / 2, _SIZE[1] - 26), axes[0], fill=_INK, font=font, anchor="ma")


def _draw_curve(draw: ImageDraw.ImageDraw, place: _Frame, curve: Curve, number: int) -> None:
    colour = _COLOURS[number % len(_COLOURS)]
    pixels = [place(x, y) for x, y in curve.points]
    if len(pixels) > 1:
        draw.line(pixels, fill=colour, width=2)
    for x, y in pixels:
        draw.ellipse([x - 3, y - 3, x + 3, y + 3], fill=colour)
    left, top = _SIZE[0] - _RIGHT + 16, _TOP + 20 * number
    draw.rectangle([left, top + 3, left + 14, top + 13], fill=colour)
    draw.text((left + 20, top), curve.name, fill=_INK, font=ImageFont.load_default(13))


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers, 1, 2 or 5 times a power of ten apart, from at or below `low` to at or above `high`."""
    if not high > low:
        low, high = low - 0.5 * max(abs(low), 1e-3), high + 0.5 * max(abs(high), 1e-3)
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * number for number in range(first, last + 1)]
