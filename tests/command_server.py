"""The process that the commands of the tests are forked from: a copy of the tests' own, as it is before the first test.

It has most of the imports behind it, which a server of multiprocessing's own making would do again.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from multiprocessing import forkserver, resource_tracker, util
from pathlib import Path
from unittest import mock


def start_server() -> None:
    """Have multiprocessing's fork server run in a fork of this process, unless there is one."""
    forkserver.set_forkserver_preload(["preloaded"])
    resource_tracker.ensure_running()
    with mock.patch.object(util, "spawnv_passfds", _fork):
        forkserver.ensure_running()


def _fork(executable: bytes, arguments: Sequence[str], descriptors: Sequence[int]) -> int:
    """Run in a fork what a new Python was to run; return the id of the process."""
    pid = os.fork()
    if pid == 0:
        try:
            _keep_only({0, 1, 2, *descriptors})
            sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))
            exec(arguments[-1], {})
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(0)
    return pid


def _keep_only(descriptors: set[int]) -> None:
    """Close the others: the pipes by which the process of the tests is known to have ended are among them."""
    end = max(int(path.name) for path in Path("/dev/fd").iterdir()) + 1
    for number in set(range(end)) - descriptors:
        os.closerange(number, number + 1)
