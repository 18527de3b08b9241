"""What a model eats and gives: bands by name, units, sizes. Normalisation, tiles and refusals follow from it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal, Self, TypeAlias, get_args

from geocr.core.bands import S1_BANDS, S2_BANDS
from geocr.core.errors import InputError
from geocr.core.fields import require_fields
from geocr.grid.spec import TileSpec
from geocr.radiometry.normalize import Normalizer, SarNetworkUnits

Level: TypeAlias = Literal["L1C", "L2A"]
"""Top of atmosphere, or corrected to the ground: weights trained on one are shifted on the other."""
ChannelOrder: TypeAlias = Literal["sar_first", "optical_first"]
"""Which modality leads where both are stacked on the channel axis."""
OpticalUnits: TypeAlias = Literal["reflectance", "display"]
"""What the optical bands were in training: reflectance, or the values of an 8-bit picture, 0 to 255."""
TrainedRadiometry: TypeAlias = Literal["sigma0", "gamma0", "unknown"]
"""Backscatter of the training data: per unit of ground, per unit of area facing the radar, or nobody knows."""
OffsetConvention: TypeAlias = Literal["applied", "left_in"]
"""Reflectances of the training data: DN times scale plus the product's add-offset (products before baseline 04.00 have none), or DN over 10,000
of later products as they are, which is 0.1 too high."""
BASELINE_OFFSET = 0.1
"""What is left in reflectances from products of baseline 04.00 and later whose add-offset (-1000 of 10,000) was not applied."""
TRAINING_FACTS = ("sar_radiometry", "optical_offset")
"""Fields of a spec that training decides, and no argument of a model."""
DATE_EPOCH = date(2014, 4, 3)
"""Day 0 of the dates that a model reads: the launch of Sentinel-1A, as in UnCRtainTS (Ebel et al., 2023)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """The contract of one configured model. Stored in its checkpoint as JSON."""

    optical_in: tuple[str, ...]
    """Canonical Sentinel-2 bands of the input, in the model's order; `()` for a model that sees only Sentinel-1."""
    optical_out: tuple[str, ...]
    """Canonical Sentinel-2 bands it predicts, in the model's order."""
    sar_bands: tuple[str, ...]
    """Polarisations in the model's order; `()` for a model without Sentinel-1."""
    level: Level
    """Processing level of the reflectances it was trained on."""
    sar_units: SarNetworkUnits
    """Units of the backscatter it was trained on, before normalisation."""
    optical_units: OpticalUnits = "reflectance"
    """Units of the optical bands, in and out, before normalisation."""
    channel_order: ChannelOrder
    """Order on the channel axis of stacked inputs."""
    multi_temporal: bool
    """Whether it takes several dates; others take exactly one."""
    needs_mask: bool
    """Whether it reads the cloud mask."""
    needs_dates: bool = False
    """Whether it reads the days of its dates."""
    has_std: bool
    """Whether it predicts a variance."""
    size_multiple_px: int
    """Sides it computes on are multiples of this (its stride); other sizes are padded inside."""
    min_size_px: int
    """Least side it computes on; smaller tiles are padded inside. A multiple of `size_multiple_px`."""
    tile_px: int
    """Recommended side of a tile."""
    overlap_px: int
    """Recommended blending between tiles; 0 where the halo already makes a result independent of its tile."""
    receptive_radius_px: int | None
    """Greatest distance, on either axis, at which an input pixel changes an output pixel; None when the whole tile does."""
    normalizer: Normalizer
    """Units of the scene to units of the network and back."""
    sar_radiometry: TrainedRadiometry = "unknown"
    """Radiometry of the backscatter it was trained on. A fact of its training: no argument of a model decides it, as the next."""
    optical_offset: OffsetConvention = "applied"
    """Convention of the reflectances it was trained on."""

    def __post_init__(self) -> None:
        """Refuse contracts that no scene could meet."""
        _check_bands("optical_in", self.optical_in, tuple(S2_BANDS), may_be_empty=True)
        _check_bands("optical_out", self.optical_out, tuple(S2_BANDS))
        _check_bands("sar_bands", self.sar_bands, S1_BANDS, may_be_empty=True)
        if not (self.optical_in or self.sar_bands):
            raise InputError("a model must see at least one band, got optical_in=() and sar_bands=()")
        for name, value, choices in (
            ("level", self.level, get_args(Level)),
            ("sar_units", self.sar_units, get_args(SarNetworkUnits)),
            ("optical_units", self.optical_units, get_args(OpticalUnits)),
            ("channel_order", self.channel_order, get_args(ChannelOrder)),
            ("sar_radiometry", self.sar_radiometry, get_args(TrainedRadiometry)),
            ("optical_offset", self.optical_offset, get_args(OffsetConvention)),
        ):
            if value not in choices:
                raise InputError(f"{name} of a model must be one of {', '.join(choices)}, got {value!r}")
        if self.level == "L2A" and "B10" in (*self.optical_in, *self.optical_out):
            raise InputError("Level-2A has no B10 (cirrus): a model with B10 must have level L1C, got level='L2A'")
        if len(self.normalizer.sar_clip) != len(self.sar_bands):
            raise InputError(
                f"the normaliser must clip each Sentinel-1 band of its model: {len(self.normalizer.sar_clip)} ranges, bands {self.sar_bands}"
            )
        if self.optical_units == "display" and self.optical_offset != "applied":
            raise InputError("pictures have no add-offset: a model with optical_units='display' must have optical_offset='applied'")
        self._check_sizes()

    def _check_sizes(self) -> None:
        if self.size_multiple_px < 1 or self.min_size_px % self.size_multiple_px or self.min_size_px < self.size_multiple_px:
            raise InputError(
                f"the least size must be a positive multiple of the size multiple, got {self.min_size_px}, {self.size_multiple_px}"
            )
        if self.tile_px % self.size_multiple_px or self.tile_px < self.min_size_px:
            raise InputError(
                f"the recommended tile must be a multiple of {self.size_multiple_px} and at least {self.min_size_px}, got {self.tile_px}"
            )
        if self.receptive_radius_px is not None and self.receptive_radius_px < 0:
            raise InputError(f"a receptive radius is at least 0, or None for the whole tile, got {self.receptive_radius_px}")
        self.tile_spec()

    @property
    def reflectance_normalizer(self) -> Normalizer:
        """Reflectance with its add-offset applied, as scenes are read, to units of the network and back."""
        return self.normalizer if self.optical_offset == "applied" else self.normalizer.of_optical(1.0, BASELINE_OFFSET)

    @property
    def halo_px(self) -> int:
        """Margin behind which a pixel no longer depends on its tile: the radius, rounded up to the size multiple.

        0 for a model that sees the whole tile: no margin would do.
        """
        return -(-(self.receptive_radius_px or 0) // self.size_multiple_px) * self.size_multiple_px

    def padded_px(self, side_px: int) -> int:
        """The side, at least `side_px`, that the model computes on."""
        return max(self.min_size_px, -(-side_px // self.size_multiple_px) * self.size_multiple_px)

    def tile_spec(self, *, size_px: int | None = None, overlap_px: int | None = None, halo_px: int | None = None) -> TileSpec:
        """The windows this model wants, with its own recommendations where an argument is None.

        Raises:
            InputError: When such tiles cannot advance, or break the model's size multiple.
        """
        size = self.tile_px if size_px is None else size_px
        if size % self.size_multiple_px or size < self.min_size_px:
            raise InputError(
                f"a tile of this model must be a multiple of {self.size_multiple_px} and at least {self.min_size_px}, got {size}"
            )
        return TileSpec(
            size_px=size,
            overlap_px=self.overlap_px if overlap_px is None else overlap_px,
            halo_px=self.halo_px if halo_px is None else halo_px,
            # on the model's grid a tile agrees with its neighbours to the last bit; one that sees its whole tile never
            # does, and rather keeps every tile at the size it was trained on
            align_px=1 if self.receptive_radius_px is None else self.size_multiple_px,
        )

    def to_dict(self) -> dict[str, Any]:
        """Its fields as JSON keeps them, the normaliser among them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Rebuild what `to_dict` gave, after any number of JSON round trips.

        A spec that was stored before `TRAINING_FACTS` were known is read without them.

        Raises:
            InputError: When keys are missing or unknown, or a value is not allowed.
        """
        if isinstance(stored, Mapping) and not set(TRAINING_FACTS) & stored.keys():
            stored = {**stored, "sar_radiometry": "unknown", "optical_offset": "applied"}
        require_fields(cls, stored)
        bands = {name: tuple(stored[name]) for name in ("optical_in", "optical_out", "sar_bands")}
        return cls(**{**stored, **bands, "normalizer": Normalizer.from_dict(stored["normalizer"])})


def _check_bands(name: str, bands: tuple[str, ...], known: tuple[str, ...], *, may_be_empty: bool = False) -> None:
    if not set(bands) <= set(known) or len(set(bands)) != len(bands) or not (bands or may_be_empty):
        raise InputError(f"{name} of a model must be among {', '.join(known)}, each once, got {bands}")
