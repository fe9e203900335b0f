"""Memory that large arrays have left goes back to the system.

glibc takes blocks of up to 32 MB from heaps of its own once it has seen such blocks freed, a heap for each
thread, and a hole in a heap stays with the process: a server that shows large runs would grow by the page.
"""

from __future__ import annotations

import ctypes
from functools import cache

MMAP_THRESHOLD = -3
"""M_MMAP_THRESHOLD of malloc.h."""
LARGE = 1 << 20
"""Bytes from which a block is asked of the system itself, and given back when it is freed."""


@cache
def give_back() -> bool:
    """From now on, in this process; whether the system's allocator knows this (glibc does)."""
    try:
        return bool(ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, LARGE))
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return False
