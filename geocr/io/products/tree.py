"""The files of a product, in a folder or in a zip that stays packed: their names, their text, and how GDAL calls them."""

import os
import zipfile
from pathlib import Path
from typing import Protocol

from geocr.core.errors import InputError, RasterReadError

MAX_FILES = 20_000
"""Files above which a folder is no product; a SAFE folder has about 100."""
MAX_TEXT_BYTES = 64 * 2**20
"""Size above which a metadata file is not read; those of real products have up to 13 MB."""


class ProductTree(Protocol):
    """Where the files of a product lie."""

    path: str
    """The folder or the zip, absolute."""

    def names(self) -> tuple[str, ...]:
        """Every file by its path below the top, with `/` between folders, sorted."""
        ...

    def read(self, name: str) -> bytes:
        """A whole small file.

        Raises:
            RasterReadError: When it cannot be read or is too large for metadata.
        """
        ...

    def gdal_path(self, name: str) -> str:
        """How GDAL opens a file."""
        ...

    def sources(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Files of this machine that decide the pixels of these."""
        ...


class FolderTree:
    """A folder.

    Args:
        path: The folder, absolute.

    Raises:
        InputError: When it holds more files than a product could.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        found: list[str] = []
        for folder, _, files in os.walk(path):
            inside = Path(folder).relative_to(path)
            found += [(inside / file).as_posix() for file in files]
            if len(found) > MAX_FILES:
                raise InputError(
                    f"a Sentinel-2 product is a folder of some hundred files; {path} has more than {MAX_FILES:,}; name the product"
                )
        self._names = tuple(sorted(found))

    def names(self) -> tuple[str, ...]:
        """Every file below the folder."""
        return self._names

    def read(self, name: str) -> bytes:
        """A whole small file."""
        file = Path(self.path, name)
        try:
            _require_small(file.stat().st_size, str(file))
            return file.read_bytes()
        except OSError as error:
            raise RasterReadError(f"the metadata of a product must be readable; {file} is not: {error}") from error

    def gdal_path(self, name: str) -> str:
        """The file itself."""
        return str(Path(self.path, name))

    def sources(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The files themselves."""
        return tuple(map(self.gdal_path, names))


class ZipTree:
    """A zip, read in place.

    Args:
        path: The zip, absolute.

    Raises:
        RasterReadError: When it is no zip or is truncated.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                self._names = tuple(sorted(name for name in archive.namelist() if not name.endswith("/")))
        except (zipfile.BadZipFile, OSError) as error:
            raise RasterReadError(
                f"a zipped product must be a whole zip file; {path} is not: {error}; it is truncated or something else: fetch it again"
            ) from error

    def names(self) -> tuple[str, ...]:
        """Every file in the zip."""
        return self._names

    def read(self, name: str) -> bytes:
        """A whole small file."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                _require_small(archive.getinfo(name).file_size, f"{name} in {self.path}")
                return archive.read(name)
        except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
            raise RasterReadError(f"the metadata of a product must be readable; {name} in {self.path} is not: {error}") from error

    def gdal_path(self, name: str) -> str:
        """By `/vsizip/`; braces let the zip have any name."""
        return f"/vsizip/{{{self.path}}}/{name}"

    def sources(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The zip."""
        return (self.path,) if names else ()


def _require_small(size: int, name: str) -> None:
    if size > MAX_TEXT_BYTES:
        raise RasterReadError(f"metadata of a product has at most {MAX_TEXT_BYTES:,} bytes; {name} has {size:,}: it is something else")
