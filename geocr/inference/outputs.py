"""Where a run's files go, and that nothing there is lost.

A result for an object store is finished in a folder of this machine first, then uploaded once, the scene last: whoever finds it there finds
all of it. The folder's name follows from the URL, so that the same command finds its own unfinished work again.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from geocr.core.errors import InputError, OutputExistsError, OutputWriteError
from geocr.io.failure import naming_failure
from geocr.io.qgis import write_class_style, write_std_style
from geocr.io.remote import ObjectUrl, endpoint_url, is_object, is_remote, object_head, require_bucket, upload
from geocr.io.spec import RasterSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPaths:
    """Names of the products of one scene on this machine, and where they are published if that is elsewhere."""

    scene: Path
    provenance: Path
    std: Path
    quicklook: Path
    item: Path
    source_days: Path
    mask: Path
    remote: ObjectUrl | None = None
    """The scene's place in an object store; the folder of the others is then this run's alone. None for results that stay here."""

    @classmethod
    def beside(cls, scene: Path, *, remote: ObjectUrl | None = None) -> "OutputPaths":
        """All names, derived from the cloud-free scene's."""
        stem = scene.with_suffix("")
        return cls(
            scene=scene,
            provenance=stem.with_name(f"{stem.name}_provenance.tif"),
            std=stem.with_name(f"{stem.name}_std.tif"),
            quicklook=stem.with_name(f"{stem.name}_quicklook.png"),
            item=stem.with_name(f"{stem.name}.json"),
            source_days=stem.with_name(f"{stem.name}_source_days.tif"),
            mask=stem.with_name(f"{stem.name}_mask.tif"),
            remote=remote,
        )

    def style(self, name: str) -> Path:
        """The `.qml` beside a product (`provenance`, `std`): how QGIS shows it, which it reads by itself."""
        product: Path = getattr(self, name)
        return product.with_suffix(".qml")

    @property
    def scratch(self) -> Path:
        """Folder of unfinished work: on the same disk, so that finishing is a rename."""
        return self.scene.with_name(f".{self.scene.name}.geocr")

    def published(self, path: Path) -> Path | str:
        """The final name of a product: the path itself, or its URL."""
        return path if self.remote is None else str(self.remote.with_name(path.name))


def write_styles(made: Mapping[str, Path], specs: Mapping[str, RasterSpec], paths: OutputPaths, folder: Path) -> dict[Path, Path]:
    """Write how QGIS shows those products that have a style.

    Args:
        made: Finished products by name, wherever they are.
        specs: What they are.
        paths: Where they go.
        folder: Where the styles are written.

    Returns:
        Final name of each style to the file that is to get it.
    """
    styles = {}
    if "provenance" in made:
        styles[paths.style("provenance")] = write_class_style(folder / "provenance.qml", specs["provenance"].categories)
    if "std" in made:
        styles[paths.style("std")] = write_std_style(folder / "std.qml", made["std"])
    return styles


def place_outputs(out: str | Path | None, s2: str, *, scratch: Path | None = None) -> OutputPaths:
    """Where the results of a run go.

    Args:
        out: Path or `s3://` URL of the cloud-free scene; beside the input when None.
        s2: The Sentinel-2 input.
        scratch: Folder for unfinished work on results for an object store; one of this user's in the system's temporary folder when None.

    Raises:
        InputError: When the URL is none that can be written.
    """
    target = default_output(s2) if out is None else as_place(out)
    if isinstance(target, Path):
        return OutputPaths.beside(target)
    place = ObjectUrl.parse(target)
    folder = (_own_temporary_folder() if scratch is None else scratch) / _stage_name(place)
    return OutputPaths.beside(folder / place.name, remote=place)


def as_place(out: str | Path) -> Path | str:
    """A path, or an `s3://` URL as the string it is.

    Raises:
        InputError: When it is another kind of URL.
    """
    if is_object(out):
        return out
    if is_remote(str(out)):
        raise InputError(f"results go to a path or an s3:// URL, got {out}; write to a path and copy it from there")
    if not Path(out).name:
        raise InputError(f"the output is a GeoTIFF and ends in .tif, got {str(out)!r}, which is a folder; write for example -o clear.tif")
    return Path(out)


def _stage_name(place: ObjectUrl) -> str:
    """The same for the same URL in the same store, and for no other."""
    digest = hashlib.sha256(f"{endpoint_url() or ''} {place}".encode()).hexdigest()
    return f"{Path(place.name).stem}-{digest[:16]}"


def _own_temporary_folder() -> Path:
    """A folder that only this user can write to: its name can be guessed, and temporary folders are everybody's."""
    folder = Path(tempfile.gettempdir()) / f"geocr-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    with naming_failure(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
            raise OutputWriteError(
                f"unfinished work goes into a folder of one's own, and {folder} is another user's; name one with --scratch"
            )
    return folder


