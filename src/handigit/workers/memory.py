"""Memory of a process that serves: Python's garbage collector, and what the C library keeps."""

import ctypes
import gc
import sys
from contextlib import suppress
from typing import Final

_YOUNG_OBJECTS: Final = 5_000
"""Threshold for collecting young objects; Python's default of 700 is less than one batch creates."""


def freeze_gc() -> None:
    """Exclude everything that is loaded from later garbage collections, and collect less often.

    A loaded server's heap holds hundreds of thousands of objects that are never freed. Scanning them again and again
    costs a third of its throughput, and 0.1 s each time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 10, 10)


def release_memory() -> None:
    """Return memory that was freed to the system, which glibc would keep for later; elsewhere does nothing."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)
