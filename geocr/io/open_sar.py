"""Open Sentinel-1: one image or several, on the grid of a scene."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from geocr.core.errors import BandError, GeoreferenceError, NoOverlapError, UnitsError
from geocr.io.damage import OnError
from geocr.io.facts import SarFacts
from geocr.io.grid import SceneGrid
from geocr.io.sar import SarReader
from geocr.io.sar_choice import in_order, notes_on, short_name, with_gap, within
from geocr.io.sar_image import SarImage, open_image
from geocr.io.sar_mosaic import SarMosaic
from geocr.io.sar_options import SarOptions
from geocr.io.sar_products import find_sources
from geocr.io.sar_source import SarSource
from geocr.radiometry.sar import SarUnits


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenedSar:
    """Sentinel-1 of a scene."""

    reader: SarReader | SarMosaic
    """Reads backscatter on the scene's grid."""
    bands: tuple[str, ...]
    """Polarisations in the order read."""
    facts: SarFacts
    """What is known of it; of a mosaic the time of its first image, what all of them share, and what is known of each."""
    notes: tuple[str, ...]
    """What was decided, a sentence each."""


def open_sar(path: str, *, units: SarUnits | None = None) -> tuple[SarReader, tuple[str, ...], tuple[str, ...]]:
    """Open one Sentinel-1 raster by itself, on its own grid.

    Args:
        path: Raster with VV and VH, or one of them; or a pair of files as `find_sources` takes it.
        units: What it holds; told from its values when None.

    Returns:
        The reader, the polarisations in the order it reads them, and what was decided, a sentence each.

    Raises:
        RasterNotFoundError: When the file is missing.
        RasterReadError: When it is no raster or is truncated.
        GeoreferenceError: When it has no CRS.
        BandError: When its bands cannot be named.
        UnitsError: When its units cannot be told.
    """
    image = open_image(find_sources(path)[0], None, SarOptions(units=units, border_noise="keep"), "stop")
    return image.reader, image.bands, image.notes


def open_sar_on(
    s1: str, grid: SceneGrid, options: SarOptions, *, optical_time: datetime | None = None, on_error: OnError = "stop"
) -> OpenedSar:
    """Open Sentinel-1 on the grid of a scene; several images become a mosaic.

    Args:
        s1: What `find_sources` takes: rasters, pairs, products, STAC items, separated by commas.
        grid: The scene's grid.
        options: What the user says of them.
        optical_time: When the Sentinel-2 image was taken; None when unknown.
        on_error: What becomes of blocks that do not decode.

    Raises:
        GeoreferenceError: When no image overlaps the scene, or one has no usable georeference.
        InputError: When no image lies within `max_days`.
        BandError: When images differ in polarisations, or bands cannot be named.
        UnitsError: When images differ in radiometry, or units cannot be told.
        GeocrError: Those of reading files and STAC items.
    """
    images, notes = _overlapping(find_sources(s1), grid, options, on_error)
    images, far = within([with_gap(image, optical_time) for image in images], options.max_days)
    _require_alike(images)
    images = in_order(images)
    first = images[0]
    said = dict.fromkeys(note for image in images for note in image.notes)
    notes = [*said, *notes, *far, *notes_on(images, optical_time)]
    if len(images) == 1:
        return OpenedSar(reader=first.reader, bands=first.bands, facts=first.facts, notes=tuple(notes))
    reader = SarMosaic([image.reader for image in images])
    return OpenedSar(reader=reader, bands=first.bands, facts=_facts_of_all(images), notes=tuple(notes))


def _facts_of_all(images: Sequence[SarImage]) -> SarFacts:
    """Facts of a mosaic: those of its first image, less what the others do not share."""
    all_facts = tuple(image.facts for image in images)
    first = all_facts[0]
    return replace(
        first,
        radiometry=first.radiometry if {facts.radiometry for facts in all_facts} == {first.radiometry} else None,
        orbit=first.orbit if {facts.orbit for facts in all_facts} == {first.orbit} else None,
        relative_orbit=first.relative_orbit if {facts.relative_orbit for facts in all_facts} == {first.relative_orbit} else None,
        products=tuple(image.facts.product or short_name(image.name) for image in images),
        images=all_facts,
        files=tuple(file for image in images for file in image.facts.files or (image.reader.path,)),
    )


def _overlapping(sources: Sequence[SarSource], grid: SceneGrid, options: SarOptions, on_error: OnError) -> tuple[list[SarImage], list[str]]:
    """Images over the scene; of several, those elsewhere are left out and named. A single one elsewhere is refused."""
    images, elsewhere = [], []
    for source in sources:
        try:
            images.append(open_image(source, grid, options, on_error))
        except NoOverlapError as error:
            if len(sources) == 1:
                raise
            elsewhere.append((source, error))
    if not images:
        raise elsewhere[0][1]
    names = ", ".join(short_name(source.name) for source, _ in elsewhere)
    return images, [f"Left out, since they do not overlap the scene: {names}."] if names else []


def _require_alike(images: Sequence[SarImage]) -> None:
    first = images[0]
    for other in images[1:]:
        if other.bands != first.bands:
            raise BandError(
                f"the images of a Sentinel-1 mosaic hold the same polarisations; {short_name(first.name)} has {', '.join(first.bands)} and "
                f"{short_name(other.name)} {', '.join(other.bands)}; leave one out"
            )
        if (other.reader.units == "display") != (first.reader.units == "display"):
            raise UnitsError(
                f"the images of a Sentinel-1 mosaic are all backscatter or all pictures; {short_name(first.name)} and {short_name(other.name)} differ; leave one out"
            )
        if other.reader.by_gcps != first.reader.by_gcps:
            raise GeoreferenceError(
                f"terrain-corrected images and images in radar geometry make no mosaic: their backscatter is not on one scale; got both with "
                f"{short_name(first.name)} and {short_name(other.name)}; leave one out"
            )
    known = {image.facts.radiometry for image in images if image.facts.radiometry}
    if len(known) > 1:
        named = ", ".join(f"{short_name(image.name)} {image.facts.radiometry or 'unknown'}" for image in images)
        raise UnitsError(
            f"the images of a Sentinel-1 mosaic share one radiometry; got {named}; take images of one, or --s1-radiometry if the names are wrong"
        )
