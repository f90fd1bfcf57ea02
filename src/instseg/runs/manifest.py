"""What a run was made of: code, packages, hardware, data, seed."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from instseg import __version__
from instseg.core.atomic import write_text_atomically


def write_manifest(path: Path, seed: int, data_fingerprint: str, processes: int) -> None:
    """Write ``manifest.json``; a resumed run adds an entry to the list and keeps the earlier ones."""
    entries = json.loads(path.read_text(encoding="utf-8"))["starts"] if path.is_file() else []
    entries.append(describe_start(seed, data_fingerprint, processes))
    write_text_atomically(path, json.dumps({"starts": entries}, indent=2) + "\n")


def describe_start(seed: int, data_fingerprint: str, processes: int) -> dict[str, Any]:
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "seed": seed,
        "data_fingerprint": data_fingerprint,
        "git": describe_git(Path(__file__).parents[1]),
        "packages": {"instseg": __version__, **package_versions()},
        "processes": processes,
        "hardware": describe_hardware(),
    }


def package_versions() -> dict[str, str]:
    """Versions of Python and of everything instseg asks for."""
    names = [
        re.split(r"[^A-Za-z0-9_-]", need)[0]
        for need in importlib.metadata.requires("instseg") or []
        if "extra ==" not in need
    ]
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}


def describe_hardware() -> dict[str, Any]:
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "platform": platform.platform(),
        "cpu": cpu_model(),
        "cpu_cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),  # sums are rounded otherwise with another number
        "gpus": gpus,
        "cuda": torch.version.cuda,
    }


def cpu_model() -> str:
    """Its name, where the system says it: another one rounds otherwise."""
    with contextlib.suppress(OSError):
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
        if found:
            return found[1]
    return platform.processor() or platform.machine()


def describe_git(folder: Path) -> dict[str, Any] | None:
    """Commit, uncommitted changes and names of new files of the repository around ``folder``; None outside of one."""
    try:
        status = _git(folder, "status", "--porcelain", "--untracked-files=normal").splitlines()
        return {
            "commit": _git(folder, "rev-parse", "HEAD").strip(),
            "dirty_diff": _git(folder, "diff", "HEAD"),
            "untracked": [line.removeprefix("?? ") for line in status if line.startswith("?? ")],
        }
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    """What git prints; bytes that are no UTF-8, as in the diff of a file in another encoding, are replaced."""
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, check=True, encoding="utf-8", errors="replace").stdout
