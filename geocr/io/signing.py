"""Addresses that a catalogue wants signed: files of Planetary Computer, whose storage answers only with a token.

Tokens come from `planetary_computer` (https://github.com/microsoft/planetary-computer-sdk-for-python), which keeps them until they expire
(within the hour). Nothing else is sent there.
"""

import re
from urllib.parse import urlsplit

from geocr.core.errors import InputError, RemoteReadError

_STORES = re.compile(r"sentinel(?:2l2a01|1euwest|1euwestrtc)\.blob\.core\.windows\.net", re.IGNORECASE)
"""Storage accounts of the collections sentinel-2-l2a, sentinel-1-grd and sentinel-1-rtc (https://planetarycomputer.microsoft.com/catalog)."""


def needs_signature(url: str) -> bool:
    """Whether a URL is that of a Planetary Computer file of Sentinel, and not signed yet."""
    parts = urlsplit(url)
    return bool(_STORES.fullmatch(parts.netloc)) and "sig=" not in parts.query


def signed(url: str) -> str:
    """The URL with a token where it needs one, else as it is.

    Raises:
        InputError: When it needs one, and planetary_computer is not installed.
        RemoteReadError: When no token is given out.
    """
    if not needs_signature(url):
        return url
    try:
        import planetary_computer  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise InputError(
            f"files of Planetary Computer are read by signed addresses, which planetary_computer makes, and it is not installed; pip install 'geocr[stac]' (asked for: {url})"
        ) from error
    import requests  # noqa: PLC0415 - comes with it

    try:
        return str(planetary_computer.sign_url(url))
    except (requests.RequestException, OSError) as error:
        raise RemoteReadError(
            f"Planetary Computer must give a token for {url}; it did not: {error}; check the connection, and try again"
        ) from error
