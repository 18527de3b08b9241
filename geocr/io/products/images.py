"""Which of a product's image files to read: of each band the finest, and the rasters beside the bands."""

import re

from geocr.core.errors import InputError

_SCL = re.compile(r"(?:^|[_/])SCL(?:_(\d+)m)?\.(?:jp2|tiff?)$", re.IGNORECASE)
_CLOUD_PROBABILITY = re.compile(r"(?:^|[_/])(?:MSK_CLDPRB|CLDPRB|CLD)(?:_(\d+)m)?\.(?:jp2|tiff?)$", re.IGNORECASE)


def finest_of(images: list[tuple[str, int | None, str]], path: str) -> dict[str, tuple[str, int | None]]:
    """Of each band the file of finest resolution.

    Args:
        images: Band, resolution in metres as far as names tell it, and file.
        path: How to call the product in messages.

    Returns:
        File and resolution by band.

    Raises:
        InputError: When two files of a band cannot be told apart.
    """
    best: dict[str, tuple[str, int | None]] = {}
    for band, metres, name in images:
        if band not in best:
            best[band] = (name, metres)
            continue
        other, known = best[band]
        if metres is None or known is None or metres == known:
            raise InputError(
                f"a scene has one file for each band; {path} has two of {band}: {other} and {name}; give a folder with the files of one product"
            )
        if metres < known:
            best[band] = (name, metres)
    return best


def side_rasters(names: tuple[str, ...]) -> tuple[str | None, str | None]:
    """The finest scene classification (SCL) and cloud probability (CLDPRB) among these files."""
    return _finest(names, _SCL), _finest(names, _CLOUD_PROBABILITY)


def _finest(names: tuple[str, ...], pattern: re.Pattern[str]) -> str | None:
    found = []
    for name in names:
        match = pattern.search(name)
        if match is not None:
            folder = re.search(r"(?:^|/)R(\d+)m/", name)
            found.append((int(match.group(1) or (folder.group(1) if folder else 0)), name))
    return min(found)[1] if found else None
