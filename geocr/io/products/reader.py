"""`StackReader`: the bands of a product as one raster, under the product's name."""

from contextlib import suppress
from typing import Any

import rasterio
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from geocr.core.errors import RasterNotFoundError, RasterReadError, RemoteReadError
from geocr.core.types import NumberArray, Window
from geocr.io.raster import RasterReader, open_raster
from geocr.io.remote import gdal_options, is_remote, remote_facts


class StackReader(RasterReader):
    """Reads a VRT over several files; a `RasterReader` whose `path` is the product's, for names, tags and messages.

    Args:
        path: The product as the caller names it.
        vrt: XML of the VRT.
        files: Path or URL of each band's file, in the order of the bands.
        block_rows: Rows of the stack that full blocks of its finest band fill (`full_block_rows`).
    """

    def __init__(self, path: str, *, vrt: str, files: tuple[str, ...], block_rows: int) -> None:
        super().__init__(path)
        self.vrt = vrt
        self.files = files
        self.block_rows = block_rows

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "vrt": self.vrt, "files": self.files, "block_rows": self.block_rows}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def _open(self) -> DatasetReader:
        if not any(map(is_remote, self.files)):
            return open_raster(self.vrt)
        with rasterio.Env(**gdal_options()):  # an open file keeps the settings it was opened with, and a VRT opens its files late
            handle = open_raster(self.vrt)
            with suppress(RasterioError):  # a damaged corner is for the one who reads it
                handle.read(window=((0, 1), (0, 1)))
        return handle

    @property
    def jp2_rows(self) -> int | None:
        """Rows of the stack that full blocks of its finest band fill, where that is JPEG 2000."""
        return self.block_rows if any(file.lower().partition("?")[0].endswith(".jp2") for file in self.files) else None

    def _require_reachable(self, cause: BaseException) -> None:
        for file in filter(is_remote, self.files):
            try:
                remote_facts(file)
            except (RemoteReadError, RasterNotFoundError) as error:
                raise RemoteReadError(
                    f"inputs must stay readable during a run; reading {self.path} failed ({cause}): {error}; "
                    f"run the same command again to go on from the finished rows"
                ) from error

    def read(self, window: Window, indexes: Any = None) -> NumberArray:  # noqa: ANN401 - as in the base class
        """As `RasterReader.read`; the error also names the file.

        Raises:
            RasterReadError: When a block cannot be decoded.
        """
        try:
            return super().read(window, indexes)
        except RasterReadError as error:
            culprit = self._culprit()
            if culprit is None:
                raise
            raise RasterReadError(f"{error} (it is {culprit})") from error

    def _culprit(self) -> str | None:
        """The first file one of whose corners or middle does not decode, by itself."""
        return next((file for file in dict.fromkeys(self.files) if not _decodes(file)), None)


def _decodes(path: str) -> bool:
    """Whether a file opens and a pixel of each of its four quarters can be read."""
    try:
        with open_raster(path) as source:
            rows, cols = source.shape
            for row in (rows // 4, rows * 3 // 4, rows - 1):
                for col in (cols // 4, cols * 3 // 4, cols - 1):
                    source.read(1, window=((row, row + 1), (col, col + 1)))
    except (RasterioError, RasterReadError, RasterNotFoundError, RemoteReadError):
        return False
    return True
