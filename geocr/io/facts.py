"""What products say of themselves apart from their pixels: level, date, orbit, sun, files."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from geocr.radiometry.sar import SarRadiometry

OrbitDirection: TypeAlias = Literal["ascending", "descending"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpticalFacts:
    """What is known of a Sentinel-2 product; None is unknown."""

    product: str | None = None
    """Its name, for example `S2B_MSIL1C_20220103T102329_N0301_R065_T32TQM_20220103T115310`."""
    level: Literal["L1C", "L2A"] | None = None
    """Processing level, by the product's own word."""
    baseline: str | None = None
    """Processing baseline, for example `04.00`."""
    acquired: datetime | None = None
    """Sensing time, UTC."""
    tile: str | None = None
    """MGRS tile, for example `32TQM`."""
    relative_orbit: int | None = None
    sun_zenith_deg: float | None = None
    """Mean over the tile."""
    sun_azimuth_deg: float | None = None
    """Mean over the tile, clockwise from north."""
    detectors: tuple[int, ...] = ()
    """Numbers of the detectors that saw the tile, of the twelve of the instrument."""
    scl: str | None = None
    """Scene classification raster of the product: anything `open_raster` opens."""
    cloud_probability: str | None = None
    """Cloud probability raster of the product (CLDPRB, percent): anything `open_raster` opens."""
    files: tuple[str, ...] = ()
    """Files and URLs behind the pixels, where the raster is not a file itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SarFacts:
    """What is known of a Sentinel-1 product; None is unknown."""

    product: str | None = None
    acquired: datetime | None = None
    """Sensing time, UTC; of a mosaic the one nearest to the scene."""
    radiometry: SarRadiometry | None = None
    """Of a mosaic that of all its images, as the next two; None where they differ."""
    orbit: OrbitDirection | None = None
    relative_orbit: int | None = None
    days_from_optical: float | None = None
    """Days from the Sentinel-2 image to this one, negative when it is the earlier; whole days where only a day is known."""
    products: tuple[str, ...] = ()
    """Names of all images of a mosaic, in the order in which they fill it; `()` of a single image."""
    images: tuple["SarFacts", ...] = ()
    """What is known of each of them, in the same order."""
    files: tuple[str, ...] = ()
    """Files and URLs behind the pixels, where the raster is not a file itself."""
