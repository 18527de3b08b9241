"""What the names of Sentinel-2 files and products tell.

Form of product names since December 2016: `MMM_MSIXXX_YYYYMMDDHHMMSS_Nxxyy_ROOO_Txxxxx_<discriminator>` (ESA, Sentinel-2 Products
Specification Document); `Nxxyy` is the processing baseline, `ROOO` the relative orbit, `Txxxxx` the tile.
"""

import re
from datetime import UTC, datetime
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["L1C", "L2A"]

_IMAGE = re.compile(r"(?:^|[_/-])(B(?:0[1-9]|1[0-2]|8A|[1-9]))(?:_(\d+)m)?\.(?:jp2|tiff?)$", re.IGNORECASE)
_FOLDER_RESOLUTION = re.compile(r"(?:^|/)R(\d+)m/", re.IGNORECASE)
_PRODUCT = re.compile(r"S2[A-D]_MSI(L1C|L2A)_(\d{8}T\d{6})_N(\d{2})(\d{2})_R(\d{3})_T(\d{2}[A-Z]{3})_\d{8}T\d{6}")
_TILE = re.compile(r"(?:^|[_/-])T?(\d{2}[C-HJ-NP-X][A-HJ-NP-Z]{2})(?=[_/.-]|$)")
_BASELINE = re.compile(r"_N(\d{2})\.(\d{2})(?=_|$)")
_TIME = re.compile(r"(?<!\d)(20[1-9]\d[01]\d[0-3]\dT[0-2]\d[0-5]\d[0-5]\d)(?!\d)")


def image_band(name: str) -> tuple[str, int | None] | None:
    """Canonical band and the resolution in metres that a file's name or folder tells, or None when it names no band.

    `IMG_DATA/R20m/T33TWM_20230813T095559_B05_20m.jp2` gives `("B05", 20)`, `B8A.jp2` gives `("B8A", None)`.
    """
    match = _IMAGE.search(name)
    if match is None:
        return None
    band = match.group(1).upper()
    if len(band) == 2:
        band = f"B0{band[1]}"
    folder = _FOLDER_RESOLUTION.search(name)
    metres = match.group(2) or (folder.group(1) if folder else None)
    return band, None if metres is None else int(metres)


def product_parts(name: str) -> dict[str, str]:
    """`level`, `time`, `baseline`, `orbit` and `tile` out of a product's name; nothing where it has another form."""
    match = _PRODUCT.search(name)
    if match is None:
        return {}
    level, time, major, minor, orbit, tile = match.groups()
    return {"level": level, "time": time, "baseline": f"{major}.{minor}", "orbit": orbit, "tile": tile}


def tile_in(text: str) -> str | None:
    """The MGRS tile in a name, for example `32TQM`."""
    match = _TILE.search(text)
    return match.group(1) if match else None


def baseline_in(text: str) -> str | None:
    """The processing baseline in the identifier of a tile or a product: `..._N02.06` or `..._N0206_...`."""
    match = _BASELINE.search(text)
    return f"{match.group(1)}.{match.group(2)}" if match else product_parts(text).get("baseline")


def time_in(text: str) -> datetime | None:
    """The first time in a name, UTC."""
    match = _TIME.search(text)
    return None if match is None else parse_time(match.group(1))


def parse_time(text: str | None) -> datetime | None:
    """A time of the metadata (ISO 8601, or `20230813T095559`) in UTC; None when there is none or it cannot be read."""
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def level_of(text: str | None) -> Level | None:
    """`Level-1C`, `L1C`, `S2MSI1C` or a product's name as a level."""
    if text is None:
        return None
    found = re.search(r"(?:Level-|L|MSI)(1C|2A)", text, re.IGNORECASE)
    if found is None:
        return None
    return "L1C" if found.group(1).upper() == "1C" else "L2A"