def default_output(s2: str) -> Path:
    """`<s2 stem>_cloudfree.tif` beside the input, or in the working directory when that folder is read-only."""
    source = Path(urlsplit(s2).path.rstrip("/").rsplit("/", 1)[-1] if "://" in s2 else s2)
    if source.name in ("MTD_MSIL1C.xml", "MTD_MSIL2A.xml"):
        source = source.absolute().parent
    name = f"{source.stem}_cloudfree.tif"
    folder = Path.cwd() if "://" in s2 else source.absolute().parent
    return (folder if os.access(folder, os.W_OK) else Path.cwd()) / name


def require_writable(paths: OutputPaths, *, wanted: list[Path], inputs: list[str], overwrite: bool) -> None:
    """Raise unless every wanted file may be written.

    Raises:
        InputError: When an output is one of the inputs, is a folder, or is no .tif.
        OutputExistsError: When one exists and may not be overwritten.
        OutputWriteError: When the folder is missing or read-only, or there is no such bucket.
        RemoteReadError: When an object store does not tell whether an output exists.
    """
    if paths.scene.suffix.lower() not in (".tif", ".tiff"):
        raise InputError(_no_geotiff(paths))
    require_apart(paths, wanted=wanted, inputs=inputs)
    if paths.remote is not None:
        _require_free_urls(paths, wanted=wanted, overwrite=overwrite)
        with naming_failure(paths.scene.parent):
            paths.scene.parent.mkdir(parents=True, exist_ok=True)
        return
    for path in wanted:
        if path.is_dir():
            raise InputError(f"an output must be a file, and {path} is a folder; choose another name with -o")
        if not overwrite:
            require_free(paths, path)
    folder = paths.scene.absolute().parent
    if not folder.is_dir():
        raise OutputWriteError(f"the output's folder must exist, and {folder} does not; make it, or choose another with -o")
    if not os.access(folder, os.W_OK):
        raise OutputWriteError(f"the output's folder must be writable, and {folder} is not; choose another with -o")


def _no_geotiff(paths: OutputPaths) -> str:
    place = paths.published(paths.scene)
    name = paths.scene.with_name(f"{paths.scene.stem}.tif")
    cure = paths.scene / "clear.tif" if paths.remote is None and paths.scene.is_dir() else paths.published(name)
    return f"the output is a GeoTIFF and ends in .tif, got {place}; write for example -o {cure}"


def require_apart(paths: OutputPaths, *, wanted: list[Path], inputs: list[str]) -> None:
    """Raise when a wanted file is one of those read: overwriting it would destroy the input, whoever allowed it.

    Raises:
        InputError: With its name.
    """
    urls = {path for path in inputs if "://" in path}
    files = {Path(path).resolve() for path in inputs if path not in urls}
    for path in wanted:
        place = paths.published(path)
        if str(place) in urls or (paths.remote is None and path.resolve() in files):
            raise InputError(f"an output may not be one of the inputs, got {place}; choose another name with -o")


def _require_free_urls(paths: OutputPaths, *, wanted: list[Path], overwrite: bool) -> None:
    for path in wanted:
        if not overwrite:
            require_free(paths, path)
    require_bucket(str(paths.published(paths.scene)))


def require_free(paths: OutputPaths, path: Path) -> None:
    """Raise when there is something already where a product is to be published.

    Raises:
        OutputExistsError: With its name.
        RemoteReadError: When an object store does not tell.
    """
    if paths.remote is not None and path != paths.scene and paths.scene.exists():
        return  # a run that finished here and failed while it uploaded: what it found free then is its own now
    place = paths.published(path)
    if object_head(place) is not None if isinstance(place, str) else place.exists():
        raise OutputExistsError(
            f"outputs are never overwritten unasked, and {place} exists; add --overwrite, or choose another name with -o"
        )


def require_space(paths: OutputPaths, needed_bytes: int) -> None:
    """Raise when the disk cannot hold the run even if pixels compress to a quarter of their size.

    Raises:
        OutputWriteError: With what is needed and what is free.
    """
    free = shutil.disk_usage(paths.scene.absolute().parent).free
    least = needed_bytes // 4
    if free < least:
        option = "-o" if paths.remote is None else "--scratch"
        raise OutputWriteError(
            f"the output's disk must have room for the run: {paths.scene.absolute().parent} has {free / 2**30:.2f} GiB free, "
            f"{least / 2**30:.2f} to {needed_bytes / 2**30:.2f} GiB are needed; free space or choose another folder with {option}"
        )


def publish(paths: OutputPaths) -> None:
    """Upload everything that a run made, the scene last; nothing to do for results that stay on this machine.

    Raises:
        OutputWriteError: When the store does not take a file, naming its URL; all files are still here.
    """
    if paths.remote is None:
        return
    made = sorted(path for path in paths.scene.parent.iterdir() if path.is_file() and not path.name.startswith("."))
    for path in [path for path in made if path != paths.scene] + [paths.scene]:
        upload(path, str(paths.published(path)))


def clear_away(paths: OutputPaths) -> None:
    """Delete what was needed only until the results were published."""
    if paths.remote is not None:
        shutil.rmtree(paths.scene.parent)
