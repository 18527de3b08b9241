"""Reading round damage: the blocks of a window that decode, and a sentence for each that does not."""

from collections.abc import Callable
from typing import Literal, TypeAlias

from geocr.core.errors import RasterReadError
from geocr.core.types import NumberArray, Window

OnError: TypeAlias = Literal["stop", "nodata"]
"""Stop at an input block that does not decode, or take it as nodata and say so."""


def read_what_decodes(
    read: Callable[[Window], NumberArray], window: Window, *, block: tuple[int, int], empty: NumberArray
) -> tuple[NumberArray, tuple[str, ...]]:
    """A window block by block.

    Args:
        read: Reads `(band, y, x)` pixels of a window; raises `RasterReadError` where a block does not decode.
        window: What is wanted.
        block: Rows and columns of the file's blocks.
        empty: `(band, y, x)` of the window, what a lost block reads as; it is filled and returned.

    Returns:
        The pixels, and what each lost block said.
    """
    height, width = block
    damage: list[str] = []
    for row in range(window.row // height * height, window.row_stop, height):
        for col in range(window.col // width * width, window.col_stop, width):
            first, left = max(row, window.row), max(col, window.col)
            part = Window(
                row=first, col=left, height=min(row + height, window.row_stop) - first, width=min(col + width, window.col_stop) - left
            )
            rows, cols = part.slices_in(window)
            try:
                empty[:, rows, cols] = read(part)
            except RasterReadError as error:
                damage.append(str(error))
    return empty, tuple(damage)
