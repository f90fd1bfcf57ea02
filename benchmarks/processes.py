"""What a call costs in a process of its own, so that none profits from what another has read or allocated."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def apart(call: Callable[..., Any], *arguments: Any) -> Any:
    """What a call gives in a fork of this process. SystemExit where the fork ends without a result."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(call(*arguments)))
    process.start()
    sender.close()
    try:
        result = receiver.recv()
    except EOFError:
        process.join()
        raise SystemExit(f"{getattr(call, '__name__', call)}: its process ended with {process.exitcode}") from None
    process.join()
    return result


def cost(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and the MB by which the resident memory of this process rose at most."""
    give_back_memory()
    forget_peak()
    before = memory_mb("VmRSS")
    start = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - start
    del result  # after the clock: large results take long
    return seconds, memory_mb("VmHWM") - before


def memory_mb(key: str) -> float:
    """A line of /proc/self/status: VmRSS is what is resident now, VmHWM its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) / 1024


def private_mb(process_id: int | None) -> float:
    """What this process has written to, and so shares with no other."""
    lines = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty")) / 1024


def forget_peak() -> None:
    """VmHWM begins anew."""
    Path("/proc/self/clear_refs").write_text("5")


def give_back_memory() -> None:
    """What is free goes back to the system, so that the next to use as much is seen to do so."""
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
