"""Giving memory back to the system."""

import ctypes
import gc
import sys


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
