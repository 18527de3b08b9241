"""What a run says of itself: tags in its products, a fingerprint for its manifest, a summary for its user."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from geocr._version import __version__
from geocr.clouds.selection import mask_files, method_without_folders, without_folders
from geocr.inference.parts import Manifest
from geocr.inference.prepare import PreparedScene
from geocr.inference.products import Provenance, days_spec, mask_spec, provenance_spec, scene_spec, std_spec
from geocr.inference.reconstructor import Reconstructor
from geocr.inference.sar_record import sar_account, sar_names
from geocr.io.part import PART_FORMAT
from geocr.io.remote import is_remote, remote_facts
from geocr.io.scene import Scene
from geocr.io.spec import RasterSpec


def product_specs(prepared: PreparedScene, reconstructor: Reconstructor | None) -> dict[str, RasterSpec]:
    """The rasters of a run, with the tags that tell how they were made."""
    scene = prepared.tiles.scene
    tags = run_tags(prepared, reconstructor)
    specs = {
        "scene": scene_spec(scene, _input_tags(scene) | tags),
        "provenance": provenance_spec(scene, tags, with_days=prepared.plan.with_days),
    }
    if prepared.plan.with_days:
        specs["source_days"] = days_spec(scene, tags)
    if prepared.config.uncertainty:
        specs["std"] = std_spec(scene, tags)
    if prepared.config.save_mask:
        specs["mask"] = mask_spec(scene, tags)
    return specs


def _input_tags(scene: Scene) -> dict[str, str]:
    """The input's own tags: its convention (baseline, dates, angles) is the output's too."""
    return {key: value for key, value in scene.optical.handle.tags().items() if not key.startswith(("STATISTICS_", "OVR_"))}


def run_tags(prepared: PreparedScene, reconstructor: Reconstructor | None) -> dict[str, str]:
    """Method, version, inputs and parameters, as every product carries them."""
    scene = prepared.tiles.scene
    facts = reconstructor.describe() if reconstructor is not None else {"name": "copy"}
    return {
        "GEOCR_VERSION": __version__,
        "GEOCR_METHOD": json.dumps(facts, sort_keys=True),
        "GEOCR_INPUT_S2": _optical_name(scene),
        "GEOCR_INPUT_S1": sar_names(scene),
        **_sar_tags(prepared),
        "GEOCR_CLOUD_MASK": json.dumps(_without_folders(prepared.mask.describe()), sort_keys=True),
        "GEOCR_SCALE": json.dumps({"scale": scene.scale.scale, "offset": scene.scale.offset}),
        "GEOCR_PARAMETERS": json.dumps(
            _without_folders(prepared.config.model_dump(mode="json", exclude_none=True, exclude={"max_memory", "references"}))
            | {"cloud_mask": method_without_folders(prepared.config.cloud_mask)},
            sort_keys=True,
        ),
        "ATTRIBUTION": attribution(scene),
    } | _reference_tags(prepared)


def _sar_tags(prepared: PreparedScene) -> dict[str, str]:
    account = sar_account(prepared.tiles.scene, prepared.shift)
    return {"GEOCR_S1": json.dumps(account, sort_keys=True)} if account else {}


def _optical_name(scene: Scene) -> str:
    """The name of a product of several files, else that of the file."""
    product = scene.optical_facts.product if scene.optical_facts.files else None
    return product or Path(scene.optical.path).name


def _reference_tags(prepared: PreparedScene) -> dict[str, str]:
    """Which other dates were read, and how far away they are; nothing in a run without."""
    others = prepared.tiles.others
    dates = [
        {"name": other.name, "days": other.days, "mask": _without_folders(other.facts)}
        | ({"s1": sar_names(other.scene)} if other.scene.sar is not None else {})
        for other in others
    ]
    return {"GEOCR_REFERENCES": json.dumps(dates, sort_keys=True)} if others else {}


def _without_folders(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Paths and URLs cut to their names: where files lay on one machine says nothing on another, and equal runs give equal bytes."""
    return {key: without_folders(value) if isinstance(value, str) else value for key, value in facts.items()}


