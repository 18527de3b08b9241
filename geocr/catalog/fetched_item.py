"""The item of what was fetched: the catalogue's own words, with assets that are here."""

from collections.abc import Mapping
from typing import Any

from geocr.catalog.fetch_plan import ItemPlan, Piece
from geocr.catalog.footprint import footprint_of
from geocr.catalog.items import COG_TYPE, EO, PROJECTION, RASTER, eo_band, json_number
from geocr.catalog.places import without_query
from geocr.core.bands import S2_BANDS
from geocr.io.products.document import resolve_href
from geocr.io.remote import is_remote

_GRID_FIELDS = ("proj:shape", "proj:transform", "proj:bbox", "proj:geometry", "proj:centroid")
"""Properties of the whole image, which are not those of a window."""


def fetched_item(plan: ItemPlan) -> dict[str, Any]:
    """A local item: properties of the source, geometry of the window, assets beside it.

    Scale and offset are those that were decided from the source; a property that says that an offset was applied agrees with them.
    """
    source = plan.source.content
    extensions = [uri for uri in source.get("stac_extensions") or () if not uri.startswith(tuple(_family(own) for own in (EO, RASTER)))]
    if not any(uri.startswith(_family(PROJECTION)) for uri in extensions):
        extensions.append(PROJECTION)
    footprint = footprint_of(plan.pieces[0].grid)
    address = without_query(plan.source.place) if is_remote(plan.source.place) else plan.source.place
    return {
        "type": "Feature",
        "stac_version": source.get("stac_version", "1.0.0"),
        "stac_extensions": [*extensions, EO, RASTER],
        "id": plan.source.id,
        **({"collection": source["collection"]} if source.get("collection") else {}),
        "geometry": footprint.geometry,
        "bbox": list(footprint.bbox),
        "properties": {key: value for key, value in (source.get("properties") or {}).items() if key not in _GRID_FIELDS},
        "links": [*_kept_links(plan, source), {"rel": "derived_from", "href": address, "type": "application/geo+json"}],
        "assets": {piece.asset: _asset(piece, plan) for piece in plan.pieces},
    }


def _family(uri: str) -> str:
    """An extension's address without its version."""
    return uri.split("/v", 1)[0] + "/"


def _kept_links(plan: ItemPlan, source: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Collection and licence, at addresses that lead there from here too."""
    return [
        {**link, "href": resolve_href(str(link["href"]), plan.source.place)}
        for link in source.get("links") or ()
        if link.get("rel") in ("collection", "license") and link.get("href")
    ]


def _asset(piece: Piece, plan: ItemPlan) -> dict[str, Any]:
    band: dict[str, Any] = {"data_type": piece.dtype, "spatial_resolution": float(f"{piece.grid.pixel_size_m:.6g}")}
    if piece.nodata is not None:
        band["nodata"] = json_number(piece.nodata)
    if piece.scaling is not None:
        band["scale"], band["offset"] = piece.scaling
    asset: dict[str, Any] = {
        "href": f"./{piece.out.relative_to(plan.place.parent).as_posix()}",
        "type": COG_TYPE,
        "title": f"{piece.asset} of {plan.source.id}",
        "roles": ["data"],
        "proj:shape": list(piece.grid.shape),
        "proj:transform": [float(value) for value in piece.grid.transform[:6]],
        "raster:bands": [band],
    }
    if piece.asset in S2_BANDS:
        asset["eo:bands"] = [eo_band(piece.asset, piece.asset)]
    return asset
