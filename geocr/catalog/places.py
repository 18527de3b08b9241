"""Addresses of files as seen from each other: relative where both lie in one tree, absolute where they do not."""

import os
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit, urlunsplit

from geocr.io.remote import is_remote


def relative_href(target: Path | str, base: Path | str) -> str | None:
    """How a file links to another.

    Args:
        target: File that is linked to: a path or a URL.
        base: File that holds the link.

    Returns:
        A relative address for two local files, or for two objects of one bucket or server; the URL, without its query and credentials, for a
        remote target elsewhere; None for a local target seen from a remote base, which nobody there can follow.
    """
    remote_target, remote_base = is_remote(str(target)), is_remote(str(base))
    if not remote_target and not remote_base:
        found = os.path.relpath(Path(target).absolute(), Path(base).absolute().parent)
        return Path(found).as_posix()
    if not remote_target:
        return None
    url = urlsplit(without_query(str(target)))
    if remote_base:
        home = urlsplit(str(base))
        if (url.scheme, url.netloc) == (home.scheme, home.netloc):
            return os.path.relpath(url.path or "/", str(PurePosixPath(home.path or "/").parent))
    return urlunsplit(url)


def without_query(url: str) -> str:
    """A URL without query, fragment, user and password: signatures and credentials of it are nobody else's business."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
