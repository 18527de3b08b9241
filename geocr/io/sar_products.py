"""Which Sentinel-1 images a user names: files, pairs of files, folders, archives, STAC items, and lists of these.

One word names one or more images, separated by commas. Files with one polarisation each, told by their names, belong together when
their names differ in nothing else, or when they are the only two.
"""

import re
import zipfile
from pathlib import Path

from geocr.core.errors import BandError, InputError, RasterNotFoundError, RasterReadError
from geocr.io.facts import SarFacts
from geocr.io.raster import absolute_path
from geocr.io.remote import is_remote
from geocr.io.sar_item import item_source
from geocr.io.sar_names import facts_of_names
from geocr.io.sar_pair import names_other, polarisation_of, without_polarisation
from geocr.io.sar_source import SarGeometry, SarSource, merged
from geocr.io.stac import names_item

_TIFFS = (".tif", ".tiff")


def find_sources(s1: str) -> tuple[SarSource, ...]:
    """The Sentinel-1 images that a word names, in the order given.

    Args:
        s1: A raster, a VV,VH pair of rasters, a folder or .zip with such a pair, a `.SAFE` product, a STAC item, or several of
            these separated by commas.

    Raises:
        InputError: When a list has an empty place, or a product is none of Sentinel-1.
        RasterNotFoundError: When a folder or archive holds no raster of VV or VH.
        BandError: When the polarisations are others than VV and VH.
        GeocrError: Those of reading STAC items.
    """
    words = _words(s1)
    groups = _grouped([absolute_path(word) for word in words])
    return tuple(_source(group[0]) if len(group) == 1 else _pair(group) for group in groups)


def _words(s1: str) -> list[str]:
    if s1.startswith("<") or "," not in s1 or (not is_remote(s1) and Path(s1).exists()):
        return [s1]
    parts = re.split(r",(?=\w+://)", s1) if "?" in s1 else s1.split(",")  # the query of a URL may hold commas of its own
    words = [word.strip() for word in parts]
    if not all(words):
        raise InputError(f"Sentinel-1 images are separated by single commas, as a.tif,b.tif; got {s1!r}")
    return words


def _grouped(paths: list[str]) -> list[tuple[str, ...]]:
    """Paths that belong together as VV and VH of one image; in the order in which the first of each stands."""
    named = {path: polarisation_of(path) for path in paths if _may_be_half(path)}
    if len(paths) == 2 and sorted(named.get(path) or "" for path in paths) == ["VH", "VV"]:
        return [tuple(paths)]
    groups: dict[str, list[str]] = {}
    for path in paths:
        half = named.get(path)
        groups.setdefault(path if half is None else without_polarisation(path), []).append(path)
    grouped: list[tuple[str, ...]] = []
    for members in groups.values():
        if sorted(named.get(path) or "" for path in members) == ["VH", "VV"]:
            grouped.append(tuple(members))
        else:
            grouped.extend((path,) for path in members)
    return grouped


def _may_be_half(path: str) -> bool:
    return not path.startswith("<") and not names_item(path) and path.split("?", maxsplit=1)[0].lower().endswith(_TIFFS)


def _source(path: str) -> SarSource:
    if path.startswith("<"):
        return SarSource(rasters=(path,), name="the given VRT")
    if names_item(path):
        return item_source(path)
    if not is_remote(path) and Path(path).is_dir():
        return _container(path, [str(file) for file in sorted(Path(path).rglob("*")) if file.is_file()])
    if path.lower().endswith(".zip") and not is_remote(path) and Path(path).exists():
        return _container(path, _zipped(path))
    return SarSource(rasters=(path,), name=path)


def _zipped(path: str) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [f"/vsizip/{path}/{name}" for name in sorted(archive.namelist()) if not name.endswith("/")]
    except (OSError, zipfile.BadZipFile) as error:
        raise RasterReadError(f"a .zip must be an archive that opens; {path} does not: {error}; fetch it again") from error


def _container(path: str, files: list[str]) -> SarSource:
    """The one image in a folder or archive: of a `.SAFE` product its measurements."""
    names = [file.removeprefix(f"/vsizip/{path}").removeprefix(path).strip("/") for file in files]
    if any(Path(name).name.startswith("MTD_MSIL") for name in names):
        raise InputError(
            f"the first of both inputs is Sentinel-1; {path} is a Sentinel-2 product; the order is Sentinel-1, then Sentinel-2"
        )
    safe = next((name for name in names if Path(name).name == "manifest.safe"), None)
    radar = safe is not None or any(Path(name).name == "productInfo.json" for name in names)
    rasters = [file for file in files if file.lower().endswith(_TIFFS) and (safe is None or "/measurement/" in file)]
    halves = {file: polarisation_of(file) for file in rasters if polarisation_of(file) and not names_other(file)}
    if not halves and any(names_other(file) for file in rasters):
        raise BandError(f"Sentinel-1 polarisations must be VV and VH, or one of them; {path} has HH or HV, which are not supported")
    if not halves:
        raise RasterNotFoundError(
            f"a folder or archive given as Sentinel-1 holds one GeoTIFF for VV and one for VH, told by their names; {path} has "
            f"{len(rasters)} GeoTIFF file(s), none so named; name the file itself"
        )
    polarisations = list(halves.values())
    if len(polarisations) != len(set(polarisations)):
        raise InputError(
            f"a folder or archive given as Sentinel-1 holds one image; {path} has {len(halves)} files of {' and '.join(sorted({p for p in polarisations if p}))}; "
            f"name the files themselves, separated by commas"
        )
    geometry: SarGeometry | None = "radar" if radar else None
    whole = (path,) if path.lower().endswith(".zip") else tuple(halves)
    product = next((part for name in (path, safe or "") for part in Path(name).parts if part.upper().startswith("S1")), path)
    facts = merged(SarFacts(files=whole), facts_of_names(product))
    return _assembled(tuple(halves), tuple(str(p) for p in polarisations), path, facts, geometry)


def _pair(paths: tuple[str, ...]) -> SarSource:
    polarisations = tuple(str(polarisation_of(path)) for path in paths)
    return _assembled(paths, polarisations, ",".join(paths), SarFacts(), None)


def _assembled(
    rasters: tuple[str, ...], polarisations: tuple[str, ...], name: str, facts: SarFacts, geometry: SarGeometry | None
) -> SarSource:
    known = merged(facts, facts_of_names(rasters[0]))
    return SarSource(
        rasters=rasters,
        polarisations=() if len(rasters) == 1 else polarisations,
        name=name,
        facts=merged(known, SarFacts(files=rasters)),
        geometry=geometry,
    )
