"""The metadata files of a product: `MTD_MSIL1C.xml` or `MTD_MSIL2A.xml` about the product, `MTD_TL.xml` about its tile.

Elements by the ESA Sentinel-2 Products Specification Document: reflectance = (DN + ADD_OFFSET) / QUANTIFICATION_VALUE, with
`RADIO_ADD_OFFSET` (L1C) or `BOA_ADD_OFFSET` (L2A) for each band since processing baseline 04.00, and none before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from xml.etree.ElementTree import Element

from geocr.core.bands import L1C_BANDS, canonical_s2_band
from geocr.core.errors import UnitsError
from geocr.io.products.names import Level, baseline_in, level_of, parse_time, tile_in
from geocr.io.products.product import QUANTIFICATION
from geocr.io.products.xml import first_number, first_text, parse_xml, to_number


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductMetadata:
    """What the file about the product says."""

    name: str | None
    """Of the product, without `.SAFE`."""
    level: Level | None
    baseline: str | None
    acquired: datetime | None
    relative_orbit: int | None
    quantification: float
    """DN of reflectance 1."""
    offsets: Mapping[str, float]
    """DN added before storing, negative as in the file, by band; 0 where the file names none."""
    images: tuple[str, ...]
    """Image files by their path from the product's folder, without suffix."""

    def scaling(self, band: str) -> tuple[float, float]:
        """Scale and offset of a band: reflectance = DN x scale + offset."""
        return 1 / self.quantification, self.offsets.get(band, 0.0) / self.quantification


@dataclass(frozen=True, slots=True, kw_only=True)
class TileMetadata:
    """What the file about the tile says."""

    tile: str | None
    baseline: str | None
    level: Level | None
    acquired: datetime | None
    sun_zenith_deg: float | None
    sun_azimuth_deg: float | None
    detectors: tuple[int, ...]
    """Numbers of the detectors that saw the tile."""


def read_product_metadata(content: bytes, name: str) -> ProductMetadata:
    """Read `MTD_MSIL1C.xml` or `MTD_MSIL2A.xml`.

    Args:
        content: The file.
        name: How to call it in messages.

    Raises:
        RasterReadError: When it is damaged.
        UnitsError: When a quantification value is no positive number or an offset names no band.
    """
    root = parse_xml(content, name)
    quantification = first_number(root, name, "BOA_QUANTIFICATION_VALUE", "QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE")
    if quantification is None:
        quantification = QUANTIFICATION
    if not quantification > 0:
        raise UnitsError(f"the quantification value of a product is a positive number, got {quantification:g} in {name}; give --s2-scale")
    uri = first_text(root, "PRODUCT_URI", "PRODUCT_URI_2A", "PRODUCT_URI_1C")
    orbit = first_number(root, name, "SENSING_ORBIT_NUMBER")
    return ProductMetadata(
        name=uri.removesuffix(".SAFE") if uri else None,
        level=level_of(first_text(root, "PROCESSING_LEVEL", "PRODUCT_TYPE")),
        baseline=first_text(root, "PROCESSING_BASELINE"),
        acquired=parse_time(first_text(root, "PRODUCT_START_TIME", "DATATAKE_SENSING_START")),
        relative_orbit=None if orbit is None else int(orbit),
        quantification=quantification,
        offsets=_offsets(root, name),
        images=tuple(
            element.text.strip() for tag in ("IMAGE_FILE", "IMAGE_FILE_2A", "IMAGE_ID") for element in root.iter(tag) if element.text
        ),
    )


def _offsets(root: Element, name: str) -> dict[str, float]:
    """Added DN by band."""
    by_id = dict(enumerate(L1C_BANDS))  # ESA counts the bands 0 to 12 in the order of L1C; the list of the file comes first
    for element in root.iter("Spectral_Information"):
        band = canonical_s2_band(element.get("physicalBand", ""))
        if band is not None and element.get("bandId", "").isdigit():
            by_id[int(element.get("bandId", ""))] = band
    offsets: dict[str, float] = {}
    for tag in ("RADIO_ADD_OFFSET", "BOA_ADD_OFFSET"):
        for element in root.iter(tag):
            number = element.get("band_id", "")
            if not number.isdigit() or int(number) not in by_id:
                raise UnitsError(
                    f"an offset of a product names its band by a band_id of 0 to 12, got {number!r} in {name}; give --s2-scale and --s2-offset"
                )
            offsets[by_id[int(number)]] = to_number(element.text, f"{tag} in {name}")
    return offsets


def read_tile_metadata(content: bytes, name: str) -> TileMetadata:
    """Read `MTD_TL.xml`, or `metadata.xml` of a tile on AWS.

    Args:
        content: The file.
        name: How to call it in messages.

    Raises:
        RasterReadError: When it is damaged.
    """
    root = parse_xml(content, name)
    tile_id = first_text(root, "TILE_ID", "TILE_ID_2A") or ""
    sun = next(root.iter("Mean_Sun_Angle"), None)
    detectors = {element.get("detectorId", "") for element in root.iter("Viewing_Incidence_Angles_Grids")}
    return TileMetadata(
        tile=tile_in(tile_id),
        baseline=baseline_in(tile_id),
        level=level_of(tile_id),
        acquired=parse_time(first_text(root, "SENSING_TIME")),
        sun_zenith_deg=None if sun is None else first_number(sun, name, "ZENITH_ANGLE"),
        sun_azimuth_deg=None if sun is None else first_number(sun, name, "AZIMUTH_ANGLE"),
        detectors=tuple(sorted(int(number) for number in detectors if number.isdigit())),
    )
