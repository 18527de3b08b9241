"""`geocr doctor`: is this machine ready?"""

from typing import Any

import typer

from geocr.cli._render import AsJson, Verbose, print_facts, print_json


def command(as_json: AsJson = False, verbose: Verbose = False) -> None:
    """Show versions, GDAL drivers and devices, and what is missing.

    Exit code 0 when predict-scene can run, else 2.
    """
    import os
    import platform
    import shutil
    from importlib.metadata import PackageNotFoundError, version
    from pathlib import Path

    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    drivers, compressions, gdal = _gdal()
    missing = [f"package {name}: pip install {name}" for name, found in versions.items() if found is None]
    missing += [f"GDAL driver {name}: reinstall rasterio from PyPI" for name in _NEEDED_DRIVERS if name not in drivers]
    missing += [] if "ZSTD" in compressions else ["ZSTD in GDAL's GeoTIFF driver: reinstall rasterio from PyPI"]
    optional = [name for name in _OPTIONAL_DRIVERS if name not in drivers]
    versions["gdal"] = gdal
    facts: dict[str, Any] = {
        "versions": versions,
        "cores": os.cpu_count(),
        "free_disk_gib": round(shutil.disk_usage(Path.cwd()).free / 2**30, 1),
        "gpu": _gpu(),
        "missing": missing,
        "missing_optional_drivers": optional,
    }
    if as_json:
        print_json(facts)
    else:
        print_facts("versions", [(name, found or "missing") for name, found in versions.items()])
        print_facts(
            "machine",
            [
                ("cores", str(facts["cores"])),
                ("free disk here", f"{facts['free_disk_gib']} GiB"),
                ("GPU", str(facts["gpu"] or "none (the CPU is used)")),
                ("GDAL drivers", ", ".join(name for name in (*_NEEDED_DRIVERS, *_OPTIONAL_DRIVERS) if name in drivers)),
                ("missing", "; ".join(missing) or "nothing"),
                ("optional, missing", "; ".join(optional) or "nothing"),
            ],
        )
    if missing:
        raise typer.Exit(2)


_PACKAGES = (
    "geocr", "torch", "torchgeo", "rasterio", "rioxarray", "xarray", "dask", "distributed", "shapely", "typer", "numpy", "scipy",
    "s2cloudless", "safetensors", "rio-cogeo",
)  # fmt: skip
_NEEDED_DRIVERS = ("GTiff", "VRT")
_OPTIONAL_DRIVERS = ("JP2OpenJPEG", "netCDF", "Zarr")


def _gdal() -> tuple[set[str], set[str], str | None]:
    """Drivers, GeoTIFF compressions and version of GDAL; empty when rasterio does not import."""
    try:
        import rasterio
        from rasterio.drivers import raster_driver_extensions
        from rasterio.env import Env
    except ImportError:
        return set(), set(), None
    with Env() as env:
        drivers = set(env.drivers()) | set(raster_driver_extensions().values())
    return drivers, _compressions(), rasterio.__gdal_version__


def _compressions() -> set[str]:
    """Which GeoTIFF compressions write here, found by writing."""
    import numpy as np
    import rasterio
    from rasterio.errors import RasterioError
    from rasterio.io import MemoryFile

    works = set()
    for name in ("ZSTD", "DEFLATE"):
        try:
            with MemoryFile() as memory, memory.open(driver="GTiff", width=1, height=1, count=1, dtype="uint8", crs="EPSG:32633",
                                                     transform=rasterio.Affine(10, 0, 0, 0, -10, 0), compress=name) as dataset:  # fmt: skip
                dataset.write(np.ones((1, 1, 1), np.uint8))
            works.add(name)
        except RasterioError:
            continue
    return works


def _gpu() -> str | None:
    try:
        import torch
    except ImportError:
        return None
    return str(torch.cuda.get_device_name(0)) if torch.cuda.is_available() else None
