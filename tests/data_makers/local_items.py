"""STAC items of the real scenes whose assets lie beside them: the items as published point to a bucket."""

import json
from pathlib import Path

ASSETS = {"blue": "B02", "green": "B03", "red": "B04", "nir": "B08", "scl": "SCL"}
"""Assets of the items and the stems of the files that are there."""


def write_local_item(source: Path, folder: Path) -> str:
    """Copy the item of a scene's folder, with the assets that are there and where they are; returns its path."""
    item = json.loads((source / f"{source.name}.json").read_text())
    assets = {name: asset for name, asset in item["assets"].items() if name in ASSETS}
    for name, asset in assets.items():
        asset["href"] = str((source / f"{ASSETS[name]}.tif").absolute())
        for field in ("proj:shape", "proj:transform"):
            asset.pop(field, None)
    item["assets"] = assets
    path = folder / f"{source.name}.json"
    path.write_text(json.dumps(item))
    return str(path)
