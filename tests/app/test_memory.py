"""Large blocks that are freed stay with the process, so that the next step need not fetch them page by page."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys

import pytest

TOUCH = """
import resource, numpy as np
{first}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(100_000_000, np.uint8)
before = faults()
for _ in range(3):
    np.ones(100_000_000, np.uint8)
print(faults() - before)
"""
PAGES = 3 * 100_000_000 // resource.getpagesize()


def page_faults(first: str) -> int:
    """Of three blocks of 100 MB, each freed before the next, after a first one."""
    done = subprocess.run([sys.executable, "-c", TOUCH.format(first=first)], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone")
def test_the_pages_of_a_freed_block_are_used_again():
    kept = page_faults("from instseg.app.memory import keep_freed_memory; keep_freed_memory()")
    assert kept < PAGES / 1000 < page_faults("")
