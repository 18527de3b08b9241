"""Errors of the disk, said in words that name the file and the cure."""

import os
from pathlib import Path

from rasterio._err import CPLE_BaseError  # some calls let GDAL's own errors through, which are no RasterioError
from rasterio.errors import RasterioError

from geocr.core.errors import OutputWriteError


class naming_failure:  # noqa: N801 - reads as a statement
    """Turns write errors of GDAL and the system into ours, naming the file.

    Args:
        path: What is being written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (RasterioError, CPLE_BaseError, OSError)) and not isinstance(error, OutputWriteError):
            raise OutputWriteError(
                f"outputs must be writable and fit on the disk; writing {self._path} failed: {error}; "
                f"free space or choose another folder with -o, then run the same command again to go on from here"
            ) from error


def require_writable_folder(folder: Path) -> None:
    """Refuse a folder that could not be written to, before the work and not behind it; it is not made.

    Raises:
        OutputWriteError: When it, or the nearest one above that exists, is no folder or may not be written to.
    """
    there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    if not there.is_dir():
        raise OutputWriteError(f"outputs go into a folder, and {there} is a file; choose another with -o")
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputWriteError(f"outputs go into a folder that can be written to, and {there} cannot; choose another with -o")
