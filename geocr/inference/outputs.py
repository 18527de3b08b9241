"""Where a run's files go, and that nothing there is lost."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from geocr.core.errors import InputError, OutputExistsError, OutputWriteError


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPaths:
    """Final names of the products of one scene."""

    scene: Path
    provenance: Path
    std: Path
    quicklook: Path

    @classmethod
    def beside(cls, scene: Path) -> "OutputPaths":
        """All names, derived from the cloud-free scene's."""
        stem = scene.with_suffix("")
        return cls(
            scene=scene,
            provenance=stem.with_name(f"{stem.name}_provenance.tif"),
            std=stem.with_name(f"{stem.name}_std.tif"),
            quicklook=stem.with_name(f"{stem.name}_quicklook.png"),
        )

    @property
    def scratch(self) -> Path:
        """Folder of unfinished work: on the same disk, so that finishing is a rename."""
        return self.scene.with_name(f".{self.scene.name}.geocr")


def default_output(s2: str) -> Path:
    """`<s2 stem>_cloudfree.tif` beside the input, or in the working directory when that folder is read-only."""
    source = Path(s2.rsplit("/", 1)[-1] if "://" in s2 else s2)
    name = f"{source.stem}_cloudfree.tif"
    folder = Path.cwd() if "://" in s2 else source.absolute().parent
    return (folder if os.access(folder, os.W_OK) else Path.cwd()) / name


def require_writable(paths: OutputPaths, *, wanted: list[Path], inputs: list[str], overwrite: bool) -> None:
    """Raise unless every wanted file may be written.

    Raises:
        InputError: When an output is one of the inputs, is a folder, or is no .tif.
        OutputExistsError: When one exists and may not be overwritten.
        OutputWriteError: When the folder is missing or read-only.
    """
    if paths.scene.suffix.lower() not in (".tif", ".tiff"):
        raise InputError(f"the output is a GeoTIFF and ends in .tif, got {paths.scene}")
    sources = {Path(path).resolve() for path in inputs if "://" not in path}
    for path in wanted:
        if path.resolve() in sources:
            raise InputError(f"an output may not be one of the inputs, got {path}; choose another name with -o")
        if path.is_dir():
            raise InputError(f"an output must be a file, and {path} is a folder; choose another name with -o")
        if path.exists() and not overwrite:
            raise OutputExistsError(
                f"outputs are never overwritten unasked, and {path} exists; add --overwrite, or choose another name with -o"
            )
    folder = paths.scene.absolute().parent
    if not folder.is_dir():
        raise OutputWriteError(f"the output's folder must exist, and {folder} does not; make it, or choose another with -o")
    if not os.access(folder, os.W_OK):
        raise OutputWriteError(f"the output's folder must be writable, and {folder} is not; choose another with -o")


def require_space(paths: OutputPaths, needed_bytes: int) -> None:
    """Raise when the disk cannot hold the run even if pixels compress to a quarter of their size.

    Raises:
        OutputWriteError: With what is needed and what is free.
    """
    free = shutil.disk_usage(paths.scene.absolute().parent).free
    least = needed_bytes // 4
    if free < least:
        raise OutputWriteError(
            f"the output's disk must have room for the run: {paths.scene.absolute().parent} has {free / 2**30:.2f} GiB free, "
            f"{least / 2**30:.2f} to {needed_bytes / 2**30:.2f} GiB are needed; free space or choose another folder with -o"
        )
