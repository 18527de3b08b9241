"""HTML of one part of a scene to be compared by a divider: before on its left, after on its right, overlays on both.

The divider is a range input, so that arrow keys, screen readers and touch work as they do everywhere; dragging on the picture moves it too
(`report.js`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from geocr.core.types import Window
from geocr.report.layers import Layers


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A rectangle on the overview that leads to a chip."""

    window: Window
    target: str
    """`id` of the chip's figure."""
    label: str


def swipe_figure(name: str, title: str, layers: Layers, *, marks: Sequence[Mark] = (), scene: tuple[int, int] = (1, 1), chip: bool) -> str:
    """A `<figure>`.

    Args:
        name: `id` of the figure, unique in the page.
        title: Its caption.
        layers: The pictures.
        marks: Links to chips, in scene pixels.
        scene: Rows and columns of the scene, for the marks.
        chip: Whether one pixel of the picture is one pixel of the scene, to be shown at 1:1.
    """
    height, width = layers.shape
    size = f'width="{width}" height="{height}"'
    pictures = [f'<img class="after" {size} src="{layers.after}" alt="After: the cloud-free result" draggable="false">']
    if layers.before is not None:
        pictures.append(f'<img class="before" {size} src="{layers.before}" alt="Before: the cloudy input" draggable="false">')
    for kind, words, uri in (
        ("provenance", "Provenance: what was replaced, and from what", layers.provenance),
        ("std", "Standard deviation of the reconstruction", layers.std),
    ):
        if uri is not None:
            pictures.append(f'<img class="overlay {kind}" {size} src="{uri}" alt="{words}" draggable="false" hidden>')
    if layers.before is not None:
        pictures.append('<div class="divider" aria-hidden="true"></div>')
    stage = f'<div class="stage">{"".join(pictures)}{_marks(marks, scene)}</div>'
    if chip:
        stage = f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(title)}, scrolls when enlarged">{stage}</div>'
    return (
        f'<figure class="swipe{" chip" if chip else ""}" id="{escape(name)}" data-width="{width}"><figcaption>{escape(title)}</figcaption>'
        f"{stage}{_controls(name, layers, chip=chip)}</figure>"
    )


def _marks(marks: Sequence[Mark], scene: tuple[int, int]) -> str:
    if not marks:
        return ""
    rows, cols = scene
    radius = max(rows, cols) / 70
    links = "".join(
        f'<a href="#{escape(mark.target)}" aria-label="Go to {escape(mark.label)}"><title>{escape(mark.label)}</title>'
        f'<rect x="{mark.window.col}" y="{mark.window.row}" width="{mark.window.width}" height="{mark.window.height}"/>{_badge(mark, radius)}</a>'
        for mark in marks
    )
    return f'<svg class="marks" viewBox="0 0 {cols} {rows}" preserveAspectRatio="none" role="group" aria-label="Chips">{links}</svg>'


def _badge(mark: Mark, radius: float) -> str:
    """A number to click on in the middle of a frame: its inside belongs to the divider."""
    x, y = mark.window.col + mark.window.width / 2, mark.window.row + mark.window.height / 2
    number = escape(mark.target.rpartition("-")[2])
    return f'<circle cx="{x}" cy="{y}" r="{radius:.1f}"/><text x="{x}" y="{y}" font-size="{radius * 1.3:.1f}">{number}</text>'


def _controls(name: str, layers: Layers, *, chip: bool) -> str:
    parts = []
    if layers.before is not None:
        parts.append(
            f'<div class="row"><button type="button" data-to="100">Before</button>'
            f'<input type="range" class="position" min="0" max="100" step="1" value="50" id="{escape(name)}-position" '
            f'aria-label="Divider: how much of the width shows the scene before"><button type="button" data-to="0">After</button></div>'
        )
    boxes = [("provenance", "Provenance")] + ([("std", "Uncertainty")] if layers.std is not None else [])
    shown = "".join(f'<label><input type="checkbox" data-layer="{kind}"> {words}</label>' for kind, words in boxes)
    shown += '<label class="opacity">Opacity <input type="range" class="opacity" min="10" max="100" step="5" value="70" aria-label="Opacity of overlays"></label>'
    if chip:
        shown += (
            '<span class="zoom" role="group" aria-label="Pixels of the screen for a pixel of the scene">'
            + "".join(
                f'<button type="button" data-zoom="{zoom}" aria-pressed="{"true" if zoom == 1 else "false"}">{zoom}:1</button>'
                for zoom in (1, 2, 4)
            )
            + "</span>"
        )
    if not chip:
        shown += '<label><input type="checkbox" data-layer="marks" checked> Chips</label>'
    parts.append(f'<div class="row">{shown}</div>')
    return f'<div class="controls" role="group" aria-label="What the picture shows">{"".join(parts)}</div>'
