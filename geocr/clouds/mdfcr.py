"""MDF-CR's recipe for "real" clouds: cloudy Landsat-8 patches of 38-Cloud blended into 8-bit pictures, as published.

The facts, from the recipe's published description (Li, MDF-CR, 2023): a 384-pixel patch is read as 8 bits and cut to its middle
256, each band is stretched to 0..255 by itself, and band by band

    alpha = clip(1.5 cloud / 255, 0, 1)        cloudy = (1 - alpha) clear + alpha cloud

cut off to 8 bits. The patch's mask is kept beside the picture; the blending does not use it, so that bright ground of the
patch comes along as if it were cloud. `geocr.clouds.landsat` is the corrected way.
"""

import csv
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from geocr.core.errors import InputError, RasterNotFoundError
from geocr.core.types import BoolArray, ByteArray, NumberArray

PATCH_PX = 384
"""Side of a patch of 38-Cloud."""
CROP_PX = 256
"""Side of what is used of it."""
GAIN = 1.5
"""Opacity per brightness: thin cloud weighs more, so that clouds have no hard border."""
Counts: TypeAlias = NDArray[np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Which cloud goes over which picture: the published file, read as it is."""

    clouds: tuple[str, ...]
    """Patches, numbered from 1 in the file: `patch_<n>_<r>_by_<c>_<scene>`."""
    pictures: tuple[tuple[str, str], ...]
    """Picture, as `part/folder/name` (`train/sar/837.bmp`), and the patch over it."""

    def output_names(self) -> dict[str, str]:
        """Picture to the name its results take: its own, led by its part where two pictures share it."""
        names = [picture.rsplit("/", 1)[-1] for picture, _ in self.pictures]
        twice = {name for name in names if names.count(name) > 1}
        return {
            picture: f"{picture.split('/', 1)[0]}_{name}" if name in twice else name
            for (picture, _), name in zip(self.pictures, names, strict=True)
        }


def read_pairing(path: str | Path) -> Pairing:
    """Read the published pairing file `src2mask_name_corr.csv`.

    Its first part numbers the patches; after a line `Correlation`, each line has the Windows path of a Sentinel-1 picture and the
    mask (`gt_patch_...`) of the patch that goes over its optical partner.

    Raises:
        RasterNotFoundError: When the file is missing.
        InputError: When a line is not of that form, or names a patch that is not numbered.
    """
    file = Path(path)
    if not file.is_file():
        raise RasterNotFoundError(
            f"the pairing file of MDF-CR must exist; there is nothing at {file}; it is src2mask_name_corr.csv of its repository"
        )
    clouds: list[str] = []
    pictures: list[tuple[str, str]] = []
    numbered = True
    with file.open(newline="", encoding="utf-8-sig") as stream:
        for number, line in enumerate(csv.reader(stream), start=1):
            cells = [cell.strip() for cell in line if cell.strip()]
            if not cells or cells[0] == "Number":
                continue
            if cells[0] == "Correlation":
                numbered = False
            elif numbered and len(cells) == 2 and cells[0].isdigit():
                clouds.append(_patch_name(cells[1]))
            elif not numbered and len(cells) == 2:
                pictures.append((_tail(cells[0]), _patch_name(cells[1])))
            else:
                raise InputError(
                    f"a line of the pairing file numbers a patch or pairs a picture with one; line {number} of {file} is {','.join(line)!r}"
                )
    unknown = sorted({cloud for _, cloud in pictures} - set(clouds))
    if not pictures or unknown:
        raise InputError(
            f"the pairing file must pair pictures with the patches it numbers; {file} has {len(pictures)} pairs, unknown patches: {unknown}"
        )
    return Pairing(clouds=tuple(clouds), pictures=tuple(pictures))


def crop_middle(patch: NumberArray, side: int = CROP_PX) -> NumberArray:
    """The middle `side` x `side` pixels of `(..., y, x)`.

    Raises:
        InputError: When the patch is smaller.
    """
    rows, cols = patch.shape[-2:]
    if rows < side or cols < side:
        raise InputError(f"a cloud patch must have at least {side} rows and columns, got {rows} x {cols}")
    top, left = (rows - side) // 2, (cols - side) // 2
    return patch[..., top : top + side, left : left + side]


def as_bytes(patch: NumberArray) -> ByteArray:
    """8 bits as the published recipe gets them: of 16-bit counts the upper byte; 8-bit values as they are.

    Raises:
        InputError: For another dtype.
    """
    if patch.dtype == np.uint8:
        return patch
    if patch.dtype != np.uint16:
        raise InputError(f"patches of 38-Cloud are uint16 (or uint8 pictures of them), got {patch.dtype}")
    return (patch >> 8).astype(np.uint8)


def stretch_band(band: ByteArray) -> ByteArray:
    """One band stretched so that its least value is 0 and its greatest 255, cut off to whole numbers; a flat band gives 0."""
    low, high = int(band.min()), int(band.max())
    if high == low:
        return np.zeros_like(band)
    out: ByteArray = ((255.0 / (high - low)) * (band.astype(np.float64) - low)).astype(np.uint8)
    return out


def prepare_cloud(bands: NumberArray) -> ByteArray:
    """Bands of a patch, `(band, 384, 384)` uint16 or uint8, as the recipe blends them: `(band, 256, 256)` uint8."""
    return np.stack([stretch_band(as_bytes(crop_middle(band))) for band in bands])


def blend_as_published(clear: ByteArray, cloud: ByteArray) -> ByteArray:
    """Lay a prepared cloud over a picture.

    Args:
        clear: `(band, y, x)` uint8.
        cloud: Same shape, from `prepare_cloud`, the same bands in the same order.

    Returns:
        Same shape, uint8, cut off to whole numbers.

    Raises:
        InputError: When the shapes differ.
    """
    if clear.shape != cloud.shape:
        raise InputError(f"picture and cloud must have the same bands and size: picture {clear.shape}, cloud {cloud.shape}")
    alpha = np.clip(cloud / 255.0 * GAIN, 0, 1)
    out: ByteArray = ((1 - alpha) * clear + alpha * cloud).astype(np.uint8)
    return out


def mask_of(gt: NumberArray) -> BoolArray:
    """The patch's mask, cut to the middle: `(256, 256)` bool, True is cloud."""
    mask: BoolArray = crop_middle(gt) > 0
    return mask


def _patch_name(text: str) -> str:
    stem = text.rsplit(".", 1)[0] if text.lower().endswith((".tif", ".tiff")) else text
    return stem.removeprefix("gt_")


def _tail(text: str) -> str:
    """`part/folder/name` of a Windows path or any other."""
    parts = PureWindowsPath(text).parts
    if len(parts) < 3:
        raise InputError(f"a picture of the pairing file lies in <part>\\<folder>\\<name>, got {text!r}")
    return "/".join(parts[-3:])
