"""One raster file, read window by window, with an own GDAL handle for each thread.

GDAL handles may not be shared between threads (rasterio says so, and GDAL 3.10's shared mode is not
exposed); opening one costs a millisecond. A reader pickles as its path, so it travels to workers.
"""

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import unescape

import numpy as np
import rasterio
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from geocr.core.errors import RasterNotFoundError, RasterReadError, RemoteReadError
from geocr.core.types import NumberArray, Window
from geocr.io.damage import OnError
from geocr.io.remote import gdal_name, gdal_options, is_remote, require_readable

GDAL_OPTIONS: dict[str, Any] = {
    # bytes (rasterio hands them to GDALSetCacheMax): strips are read once, so the default of 5 % of RAM would only be held, but a block
    # whose bands are interleaved by pixel must stay decoded until all of them are read
    "GDAL_CACHEMAX": 16 << 20,
    "GDAL_NUM_THREADS": "ALL_CPUS",
}
"""GDAL settings for every run; set with `rasterio.Env(**GDAL_OPTIONS)` where a run starts."""


_SOURCE_FILE = re.compile(r"<SourceFilename[^>]*>([^<]+)</SourceFilename>")


_SERVERS = ("/vsicurl/", "/vsis3/", "/vsigs/", "/vsiaz/")


def absolute_path(path: str) -> str:
    """The path as workers in other folders can open it; URLs, names in GDAL's own form and the XML of a VRT as they are."""
    return path if path.startswith(("<", "/vsi")) or "://" in path else str(Path(path).absolute())


def spoken_path(path: str) -> str:
    """A path as messages say it: of the XML of a VRT the files that it joins."""
    if not path.startswith("<"):
        return path
    files = joined_files(path)
    return ", ".join(files[:3]) + (" ..." if len(files) > 3 else "") or "a VRT"


def joined_files(path: str) -> list[str]:
    """The files that the XML of a VRT joins, as GDAL names them, each once; those of VRTs within it too."""
    files: dict[str, None] = {}
    for text in _SOURCE_FILE.findall(path):
        name = unescape(text)
        files |= dict.fromkeys(joined_files(name)) if name.startswith("<") else {name: None}
    return list(files)


def rasterio_window(window: Window) -> RasterioWindow:
    """The same rectangle in rasterio's words."""
    return RasterioWindow(window.col, window.row, window.width, window.height)


def open_raster(path: str, **options: Any) -> DatasetReader:  # noqa: ANN401 - GDAL open options have any type
    """Open a raster for reading.

    Args:
        path: A file, a URL (`s3://`, `gs://`, `az://`, `https://`), a name in GDAL's own form, or the XML of a VRT.
        options: GDAL's open options.

    Raises:
        RasterNotFoundError: When there is nothing at the path.
        RasterReadError: When it exists and GDAL cannot read it as a raster.
        RemoteReadError: When a URL cannot be fetched.
    """
    for file in joined_files(path) if path.startswith("<") else [path]:  # GDAL reads a VRT whose files are gone as nodata
        is_file = file == path or Path(file).is_absolute()  # else GDAL's name of a part of one
        if is_file and not is_remote(file) and not file.startswith("/vsi") and not Path(file).exists():
            raise RasterNotFoundError(
                f"input rasters must exist; there is nothing at {file}; check the path (working directory: {Path.cwd()})"
            )
    try:
        if is_remote(path) or _joins_remote(path):
            with rasterio.Env(**gdal_options()):  # an open file keeps what it was opened with, in every thread
                opened = rasterio.open(gdal_name(path), **options)
                if path.startswith("<"):
                    _open_joined(opened, path)
                return opened
        return rasterio.open(path, **options)
    except RasterioIOError as error:
        if is_remote(path) and not path.startswith("<"):
            require_readable(path)  # says what is wrong with the URL, if it is the URL
        raise RasterReadError(
            f"inputs must be rasters that GDAL {rasterio.__gdal_version__} reads; {spoken_path(path)} is not: {error}"
        ) from error


def _joins_remote(path: str) -> bool:
    """Whether the XML of a VRT names files on servers."""
    return path.startswith("<") and any(f">{scheme}" in path or f"gt;{scheme}" in path for scheme in _SERVERS)


def _urls_in(path: str) -> list[str]:
    """The URL that a path is, or those that the XML of a VRT joins."""
    if not path.startswith("<"):
        return [path] if is_remote(path) else []
    servers = ("/vsicurl/", "/vsis3/")
    return [file.replace("/vsicurl/", "", 1).replace("/vsis3/", "s3://", 1) for file in joined_files(path) if file.startswith(servers)]


