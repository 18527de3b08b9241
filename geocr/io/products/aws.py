"""One tile in the layout of the Sentinel-2 buckets on AWS: `tileInfo.json`, `metadata.xml` and `B01.jp2`, `B02.jp2` and so on.

L1C has its bands beside them, L2A in `R10m`, `R20m` and `R60m`. The metadata about the product, where offsets are told, lies in another
folder of the bucket; where it was put beside the tile (`product/metadata.xml`, `productMetadata.xml`, or under ESA's name) it is read. Else the
processing baseline, from the tile's identifier or the product's name, tells whether there is an offset.
"""

import json
from pathlib import PurePosixPath
from typing import Any

from geocr.core.errors import InputError, RasterReadError
from geocr.io.facts import OpticalFacts
from geocr.io.products.images import finest_of, side_rasters
from geocr.io.products.metadata import ProductMetadata, TileMetadata, read_product_metadata, read_tile_metadata
from geocr.io.products.names import image_band, level_of, parse_time, product_parts
from geocr.io.products.offset import baseline_offset
from geocr.io.products.product import QUANTIFICATION, BandFile, OpticalProduct, in_order
from geocr.io.products.safe import said_of
from geocr.io.products.tree import ProductTree

_PRODUCT_FILES = ("product/metadata.xml", "productMetadata.xml", "MTD_MSIL1C.xml", "MTD_MSIL2A.xml")
_NO_BANDS = {"preview", "qi", "qi_data", "auxiliary", "aux_data"}
"""Folders whose files are named after bands and are none."""


def find_tiles(names: tuple[str, ...]) -> tuple[str, ...]:
    """Folders among these files that are tiles of this layout, `""` for the top; by `tileInfo.json`, or `metadata.xml` beside bands."""
    folders = {str(PurePosixPath(name).parent) for name in names if PurePosixPath(name).name == "tileInfo.json"}
    there = set(names)
    for name in names:
        path = PurePosixPath(name)
        if path.name == "metadata.xml" and any(str(path.parent / band) in there for band in ("B02.jp2", "R10m/B02.jp2")):
            folders.add(str(path.parent))
    return tuple(sorted("" if folder == "." else folder for folder in folders))


def are_bands(name: str) -> bool:
    """Whether a file may be a band: those of masks and previews have bands in their names too."""
    path = PurePosixPath(name)
    return not path.name.startswith("MSK_") and not _NO_BANDS & {part.lower() for part in path.parts[:-1]}


def open_tile(tree: ProductTree, folder: str) -> OpticalProduct:
    """Read the metadata of a tile and find its files.

    Args:
        tree: Where it lies.
        folder: The tile's folder in the tree.

    Raises:
        RasterReadError: When metadata is damaged or there is none.
        InputError: When it has no band or several files of one.
    """
    prefix = f"{folder}/" if folder else ""
    inside = tuple(name for name in tree.names() if name.startswith(prefix))
    info = _tile_info(tree, f"{prefix}tileInfo.json") if f"{prefix}tileInfo.json" in inside else {}
    metadata = f"{prefix}metadata.xml"
    tile = read_tile_metadata(tree.read(metadata), f"{metadata} in {tree.path}") if metadata in inside else None
    about_file = next((prefix + name for name in _PRODUCT_FILES if prefix + name in inside), None)
    about = None if about_file is None else read_product_metadata(tree.read(about_file), f"{about_file} in {tree.path}")
    images = [(*band, name) for name in inside if are_bands(name[len(prefix) :]) and (band := image_band(name[len(prefix) :])) is not None]
    chosen = finest_of(images, tree.path)
    if not chosen:
        raise InputError(
            f"a tile in the layout of AWS has its bands as B02.jp2 (L1C) or R10m/B02.jp2 (L2A); {tree.path} has none; fetch them"
        )
    read = tuple(name for name in (f"{prefix}tileInfo.json", metadata, about_file) if name in inside and name is not None)
    facts = _facts(tree, inside, read, info=info, tile=tile, about=about, layered="R10m/" in "".join(inside))
    scales, note = _scales(about, facts, tuple(chosen), tree.path)
    bands = {
        band: BandFile(band=band, path=tree.gdal_path(name), scale=scales[band][0], offset=scales[band][1])
        for band, (name, _) in chosen.items()
    }
    return OpticalProduct(path=tree.path, bands=in_order(bands), facts=facts, notes=(said_of(facts), *note))


def _scales(
    about: ProductMetadata | None, facts: OpticalFacts, bands: tuple[str, ...], path: str
) -> tuple[dict[str, tuple[float, float]], tuple[str, ...]]:
    """Scale and offset of each band, and where they come from if not from the product's metadata."""
    if about is not None:
        return {band: about.scaling(band) for band in bands}, ()
    offset = baseline_offset(facts.baseline, path)
    if facts.baseline is None:
        note = "Neither offset nor processing baseline is told: offset 0 is assumed (--s2-offset to say otherwise)."
    else:
        note = f"The product's metadata is not beside the tile: offset {offset:g} by processing baseline {facts.baseline}."
    return dict.fromkeys(bands, (1 / QUANTIFICATION, offset)), (note,)


def _tile_info(tree: ProductTree, name: str) -> dict[str, Any]:
    try:
        info = json.loads(tree.read(name))
    except ValueError as error:
        raise RasterReadError(f"tileInfo.json is JSON; {name} in {tree.path} is not: {error}; fetch it again") from error
    return info if isinstance(info, dict) else {}


def _facts(
    tree: ProductTree,
    inside: tuple[str, ...],
    read: tuple[str, ...],
    *,
    info: dict[str, Any],
    tile: TileMetadata | None,
    about: ProductMetadata | None,
    layered: bool,
) -> OpticalFacts:
    name = (about.name if about else None) or info.get("productName")
    parts = product_parts(str(name or ""))
    scl, cloud_probability = side_rasters(inside)
    sides = tuple(side for side in (scl, cloud_probability) if side is not None)
    mgrs = (
        f"{info['utmZone']:02d}{info['latitudeBand']}{info['gridSquare']}"
        if {"utmZone", "latitudeBand", "gridSquare"} <= set(info)
        else None
    )
    orbit = parts.get("orbit")
    return OpticalFacts(
        product=None if name is None else str(name),
        level=(about.level if about else None)
        or (tile.level if tile else None)
        or level_of(parts.get("level"))
        or ("L2A" if layered else "L1C"),
        baseline=(about.baseline if about else None) or (tile.baseline if tile else None) or parts.get("baseline"),
        acquired=(tile.acquired if tile else None) or parse_time(info.get("timestamp")),
        tile=(tile.tile if tile else None) or mgrs or parts.get("tile"),
        relative_orbit=about.relative_orbit if about and about.relative_orbit is not None else (int(orbit) if orbit else None),
        sun_zenith_deg=tile.sun_zenith_deg if tile else None,
        sun_azimuth_deg=tile.sun_azimuth_deg if tile else None,
        detectors=tile.detectors if tile else (),
        scl=None if scl is None else tree.gdal_path(scl),
        cloud_probability=None if cloud_probability is None else tree.gdal_path(cloud_probability),
        files=tree.sources((*read, *sides)),
    )
