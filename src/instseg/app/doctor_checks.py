"""Checks of a machine: folders, disk, memory, and whether published weights can be had. Loads no torch."""

from __future__ import annotations

import os
import shutil
import tempfile
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from instseg.core.text import plural

GIB = 2**30
DISK_NEEDED_GIB, DISK_WISHED_GIB = 0.5, 5.0
"""A run of R50-FPN leaves about 0.7 GiB."""
MEMORY_NEEDED_GIB, MEMORY_WISHED_GIB = 1.0, 4.0
WEIGHTS_URL = "https://download.pytorch.org/models/resnet18-f37072fd.pth"
TIMEOUT_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing about this machine, and what to do about it."""

    name: str
    found: str
    remedy: str = ""
    """Empty where nothing is wrong."""
    prevents_training: bool = False


def check_folder(name: str, folder: Path) -> Check:
    """Check that files can be written into a folder, or into the one that it would be made in.

    Args:
        name: of the setting.
        folder: absolute.
    """
    there = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            return Check(name, f"{folder}: writable")
    except OSError as error:
        found = f"{folder}: not writable ({error.strerror or error})"
        return Check(name, found, _other_folder(name), prevents_training=name in ("outputs", "cache_dir"))


def _other_folder(name: str) -> str:
    return "set the variable TORCH_HOME to another folder" if name == "weights" else f"{name}=ANOTHER_FOLDER"


def check_disk(folder: Path) -> Check:
    """Check the free space where runs are written.

    Args:
        folder: absolute, and perhaps not made yet.
    """
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free / GIB
    remedy = "" if free >= DISK_WISHED_GIB else "free some space, or outputs=FOLDER_ON_ANOTHER_DISK"
    return Check("free disk", f"{free:.1f} GiB at {there}", remedy, free < DISK_NEEDED_GIB)


def check_memory() -> Check:
    """Check the memory that is free, where the system tells it."""
    free = _free_memory_gib()
    if free is None:
        return Check("free memory", "not known on this system")
    remedy = "" if free >= MEMORY_WISHED_GIB else "close other programs; batch_size=1 num_workers=0 model=small"
    return Check("free memory", f"{free:.1f} GiB", remedy, free < MEMORY_NEEDED_GIB)


def _free_memory_gib() -> float | None:
    """Return what Linux calls available, freed caches included."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 / GIB for line in lines if line.startswith("MemAvailable:")), None)


def check_weights(checkpoints: Path) -> Check:
    """Check that pretrained weights can be downloaded, or lie here already.

    Args:
        checkpoints: the folder in which torch keeps them.
    """
    here = sorted(path.name for path in checkpoints.glob("*.pth"))
    try:
        with urllib.request.urlopen(urllib.request.Request(WEIGHTS_URL, method="HEAD"), timeout=TIMEOUT_SECONDS):
            return Check("download", f"weights can be downloaded; {_counted(here)} in the cache")
    except OSError as error:  # a URLError is one
        reason = getattr(error, "reason", error)
        return Check(
            "download",
            f"no weights can be downloaded ({reason}); {_counted(here)} in the cache",
            f"copy the .pth files into {checkpoints}; or model.weights=none, or model=small",
        )


def _counted(files: Sequence[str]) -> str:
    return plural(len(files), "file") + (f" ({', '.join(files)})" if files else "")


def check_machine(outputs: Path, cache_dir: Path, torch_hub: Path) -> list[Check]:
    """Run all checks that need no torch.

    Args:
        outputs: the folder of all runs.
        cache_dir: of generated and downloaded data.
        torch_hub: where torch keeps weights.
    """
    return [
        Check("cores", f"{os.cpu_count()}"),
        check_memory(),
        check_disk(outputs),
        check_folder("outputs", outputs),
        check_folder("cache_dir", cache_dir),
        check_folder("weights", torch_hub),
        check_weights(torch_hub / "checkpoints"),
    ]
