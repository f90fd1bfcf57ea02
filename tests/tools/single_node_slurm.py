"""A SLURM of one node, this machine, in a folder: munged, slurmctld and slurmd of the user who starts it.

Debian: ``apt-get install slurmctld slurmd slurm-client munge`` (they need not be enabled as services).

    python tests/tools/single_node_slurm.py FOLDER     # until Ctrl-C; prints the SLURM_CONF to export
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "scontrol", "squeue")
SEARCHED = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
READY_SECONDS = 30
CONFIG = """\
ClusterName=tests
SlurmctldHost={host}
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
MpiDefault=none
JobRequeue=1
KillWait=30
ReturnToService=2
NodeName={host} CPUs=4 State=UNKNOWN
PartitionName=tests Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str | None:
    """What this machine lacks to run it; None where it can."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=SEARCHED) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


@contextmanager
def single_node_slurm(folder: Path) -> Iterator[dict[str, str]]:
    """The environment in which ``sbatch`` and ``srun`` reach it. RuntimeError with its logs when it does not start."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    settings = folder / "slurm.conf"
    user, host = getpass.getuser(), socket.gethostname().split(".")[0]
    settings.write_text(CONFIG.format(host=host, user=user, folder=folder, ports=_free_ports()))
    environment = {**os.environ, "SLURM_CONF": str(settings), "PATH": SEARCHED}
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        for command in (_munged(folder), ["slurmctld", "-D"], ["slurmd", "-D"]):
            log = (folder / f"{command[0]}.out").open("wb")
            daemons.append(subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT))
            time.sleep(1)
        _wait_until_idle(folder, environment)
        yield environment
    finally:
        _cancel_all(environment)
        for daemon in reversed(daemons):
            daemon.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(20)
            daemon.kill()


def _munged(folder: Path) -> list[str]:
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    files = {"key": "key-file", "socket": "socket", "pid": "pid-file", "log": "log-file", "seed": "seed-file"}
    options = [f"--{option}={folder}/munge.{name}" for name, option in files.items()]
    return ["munged", "--foreground", "--force", *options]


def _free_ports() -> list[int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("", 0))
        second.bind(("", 0))
        return [first.getsockname()[1], second.getsockname()[1]]


def _wait_until_idle(folder: Path, environment: dict[str, str]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        states = subprocess.run(
            ["sinfo", "-h", "-o", "%t"], env=environment, capture_output=True, text=True, check=False
        )
        if states.stdout.strip() == "idle":
            return
        time.sleep(0.5)
    logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in folder.glob("*.out"))
    raise RuntimeError(f"SLURM did not start: sinfo says {states.stdout}{states.stderr}\n{logs}")


def _cancel_all(environment: dict[str, str]) -> None:
    subprocess.run(["scancel", "--full", "-u", getpass.getuser()], env=environment, capture_output=True, check=False)
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        queue = subprocess.run(["squeue", "-h"], env=environment, capture_output=True, text=True, check=False)
        if not queue.stdout.strip():
            return
        time.sleep(0.5)


if __name__ == "__main__":
    if reason := why_not():
        sys.exit(reason)
    with single_node_slurm(Path(sys.argv[1]).absolute()) as running, suppress(KeyboardInterrupt):
        print(f"export SLURM_CONF={running['SLURM_CONF']}", flush=True)
        signal.pause()
