"""The STAC item of a run: what was made, of what, when it was seen and how it was processed."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from geocr._version import __version__
from geocr.catalog.items import ItemAsset, ItemLink, ItemTime, SceneItem
from geocr.catalog.places import relative_href
from geocr.core.errors import GeocrError
from geocr.inference.acquired import acquisition_date
from geocr.inference.outputs import OutputPaths
from geocr.inference.prepare import PreparedScene
from geocr.inference.record import attribution
from geocr.io.remote import is_remote, remote_change
from geocr.io.spec import RasterSpec
from geocr.io.whole import write_json

_ASSETS = {
    "scene": ("Cloud-free scene", ("data", "reflectance")),
    "provenance": ("Whether each pixel was observed or reconstructed, and from what", ("metadata", "provenance")),
    "std": ("One standard deviation of reflectance; 0 where observed", ("metadata", "uncertainty")),
    "mask": ("Cloud mask that was used: 1 is cloud or shadow", ("metadata", "cloud")),
    "source_days": ("Days between the scene and the date that a pixel was taken from", ("metadata",)),
}
"""Title and roles of a run's products by name; others are data without a title of their own."""
_EXTRAS = {"quicklook": ("Before, after and provenance", ("overview",)), "report": ("Report of the run", ("metadata",))}
"""Title and roles of files that may stand beside the products."""
_PLATFORM = re.compile(r"(?<![A-Za-z0-9])S2([A-D])(?![A-Za-z0-9])")


def write_item(
    prepared: PreparedScene,
    specs: Mapping[str, RasterSpec],
    paths: OutputPaths,
    summary: Mapping[str, Any],
    *,
    inputs: Mapping[str, str],
    collection: Path | str | None = None,
    drawn: Mapping[str, Path] | None = None,
) -> None:
    """Write `<out>.json` beside the finished products, whole or not at all; what goes to an object store takes it along.

    Args:
        prepared: The run.
        specs: Its products by name.
        paths: Where they are.
        summary: What the run tells of itself.
        inputs: `s2` and, if there is one, `s1`, as the user named them; several are separated by commas.
        collection: The collection file that will list the item, if any.
        drawn: Files that this run made and that are no products, by name; those in the products' folder are assets.

    Raises:
        OutputWriteError: When it cannot be written.
    """
    place = paths.published(paths.item)
    scene = prepared.tiles.scene
    item = SceneItem(
        id=paths.scene.stem,
        grid=scene.grid,
        time=item_time(prepared, inputs["s2"]),
        assets=_assets(specs, paths, drawn or {}),
        properties=_properties(prepared, summary, inputs),
        links=(*_origins(inputs, place), *_membership(collection, place)),
        collection=collection_id(collection) if collection is not None else None,
    )
    write_json(paths.item, item.as_json())


def collection_id(place: Path | str) -> str:
    """Id of a collection: the name of its folder."""
    folder = str(place).rpartition("/")[0] if is_remote(str(place)) else str(Path(place).absolute().parent)
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.rsplit("/", 1)[-1]).strip("-") or "geocr"


def item_place(out: Path | str) -> Path | str:
    """Where the item of a result is, by the result's own place."""
    stem = str(out).rpartition(".")[0]
    return f"{stem}.json" if is_remote(str(out)) else Path(f"{stem}.json")


def item_time(prepared: PreparedScene, s2: str) -> ItemTime:
    """Sensing time by the product's metadata, else noon UTC of the day that tags or the file's name tell, else a range.

    Sentinel-2 passes at about 10:30 local solar time; a day alone has no time, and its middle is at most half a day off.
    """
    scene = prepared.tiles.scene
    if scene.optical_facts.acquired is not None:
        return ItemTime(acquired=scene.optical_facts.acquired)
    tag = scene.optical.handle.tags().get("PRODUCT_START_TIME", "") or scene.optical.handle.tags().get("datetime", "")
    try:
        return ItemTime(acquired=datetime.fromisoformat(tag))
    except ValueError:
        pass
    day = acquisition_date(scene)
    if day is not None:
        return ItemTime(acquired=datetime(day.year, day.month, day.day, 12, tzinfo=UTC))
    if is_remote(s2):
        return ItemTime(acquired=None, before=remote_change(s2))
    try:
        return ItemTime(acquired=None, before=datetime.fromtimestamp(int(Path(s2).stat().st_mtime), UTC))
    except OSError:
        return ItemTime(acquired=None)


def _assets(specs: Mapping[str, RasterSpec], paths: OutputPaths, drawn: Mapping[str, Path]) -> dict[str, ItemAsset]:
    """Products of the run, and what its command drew beside them."""
    assets = {}
    for name, spec in specs.items():
        title, roles = _ASSETS.get(name, (name.replace("_", " "), ("data",)))
        assets[name] = ItemAsset(href=f"./{getattr(paths, name).name}", title=title, roles=roles, spec=spec)
    for name, (title, roles) in _EXTRAS.items():
        path = drawn.get(name)
        if path is not None and path.absolute().parent == paths.scene.absolute().parent:
            assets[name] = ItemAsset(href=f"./{path.name}", title=title, roles=roles)
    return assets


def _properties(prepared: PreparedScene, summary: Mapping[str, Any], inputs: Mapping[str, str]) -> dict[str, Any]:
    scene = prepared.tiles.scene
    pixels: Mapping[str, int] = summary["pixels"]
    valid = sum(count for name, count in pixels.items() if name != "nodata")
    rebuilt = sum(count for name, count in pixels.items() if name.startswith("reconstructed"))
    facts = scene.optical_facts
    platform = _PLATFORM.search(facts.product or Path(inputs["s2"]).name)
    return {
        "platform": f"sentinel-2{platform.group(1).lower()}" if platform else None,
        "constellation": "sentinel-2" if platform else None,
        "instruments": ["msi"] if platform else None,
        "processing:level": facts.level,
        "processing:software": {"geocr": __version__},
        "processing:lineage": f"clouds found by {summary['cloud_mask']} and replaced by {summary['method']} (geocr {__version__})",
        "geocr:method": summary["method"],
        "geocr:cloud_mask": summary["cloud_mask"],
        "geocr:cloud_share": summary["cloud_share"],
        "geocr:reconstructed_share": rebuilt / valid if valid else 0.0,
        "geocr:sar_share": summary["sar_share"],
        "geocr:pixels": dict(pixels),
        "geocr:inputs": {name: [Path(part).name for part in text.split(",")] for name, text in inputs.items()},
        "geocr:attribution": attribution(scene),
    }


def _origins(inputs: Mapping[str, str], place: Path | str) -> Iterator[ItemLink]:
    """A link to each input that a reader of the item can follow."""
    for name, text in inputs.items():
        for part in text.split(","):
            href = relative_href(part, place) if is_remote(part) or Path(part).exists() else None
            if href is not None:
                yield ItemLink(rel="derived_from", href=href, title={"s1": "Sentinel-1 input", "s2": "Sentinel-2 input"}.get(name))


def _membership(collection: Path | str | None, place: Path | str) -> Iterator[ItemLink]:
    if collection is None:
        return
    href = relative_href(collection, place)
    if href is None:
        raise GeocrError(f"a collection lies where its items can lead to it; {collection} is not reached from {place}")
    for rel in ("root", "parent", "collection"):
        yield ItemLink(rel=rel, href=href, type="application/json")
