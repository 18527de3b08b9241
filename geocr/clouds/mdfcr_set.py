"""MDF-CR's test set of "real" clouds, written from TGRS-SQ and 38-Cloud by the published pairing."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from geocr.clouds.mdfcr import CROP_PX, Pairing, blend_as_published, mask_of, prepare_cloud
from geocr.clouds.patches import CloudPatches
from geocr.core.errors import InputError, MissingDataError, OutputExistsError, RasterReadError
from geocr.core.types import ByteArray
from geocr.io.failure import naming_failure

FOLDERS = ("gt", "cloudy rgb", "rgb", "sar")
"""What is written: the cloud's mask, the cloudy picture, the clear one, Sentinel-1; file names are the same in all."""


def write_mdfcr_set(
    root: Path,
    patches: CloudPatches,
    pairing: Pairing,
    destination: Path,
    *,
    overwrite: bool = False,
    advance: Callable[[int], None] | None = None,
) -> int:
    """Write the pictures of a pairing under clouds. The folders appear whole, at the end, or not at all.

    Args:
        root: TGRS-SQ: `train/{sar,rgb}` and `test_simu/{sar,rgb}`.
        patches: 38-Cloud.
        pairing: From `geocr.clouds.mdfcr.read_pairing`.
        destination: Folder for `gt`, `cloudy rgb`, `rgb` and `sar`.
        overwrite: Replace folders that are there.
        advance: Told after each picture.

    Returns:
        Number of pictures.

    Raises:
        MissingDataError: When pictures or patches are missing, with their number and the first of them.
        OutputExistsError: When a folder is there and `overwrite` is not set.
        RasterReadError: When a picture does not decode.
        InputError: When a picture is not 256 pixels wide and high.
    """
    _require_pictures(root, list(pairing.output_names()))
    there = [folder for folder in FOLDERS if (destination / folder).exists()]
    if there and not overwrite:
        raise OutputExistsError(f"outputs must not exist yet; {destination / there[0]} does; give --overwrite to replace it, or another -o")
    with naming_failure(destination):
        destination.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".mdfcr-", dir=destination) as unfinished:
            _write_pictures(root, patches, pairing, Path(unfinished), advance)
            for folder in FOLDERS:
                if (destination / folder).exists():
                    shutil.rmtree(destination / folder)
                (Path(unfinished) / folder).rename(destination / folder)
    return len(pairing.pictures)


def _write_pictures(root: Path, patches: CloudPatches, pairing: Pairing, destination: Path, advance: Callable[[int], None] | None) -> None:
    names = pairing.output_names()
    for folder in FOLDERS:
        (destination / folder).mkdir()
    for picture, patch in pairing.pictures:
        name = names[picture]
        clear = _read(root / _optical(picture))
        cloud = prepare_cloud(patches.read(patch, ("red", "green", "blue")))
        mask = mask_of(patches.read(patch, ("gt",))[0])
        _save(blend_as_published(clear, cloud), destination / "cloudy rgb" / name)
        _save(np.where(mask, np.uint8(255), np.uint8(0))[None], destination / "gt" / name)
        shutil.copyfile(root / _optical(picture), destination / "rgb" / name)
        shutil.copyfile(root / picture, destination / "sar" / name)
        if advance is not None:
            advance(1)


def _optical(picture: str) -> str:
    part, _, name = picture.split("/")
    return f"{part}/rgb/{name}"


def _require_pictures(root: Path, pictures: list[str]) -> None:
    wanted = [path for picture in pictures for path in (picture, _optical(picture))]
    missing = [path for path in wanted if not (root / path).is_file()]
    if missing:
        raise MissingDataError(
            f"the pairing needs {len(wanted)} pictures of TGRS-SQ (<part>/sar and <part>/rgb); {len(missing)} are not under {root}, the first is {missing[0]}"
        )


def _read(path: Path) -> ByteArray:
    try:
        with Image.open(path) as image:
            pixels: ByteArray = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    except (UnidentifiedImageError, OSError) as error:
        raise RasterReadError(f"pictures must decode; {path} does not ({error}); fetch it again") from error
    if pixels.shape[1:] != (CROP_PX, CROP_PX):
        raise InputError(f"pictures of TGRS-SQ are {CROP_PX} x {CROP_PX}; {path} is {pixels.shape[1]} x {pixels.shape[2]}")
    return pixels


def _save(pixels: ByteArray, path: Path) -> None:
    picture = pixels[0] if pixels.shape[0] == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))
    Image.fromarray(picture).save(path)
