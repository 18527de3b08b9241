"""The viewer's page: a map in the scene's own pixels with a divider, driven by `view.js`."""

from html import escape

from geocr.io.qgis import STD_COLOURS
from geocr.io.raster import open_raster
from geocr.report.charts import gradient, swatch
from geocr.report.tiles import TILE_PX, SceneTiles


def viewer_page(tiles: SceneTiles, *, name: str, token: str) -> str:
    """HTML of the page; style and script are files of the same server.

    Args:
        tiles: The run.
        name: How the page calls it; plain text.
        token: Part of every tile's address.
    """
    with open_raster(tiles.files.scene) as scene:
        transform, crs = scene.transform, scene.crs
    place = " ".join(repr(float(value)) for value in tuple(transform)[:6])
    facts = {
        "rows": tiles.shape[0],
        "cols": tiles.shape[1],
        "levels": tiles.levels,
        "tile": TILE_PX,
        "token": token,
        "layers": " ".join(tiles.layers),
        "transform": place,
        "crs": crs.to_string() if crs is not None and crs.to_epsg() else "",
    }
    data = " ".join(f'data-{key}="{escape(str(value))}"' for key, value in facts.items())
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(name)}: geocr view</title>\n'
        f'<link rel="icon" href="data:,">\n<link rel="stylesheet" href="/view.css">\n</head>\n<body>\n'
        f"<header><h1>{escape(name)}</h1>{_controls(tiles)}</header>\n"
        f'<div id="map" tabindex="0" role="application" aria-label="Map of the scene: arrow keys move, plus and minus zoom, 0 shows all, 1 shows '
        f'its own pixels" {data}><div class="divider" aria-hidden="true"></div></div>\n'
        f'<p id="place" role="status"></p>\n<script src="/view.js"></script>\n</body>\n</html>\n'
    )


def _controls(tiles: SceneTiles) -> str:
    layers = tiles.layers
    parts = []
    if "before" in layers:
        parts.append(
            '<span class="swipe"><button type="button" data-to="100">Before</button>'
            '<input type="range" id="position" min="0" max="100" step="1" value="50" aria-label="Divider: how much of the width shows the scene '
            'before"><button type="button" data-to="0">After</button></span>'
        )
    for layer, words in (("provenance", "Provenance"), ("std", "Uncertainty")):
        if layer in layers:
            parts.append(f'<label><input type="checkbox" data-layer="{layer}"> {words}</label>')
    parts.append(
        '<label>Opacity <input type="range" id="opacity" min="10" max="100" step="5" value="70"></label>'
        '<span role="group" aria-label="Zoom"><button type="button" data-zoom="out" aria-label="Zoom out">&minus;</button>'
        '<button type="button" data-zoom="in" aria-label="Zoom in">+</button><button type="button" data-zoom="fit">All</button>'
        '<button type="button" data-zoom="one">1:1</button></span>'
    )
    legend = "".join(f"<li>{swatch(kind.hex_colour)} {escape(kind.name)}</li>" for kind in tiles.classes if kind.replaced)
    if "std" in layers:
        legend += f"<li>standard deviation {gradient(STD_COLOURS, tiles.palette.std_top)}</li>"
    return f'<div class="controls">{"".join(parts)}</div><details><summary>Legend</summary><ul class="legend">{legend}</ul></details>'
