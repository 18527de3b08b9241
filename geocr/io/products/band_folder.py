"""A folder (or zip) of loose band files, `..._B02.jp2` or `..._B05_20m.tif`: no metadata but names and the files' own tags."""

from geocr.io.facts import OpticalFacts
from geocr.io.products.aws import are_bands
from geocr.io.products.images import finest_of, side_rasters
from geocr.io.products.names import baseline_in, image_band, level_of, product_parts, tile_in, time_in
from geocr.io.products.product import BandFile, OpticalProduct, in_order
from geocr.io.products.tree import ProductTree


def open_band_folder(tree: ProductTree) -> OpticalProduct | None:
    """Find the band files of a folder; None when there are none.

    Raises:
        InputError: When there are several of one band and no resolution tells them apart.
    """
    images = [(*band, name) for name in tree.names() if are_bands(name) and (band := image_band(name)) is not None]
    if not images:
        return None
    chosen = finest_of(images, tree.path)
    bands = {band: BandFile(band=band, path=tree.gdal_path(name)) for band, (name, _) in chosen.items()}
    files = tuple(name for name, _ in chosen.values())
    scl, cloud_probability = side_rasters(tree.names())
    sides = tuple(side for side in (scl, cloud_probability) if side is not None)
    named = next((f"{tree.path}/{name}" for name in files if product_parts(f"{tree.path}/{name}")), None)
    parts = product_parts(named or "")
    orbit = parts.get("orbit")
    facts = OpticalFacts(
        level=level_of(parts.get("level")),
        baseline=baseline_in(named) if named else None,
        acquired=time_in(files[0]),
        tile=parts.get("tile") or tile_in(files[0]),
        relative_orbit=int(orbit) if orbit else None,
        scl=None if scl is None else tree.gdal_path(scl),
        cloud_probability=None if cloud_probability is None else tree.gdal_path(cloud_probability),
        files=tree.sources(sides or files[:1]),
    )
    note = f"{tree.path} is a folder of band files without the product's metadata: {len(bands)} bands by their names."
    return OpticalProduct(path=tree.path, bands=in_order(bands), facts=facts, notes=(note,))