def attribution(scene: Scene) -> str:
    """The notice that Copernicus asks for.

    The year is that of the data where tags or a file name tell it, else of the processing. A notice that the input carries (a simulated
    scene says that it is none of Sentinel's) is kept.
    """
    tags = scene.optical.handle.tags()
    if tags.get("ATTRIBUTION"):
        return str(tags["ATTRIBUTION"])
    dated = [tags.get(key, "") for key in ("PRODUCT_START_TIME", "DATATAKE_1_DATATAKE_SENSING_START", "datetime", "TIFFTAG_DATETIME")]
    names = [scene.optical_facts.product or Path(scene.optical.path).name, sar_names(scene)]
    for text in (*dated, *names):
        match = re.search(r"(?<!\d)(20[1-9]\d)(?:[-:_]?[01]\d[-:_]?[0-3]\d)", text)
        if match:
            return f"Contains modified Copernicus Sentinel data [{match.group(1)}]"
    return f"Contains modified Copernicus Sentinel data [{datetime.now(UTC).year}]"


def fingerprint_of(prepared: PreparedScene) -> str:
    """Hash of all that decides the output's bytes: inputs, method, settings, mask, plan and version."""
    facts = {
        "version": __version__,
        "part_format": PART_FORMAT,
        "inputs": [_file_facts(path) for path in files_read(prepared)],
        "method": prepared.method.identity(),
        "mask": prepared.mask.describe(),
        "config": prepared.config.model_dump(mode="json", exclude={"max_memory"}),
        "plan": prepared.plan.fingerprint(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def files_read(prepared: PreparedScene) -> list[str]:
    """Every file, URL or name of GDAL's own that a run reads pixels or polygons from, also those behind products, items and lists."""
    scene, masks = prepared.tiles.scene, prepared.mask.source.split("+")
    inputs = [*_files_of(scene), prepared.config.scl, *mask_files(prepared.config.cloud_mask), prepared.config.aoi]
    inputs += [scene.optical_facts.scl] * ("scl" in masks) + [scene.optical_facts.cloud_probability] * ("cldprb" in masks)
    inputs += [path for other in prepared.tiles.others for path in _files_of(other.scene)]
    return [path for path in inputs if path]


def _files_of(scene: Scene) -> list[str]:
    radar = [] if scene.sar is None else list(scene.sar_facts.files or (scene.sar.path,))
    return [scene.optical.path, *scene.optical_facts.files, *radar]


def _file_facts(path: str) -> list[str | int]:
    """Path, size and time of change of a file; of a URL also its ETag; the path alone of anything else (WKT, GDAL's own names)."""
    if is_remote(path):
        return [path.partition("?")[0], *remote_facts(path)]  # signatures in a query change from hour to hour, the file does not
    try:
        status = Path(path).stat()
    except OSError:
        return [path]
    return [path, status.st_size, status.st_mtime_ns]


def _dates(prepared: PreparedScene, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each other date with how it was matched; empty where none is read."""
    others = prepared.tiles.others
    matched = facts.get("dates") or [{} for _ in others]
    return [{"name": other.name, "days": other.days, **match} for other, match in zip(others, matched, strict=True)]


def summarise(
    prepared: PreparedScene, reconstructor: Reconstructor | None, manifest: Manifest, *, computed: int, seconds: float
) -> dict[str, Any]:
    """JSON-able: cloud share, pixels by provenance, expected error, tiles, damage, time."""
    pixels = manifest.pixels()
    by_class = {kind.name.lower(): pixels.get(str(kind.value), 0) for kind in Provenance}
    facts = reconstructor.describe() if reconstructor is not None else {"name": "copy"}
    return {
        "method": facts["name"],
        "bands": list(prepared.tiles.scene.written),
        "cloud_mask": prepared.mask.source,
        "cloud_share": prepared.survey.cloud_share,
        "sar_share": prepared.survey.sar_share,
        "sar": sar_account(prepared.tiles.scene, prepared.shift),
        "pixels": by_class,
        "dates": _dates(prepared, facts),
        "expected_error": facts.get("error"),
        "seam_ratio": manifest.seam().ratio,
        "tiles": len(prepared.plan.lattice),
        "tiles_computed": computed,
        "damaged_blocks": manifest.damage(),
        "seconds": round(seconds, 2),
        "notes": list(prepared.notes),
    }
