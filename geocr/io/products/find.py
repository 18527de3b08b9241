"""Is a path a product, and which? A raster is none, and is read as it always was."""

from pathlib import Path
from urllib.parse import urlsplit

import rasterio

from geocr.core.errors import InputError, RasterReadError
from geocr.io.products.aws import find_tiles, open_tile
from geocr.io.products.band_folder import open_band_folder
from geocr.io.products.document import read_json
from geocr.io.products.product import OpticalProduct
from geocr.io.products.safe import find_roots, open_safe, refuse_old_format
from geocr.io.products.stac import open_item, require_item
from geocr.io.products.tree import FolderTree, ProductTree, ZipTree
from geocr.io.remote import is_remote

_METADATA = ("MTD_MSIL1C.xml", "MTD_MSIL2A.xml", "manifest.safe")


def find_product(path: str) -> OpticalProduct | None:
    """The product at a path, its metadata read and its files found; None when the path names a raster.

    Args:
        path: A `.SAFE` folder, its zip or its metadata file; a tile's folder in the layout of AWS; a folder of band files; a STAC item as a
            `.json` file or a URL. Absolute.

    Raises:
        InputError: When it is a folder, zip or document, and no Sentinel-2 product or more than one.
        RasterNotFoundError: When a document does not exist.
        RasterReadError: When it is damaged.
        RemoteReadError: When a URL cannot be fetched.
    """
    if path.startswith(("<", "/vsi")):
        return None
    if is_remote(path):
        return _remote(path)
    place = Path(path)
    if place.name in _METADATA and place.is_file():
        place = place.parent
    if place.is_dir() and place.suffix.lower() != ".zarr":  # a raster that is a folder
        return _in_tree(FolderTree(str(place)))
    if place.suffix.lower() == ".zip" and place.is_file():
        return _in_tree(ZipTree(str(place)))
    if place.suffix.lower() in (".json", ".geojson") and place.is_file():
        return open_item(require_item(read_json(str(place)), str(place)), str(place))
    return None


def is_item_url(url: str) -> bool:
    """Whether a URL names a STAC item: a .json file, or `.../items/<id>` of an API."""
    parts = urlsplit(url).path.rstrip("/").split("/")
    return parts[-1].lower().endswith((".json", ".geojson")) or (len(parts) > 1 and parts[-2] == "items")


def _remote(url: str) -> OpticalProduct | None:
    last = urlsplit(url).path.rstrip("/").rsplit("/", 1)[-1].lower()
    if last.endswith((".safe", ".zip")):
        raise InputError(
            f"SAFE products are read from this machine, got {url}; fetch it first, or give the STAC item of the scene, whose bands are read in place"
        )
    return open_item(require_item(read_json(url), url), url) if is_item_url(url) else None


def _in_tree(tree: ProductTree) -> OpticalProduct:
    names, path = tree.names(), tree.path
    roots = find_roots(names)
    if len(roots) > 1:
        raise InputError(f"a scene is one product; {path} has {len(roots)}: {', '.join(roots[:4])}; name one of them")
    if roots:
        return open_safe(tree, roots[0])
    refuse_old_format(names, path)
    if any(name.startswith("measurement/") or "/measurement/" in name for name in names):
        raise InputError(f"{path} looks like a Sentinel-1 product; the order is Sentinel-1, then Sentinel-2")
    if path.upper().endswith(".SAFE") or any(".SAFE/" in name for name in names):
        raise RasterReadError(
            f"a SAFE product has its MTD_MSIL1C.xml or MTD_MSIL2A.xml; {path} has none; fetch it again, or give its folder IMG_DATA as a folder of "
            f"band files, whose scale and offset are then yours to say"
        )
    tiles = find_tiles(names)
    if len(tiles) > 1:
        raise InputError(f"a scene is one tile; {path} has {len(tiles)}: {', '.join(tiles[:4])}; name one of them")
    found = open_tile(tree, tiles[0]) if tiles else open_band_folder(tree)
    if found is None:
        raise RasterReadError(
            f"inputs must be rasters that GDAL {rasterio.__gdal_version__} reads; {path} is not, and its {len(names)} files are no product either: "
            f"a .SAFE folder (MTD_MSIL1C.xml or MTD_MSIL2A.xml), a tile in the layout of AWS (tileInfo.json), band files named ..._B02.jp2 or .tif"
        )
    return found
