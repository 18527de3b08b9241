"""The classes of a provenance raster, as the raster itself names and colours them."""

from collections.abc import Sequence
from dataclasses import dataclass

from rasterio.io import DatasetReader

from geocr.core.errors import InputError

_TAG = "PROVENANCE_"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenanceClass:
    """One value of a provenance raster."""

    value: int
    """0 is nodata."""
    name: str
    """In words, for example `reconstructed with SAR`."""
    colour: tuple[int, int, int]
    """Red, green, blue."""

    @property
    def replaced(self) -> bool:
        """Whether the pixel is another than the input's."""
        return self.value != 0 and self.name != "observed"

    @property
    def reconstructed(self) -> bool:
        """Whether the pixel is an estimate, and no observation of any date."""
        return self.name.startswith("reconstructed")

    @property
    def hex_colour(self) -> str:
        """`#rrggbb`."""
        return "#{:02x}{:02x}{:02x}".format(*self.colour)


def provenance_classes(dataset: DatasetReader) -> tuple[ProvenanceClass, ...]:
    """Classes by value.

    Raises:
        InputError: When the raster does not name its classes.
    """
    tags = dataset.tags()
    values = sorted(int(key.removeprefix(_TAG)) for key in tags if key.startswith(_TAG) and key.removeprefix(_TAG).isdigit())
    if not values:
        raise InputError(f"a provenance raster names its classes in tags {_TAG}0, {_TAG}1 ...; {dataset.name} has none; make it again")
    table = dataset.colormap(1)
    return tuple(
        ProvenanceClass(value=value, name=tags[f"{_TAG}{value}"], colour=tuple(table.get(value, (0, 0, 0, 255))[:3])) for value in values
    )


def values_of(classes: Sequence[ProvenanceClass], *, replaced: bool) -> list[int]:
    """Values of the classes that are replaced, or of those that are observed; nodata is neither."""
    return [kind.value for kind in classes if kind.value != 0 and kind.replaced == replaced]
