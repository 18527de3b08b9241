"""The Sentinel-1 and Sentinel-2 band lexicon: one spelling inside, many accepted at the door.

Sources: Sentinel-2 MSI user guide (ESA) for names, native resolutions and central wavelengths.
"""

import re
from dataclasses import dataclass

from geocr.core.errors import BandError


@dataclass(frozen=True, slots=True, kw_only=True)
class OpticalBand:
    """One Sentinel-2 band."""

    name: str
    """Canonical name: `B01` to `B12` and `B8A`."""
    common_name: str
    """The STAC eo extension's name for it."""
    wavelength_nm: float
    """Central wavelength of Sentinel-2A."""
    resolution_m: int
    """Native ground sampling distance."""


_TABLE = (
    ("B01", "coastal", 442.7, 60),
    ("B02", "blue", 492.4, 10),
    ("B03", "green", 559.8, 10),
    ("B04", "red", 664.6, 10),
    ("B05", "rededge071", 704.1, 20),
    ("B06", "rededge075", 740.5, 20),
    ("B07", "rededge078", 782.8, 20),
    ("B08", "nir", 832.8, 10),
    ("B8A", "nir08", 864.7, 20),
    ("B09", "nir09", 945.1, 60),
    ("B10", "cirrus", 1373.5, 60),
    ("B11", "swir16", 1613.7, 20),
    ("B12", "swir22", 2202.4, 20),
)

S2_BANDS: dict[str, OpticalBand] = {
    name: OpticalBand(name=name, common_name=common, wavelength_nm=nm, resolution_m=m) for name, common, nm, m in _TABLE
}
"""All Sentinel-2 bands by canonical name, in the order of an L1C product."""

L1C_BANDS: tuple[str, ...] = tuple(S2_BANDS)
"""The 13 bands of a Level-1C scene, in order."""

L2A_BANDS: tuple[str, ...] = tuple(name for name in L1C_BANDS if name != "B10")
"""The 12 bands of a Level-2A scene: L1C without cirrus."""

S1_BANDS: tuple[str, ...] = ("VV", "VH")
"""Polarisations, in the order every method here takes them."""

_ALIASES = {"red": "B04", "green": "B03", "blue": "B02", "nir": "B08", "cirrus": "B10", "swir1": "B11", "swir2": "B12"}
_ALIASES |= {band.common_name: name for name, band in S2_BANDS.items()}
_PATTERN = re.compile(r"^(?:S2[_ -]?)?B(?:AND)?[ _-]?0*(8A|\d{1,2})(?![0-9A-Z])", re.IGNORECASE)


def canonical_s2_band(text: str) -> str | None:
    """Canonical band name for any usual spelling, or None when it names no Sentinel-2 band.

    `B2`, `b02`, `Band 2`, `B02 (blue)` and `blue` all give `B02`.
    """
    text = text.strip()
    match = _PATTERN.match(text)
    if match:
        number = match.group(1).upper()
        name = "B8A" if number == "8A" else f"B{int(number):02d}"
        return name if name in S2_BANDS else None
    return _ALIASES.get(text.lower())


def canonical_s1_band(text: str) -> str | None:
    """`VV` or `VH` for any usual spelling of a polarisation, or None."""
    found = re.findall(r"(?<![A-Z])(V[VH])(?![A-Z])", text.upper())
    return found[0] if len(set(found)) == 1 else None


def names_other_polarisation(text: str) -> bool:
    """True when a text names HH or HV, which no method here takes."""
    return re.search(r"(?<![A-Z])H[HV](?![A-Z])", text.upper()) is not None


def parse_s2_bands(names: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """Canonical names of a user's list of bands.

    Raises:
        BandError: When a name is unknown or given twice.
    """
    bands = []
    for text in names:
        band = canonical_s2_band(text)
        if band is None:
            msg = f"Sentinel-2 band names must be among {', '.join(S2_BANDS)}, got {text!r}; name the bands as --s2-bands B02,B03,B04,B08"
            raise BandError(msg)
        bands.append(band)
    doubles = sorted({band for band in bands if bands.count(band) > 1})
    if doubles:
        msg = f"each band may stand once in a scene, got {', '.join(doubles)} twice in {', '.join(bands)}; correct --s2-bands"
        raise BandError(msg)
    return tuple(bands)


def is_l1c(bands: tuple[str, ...]) -> bool:
    """True when a scene holds the cirrus band, which only Level-1C products carry."""
    return "B10" in bands
