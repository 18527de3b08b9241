"""A `.SAFE` product of ESA, as a folder or zipped: Level-1C, and Level-2A with its three resolutions."""

import re
from pathlib import PurePosixPath

from geocr.core.errors import InputError, RasterReadError
from geocr.io.facts import OpticalFacts
from geocr.io.products.images import finest_of, side_rasters
from geocr.io.products.metadata import ProductMetadata, TileMetadata, read_product_metadata, read_tile_metadata
from geocr.io.products.names import image_band, product_parts
from geocr.io.products.product import BandFile, OpticalProduct, in_order
from geocr.io.products.tree import ProductTree

_ROOT = re.compile(r"(?:^|/)MTD_MSI(?:L1C|L2A)\.xml$")
_OLD_ROOT = re.compile(r"(?:^|/)S2[A-D]_OPER_MTD_SAF")
_SUFFIXES = (".jp2", ".tif", ".tiff")


def find_roots(names: tuple[str, ...]) -> tuple[str, ...]:
    """The metadata files of the SAFE products among these files; one for each product."""
    return tuple(name for name in names if _ROOT.search(name))


def refuse_old_format(names: tuple[str, ...], path: str) -> None:
    """Raise when these are the files of a product from before December 2016.

    Raises:
        InputError: With what to do.
    """
    old = next((name for name in names if _OLD_ROOT.search(name)), None)
    if old is not None:
        raise InputError(
            f"Sentinel-2 products are read in the format of December 2016 and later (MTD_MSIL1C.xml or MTD_MSIL2A.xml, one tile each); {path} has "
            f"the older one ({PurePosixPath(old).name}); fetch the reprocessed product (Collection 1), or give the folder IMG_DATA of one of its tiles"
        )


def open_safe(tree: ProductTree, root: str) -> OpticalProduct:
    """Read the metadata of a SAFE product and find its files.

    Args:
        tree: Where it lies.
        root: Its `MTD_MSIL1C.xml` or `MTD_MSIL2A.xml` in the tree.

    Raises:
        RasterReadError: When metadata is missing or damaged.
        InputError: When it has several tiles.
    """
    about = read_product_metadata(tree.read(root), f"{root} in {tree.path}")
    folder = root.rpartition("/")[0]
    inside = tuple(name for name in tree.names() if not folder or name.startswith(f"{folder}/"))
    tile_file = _tile_file(inside, tree.path)
    tile = read_tile_metadata(tree.read(tile_file), f"{tile_file} in {tree.path}")
    images, missing = _images(about, folder, inside)
    chosen = finest_of(images, tree.path)
    lacking = {band: path for band, (path, metres) in missing.items() if band not in chosen or (metres or 0) < (chosen[band][1] or 0)}
    bands = {}
    for band, (name, _) in chosen.items():
        if band not in lacking:
            scale, offset = about.scaling(band)
            bands[band] = BandFile(band=band, path=tree.gdal_path(name), scale=scale, offset=offset)
    facts = _facts(about, tile, tree, inside, (root, tile_file))
    return OpticalProduct(path=tree.path, bands=in_order(bands), facts=facts, missing=lacking, notes=(said_of(facts),))


def said_of(facts: OpticalFacts) -> str:
    """The product in a sentence."""
    parts: list[str] = [facts.level or "level unknown"]
    parts += [f"baseline {facts.baseline}"] * (facts.baseline is not None)
    parts += [f"tile {facts.tile}"] * (facts.tile is not None)
    parts += [f"sensed {facts.acquired:%Y-%m-%d %H:%M:%S} UTC"] if facts.acquired is not None else []
    return f"Sentinel-2 product {facts.product or 'without a name'}: {', '.join(parts)}."


def _tile_file(inside: tuple[str, ...], path: str) -> str:
    found = [name for name in inside if name.endswith("/MTD_TL.xml")]
    if not found:
        raise RasterReadError(f"a SAFE product has a MTD_TL.xml in GRANULE; {path} has none; fetch it again")
    if len(found) > 1:
        raise InputError(f"a scene is one tile; {path} has {len(found)} ({', '.join(found)}); give the IMG_DATA folder of one of them")
    return found[0]


def _images(
    about: ProductMetadata, folder: str, inside: tuple[str, ...]
) -> tuple[list[tuple[str, int | None, str]], dict[str, tuple[str, int | None]]]:
    """Band files that are there, and the finest of those that the metadata lists and that are not."""
    there = set(inside)
    present: list[tuple[str, int | None, str]] = []
    missing: dict[str, tuple[str, int | None]] = {}
    listed = [f"{folder}/{image}" if folder else image for image in about.images]
    for image in listed or [name for name in inside if "/IMG_DATA/" in name]:
        stem = image.removesuffix(PurePosixPath(image).suffix) if image.lower().endswith(_SUFFIXES) else image
        named = image_band(f"{stem}.jp2")
        if named is None:
            continue
        band, metres = named
        found = next((stem + suffix for suffix in _SUFFIXES if stem + suffix in there), None)
        if found is not None:
            present.append((band, metres, found))
        elif band not in missing or (metres or 0) < (missing[band][1] or 0):
            missing[band] = (f"{stem}.jp2", metres)
    return present, missing


def _facts(about: ProductMetadata, tile: TileMetadata, tree: ProductTree, inside: tuple[str, ...], read: tuple[str, ...]) -> OpticalFacts:
    scl, cloud_probability = side_rasters(inside)
    name = about.name
    parts = product_parts(name or "")
    sides = tuple(side for side in (scl, cloud_probability) if side is not None)
    return OpticalFacts(
        product=name,
        level=about.level or tile.level,
        baseline=about.baseline or tile.baseline,
        acquired=tile.acquired or about.acquired,
        tile=tile.tile or parts.get("tile"),
        relative_orbit=about.relative_orbit,
        sun_zenith_deg=tile.sun_zenith_deg,
        sun_azimuth_deg=tile.sun_azimuth_deg,
        detectors=tile.detectors,
        scl=None if scl is None else tree.gdal_path(scl),
        cloud_probability=None if cloud_probability is None else tree.gdal_path(cloud_probability),
        files=tree.sources((*read, *sides)),
    )
