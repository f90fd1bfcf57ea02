"""The environment of a run: code, packages and hardware, as the manifest records them."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from instseg import __version__
from instseg.core.text import utf8_text
from instseg.runs.manifest import Git, Hardware, RunStart, add_start


def record_start(run: Path, command: Sequence[str], seed: int, data_fingerprint: str, processes: int) -> None:
    """Add this start to the manifest of a run.

    Args:
        run: its folder.
        command: what starts the program, such as ``instseg train``, and the overrides.
        seed: of the training.
        data_fingerprint: of the dataset.
        processes: number of ranks.

    Raises:
        RecordError: the manifest that lies there is damaged.
    """
    add_start(run, describe_start(command, seed, data_fingerprint, processes))


def describe_start(command: Sequence[str], seed: int, data_fingerprint: str, processes: int) -> RunStart:
    """Describe this start of a run.

    Args:
        command: what starts the program, such as ``instseg train``, and the overrides.
        seed: of the training.
        data_fingerprint: of the dataset.
        processes: number of ranks.
    """
    return RunStart(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        command=[utf8_text(argument) for argument in command],
        seed=seed,
        data_fingerprint=data_fingerprint,
        git=describe_git(Path(__file__).parents[1]),
        packages={"instseg": __version__, **package_versions()},
        processes=processes,
        hardware=describe_hardware(),
    )


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of every package that instseg requires."""
    names = [
        re.split(r"[^A-Za-z0-9_-]", need)[0]
        for need in importlib.metadata.requires("instseg") or []
        if "extra ==" not in need
    ]
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}


def describe_hardware() -> Hardware:
    """Describe this machine."""
    return Hardware(
        platform=platform.platform(),
        cpu=cpu_model(),
        cpu_cores=os.cpu_count(),
        torch_threads=torch.get_num_threads(),  # sums are rounded differently with another number
        gpus=[torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        cuda=torch.version.cuda,
    )


def cpu_model() -> str:
    """Return the processor's name, where the system knows it: another model may round differently."""
    with contextlib.suppress(OSError):
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
        if found:
            return found[1]
    return platform.processor() or platform.machine()


def describe_git(folder: Path) -> Git | None:
    """Describe the repository around a folder; None outside of one."""
    try:
        status = _git(folder, "status", "--porcelain", "--untracked-files=normal").splitlines()
        return Git(
            commit=_git(folder, "rev-parse", "HEAD").strip(),
            dirty_diff=_git(folder, "diff", "HEAD"),
            untracked=[line.removeprefix("?? ") for line in status if line.startswith("?? ")],
        )
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    """Return what git prints; bytes that are not UTF-8, as in the diff of a file in another encoding, are replaced."""
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, check=True, encoding="utf-8", errors="replace").stdout
