"""`DatasetCard`: what is known about a data set before any file of it is there."""

from dataclasses import dataclass
from typing import Any, Literal

from geocr.data.sample import OpticalUnit, SarUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCard:
    """One row of `geocr data list`, and the facts that errors and documentation repeat."""

    name: str
    """Name in the table `DATASETS`."""
    title: str
    """What it is, in one line."""
    sar_bands: tuple[str, ...]
    """Polarisations the files hold, in file order; `()` without Sentinel-1."""
    optical_bands: tuple[str, ...]
    """Bands the files hold, in file order, by their canonical Sentinel-2 names."""
    sar_unit: SarUnit
    """Unit of `sar`."""
    optical_unit: OpticalUnit
    """Unit of `cloudy` and `clear`."""
    keys: tuple[str, ...]
    """Keys a complete sample has beside `sar`, `valid_mask` and `meta`."""
    nodata: str
    """What counts as not observed, per key, in words."""
    mask: str
    """Where `cloud_mask` comes from, in words; it is always True = cloud or shadow."""
    splits: tuple[str, ...]
    """Splits it can be asked for; `()` when it has none."""
    split_rule: str
    """How they are made, with the source."""
    size: str
    """Number of samples and their size in pixels."""
    licence: str
    """Of the data, as published."""
    citation: str
    """Whom to cite."""
    download: str
    """How to get it."""
    layout: str
    """Folders and file names under the root."""
    sar_radiometry: Literal["sigma0", "gamma0"] | None = None
    """Of `sar` in dB, as published; None is not known."""

    def to_dict(self) -> dict[str, Any]:
        """Its fields as JSON keeps them."""
        return {name: getattr(self, name) for name in self.__slots__}