def _open_joined(opened: DatasetReader, path: str) -> None:
    """Read a pixel of each band: a VRT opens the files behind it late, and they keep the settings of that moment.

    Raises:
        RemoteReadError: When a server is out of reach; GDAL would give nodata for its file from then on.
        RasterNotFoundError: When a file is not there.
    """
    for index in opened.indexes:
        try:
            opened.read(index, window=((0, 1), (0, 1)))
        except RasterioError:  # a damaged corner is for the one who reads it
            for url in _urls_in(path):
                require_readable(url)


class RasterReader:
    """Reads windows of one raster file; safe to share between threads and to pickle.

    Args:
        path: Anything GDAL opens: a file, a URL, `/vsi…`.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._local = threading.local()

    def __getstate__(self) -> dict[str, str]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, str]) -> None:
        self.path = state["path"]
        self._local = threading.local()

    @property
    def handle(self) -> DatasetReader:
        """This thread's open dataset."""
        handle = getattr(self._local, "handle", None)
        if handle is None:
            handle = self._open()
            self._local.handle = handle
        return handle

    def _open(self) -> DatasetReader:
        return open_raster(self.path)

    @property
    def jp2_rows(self) -> int | None:
        """Rows of a block of JPEG 2000, which every read that touches it decodes anew, and slowly; None where pixels are stored otherwise.

        Of a VRT over JPEG 2000 files those of the finest, since its own blocks mean nothing.
        """
        handle = self.handle
        if handle.driver.startswith("JP2"):
            return int(handle.block_shapes[0][0])
        heights = []
        for path in handle.files if handle.driver == "VRT" else []:
            if path.lower().endswith(".jp2"):
                with open_raster(path) as source:
                    if source.shape == handle.shape:
                        heights.append(int(source.block_shapes[0][0]))
        return max(heights, default=None)

    def read(self, window: Window, indexes: Sequence[int] | None = None) -> NumberArray:
        """Pixels of a window in the file's dtype, `(band, y, x)`.

        Args:
            window: Must lie inside the raster.
            indexes: 1-based band numbers; all bands when None.

        Raises:
            RasterReadError: When a block cannot be decoded, naming the file and the window.
        """
        try:
            array: NumberArray = self.handle.read(list(indexes) if indexes is not None else None, window=rasterio_window(window))
        except RasterioError as error:
            cause = error.__cause__ or error
            self._local.__dict__.pop("handle", None)  # GDAL's threads leave lost blocks in its cache: read again, they would pass for zeros
            self._require_reachable(cause)
            raise RasterReadError(
                f"every block of an input must decode; {spoken_path(self.path)} fails in rows {window.row} to {window.row_stop - 1}, "
                f"columns {window.col} to {window.col_stop - 1} ({cause}); the file is truncated or damaged: fetch it again"
            ) from error
        return array

    def _require_reachable(self, cause: BaseException) -> None:
        """Raise when a read failed because the server is out of reach: that is no damage, and must not be taken as nodata."""
        for url in _urls_in(self.path):
            try:
                require_readable(url)
            except (RemoteReadError, RasterNotFoundError) as error:
                raise RemoteReadError(
                    f"inputs must stay readable during a run; reading {spoken_path(self.path)} failed ({cause}): {error}; "
                    f"run the same command again to go on from the finished rows"
                ) from error

    def sample(self, indexes: Sequence[int], *, chips: int = 16, size: int = 64, on_error: OnError = "stop") -> NumberArray:
        """Pixels of small chips spread evenly over the raster, flattened to `(band, n)`.

        Raises:
            RasterReadError: When a chip does not decode; with `on_error` `nodata` it is left out, and the error is that none does.
        """
        rows, cols = self.handle.shape
        steps = max(1, round(chips**0.5))
        parts = []
        for i in range(steps):
            for j in range(steps):
                height, width = min(size, rows), min(size, cols)
                window = Window(
                    row=round((rows - height) * (i + 0.5) / steps),
                    col=round((cols - width) * (j + 0.5) / steps),
                    height=height,
                    width=width,
                )
                try:
                    parts.append(self.read(window, indexes).reshape(len(indexes), -1))
                except RasterReadError:
                    if on_error == "stop" or (not parts and i == j == steps - 1):
                        raise
        return np.concatenate(parts, axis=1)
