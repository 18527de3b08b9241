"""Keeping the memory of a process small: one heap, and giving back to the system what was freed."""

import ctypes
import gc
import sys

_M_ARENA_MAX = -8
"""`mallopt`'s number for the most heaps, from glibc's malloc.h."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""`mallopt`'s numbers for what a heap keeps and for what gets pages of its own, from glibc's malloc.h."""
_KEPT_BYTES = 2**28


def share_one_heap() -> None:
    """Let all threads allocate from one heap, where the C library can (glibc); elsewhere do nothing.

    By default each thread has a heap of its own, and what one frees is of no use to another: a tenth of a gigabyte in a run over a full
    scene. Heaps that exist stay. Tiles and strips are few and large, so that threads seldom wait for one another here.
    """
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_ARENA_MAX, 1)


def release_freed_memory() -> None:
    """Return what was freed to the system, where the C library can (glibc); elsewhere do nothing.

    A fit frees half a gigabyte of small and middling arrays, which glibc would keep for later and which the run behind it would come on top of.
    """
    gc.collect()
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def keep_freed_memory() -> None:
    """Let this process keep up to 256 MiB of what it frees, where the C library can (glibc); elsewhere do nothing.

    For processes that make and drop images of some megabytes all the time: by default each comes as fresh pages from the system, which it has to
    clear first. That costs a reader of patches a tenth of its time and more.
    """
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
