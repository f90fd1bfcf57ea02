"""Two runs never write into one folder, and a dead one holds nobody up."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from instseg.core.errors import InstsegError
from instseg.runs import ownership
from instseg.runs.ownership import OWNER_FILE, refuse_if_owned, sole_owner


class OtherRun:
    """A process that owns a folder until it is killed."""

    def __init__(self, folder: Path) -> None:
        hears, says = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            with sole_owner(folder):
                os.write(says, b"!")
                signal.pause()
        os.read(hears, 1)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def test_a_second_run_is_refused_with_the_process_of_the_first(tmp_path):
    other = OtherRun(tmp_path)
    try:
        for attempt in (lambda: refuse_if_owned(tmp_path), lambda: sole_owner(tmp_path).__enter__()):
            with pytest.raises(InstsegError, match=rf"is being written to by process {other.pid} on \S+ since 20"):
                attempt()
    finally:
        other.kill()


def test_the_folder_of_a_killed_run_is_free_at_once(tmp_path):
    OtherRun(tmp_path).kill()
    assert json.loads((tmp_path / OWNER_FILE).read_text())["pid"]
    refuse_if_owned(tmp_path)
    with sole_owner(tmp_path):
        assert json.loads((tmp_path / OWNER_FILE).read_text())["pid"] == os.getpid()
    assert (tmp_path / OWNER_FILE).read_text() == ""


def test_a_process_does_not_own_a_folder_twice(tmp_path):
    with sole_owner(tmp_path), pytest.raises(InstsegError, match=f"by process {os.getpid()}"), sole_owner(tmp_path):
        pytest.fail("owned twice")
    with sole_owner(tmp_path):
        pass


def test_an_owner_on_another_machine_is_believed_dead_only_when_it_is_not_seen_to_live(tmp_path, monkeypatch):
    monkeypatch.setattr(ownership, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(ownership, "_dead", [])
    path = tmp_path / OWNER_FILE
    path.write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": "2026-01-31 12:00:00"}))
    with sole_owner(tmp_path):
        pass
    path.write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": "2026-01-31 12:00:00"}))
    monkeypatch.setattr(ownership, "_dead", [])
    times = iter(range(10))
    monkeypatch.setattr(ownership.time, "sleep", lambda _: os.utime(path, (next(times), 0)))
    with pytest.raises(InstsegError, match="process 1 on elsewhere since 2026-01-31"), sole_owner(tmp_path):
        pytest.fail("owned")


def test_an_owner_on_another_machine_is_waited_for_before_anything_is_written_and_only_once(tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr(ownership.time, "sleep", waited.append)
    monkeypatch.setattr(ownership, "_dead", [])
    (tmp_path / OWNER_FILE).write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": "2026-01-31 12:00:00"}))
    refuse_if_owned(tmp_path)
    with sole_owner(tmp_path):
        assert waited == [10.0, 10.0, 10.0]


def test_a_look_before_anything_is_written_sees_an_owner_that_lives_on_another_machine(tmp_path, monkeypatch):
    path = tmp_path / OWNER_FILE
    monkeypatch.setattr(ownership, "_dead", [])
    monkeypatch.setattr(ownership.time, "sleep", lambda _: os.utime(path, (7, 7)))
    path.write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": "2026-01-31 12:00:00"}))
    with pytest.raises(InstsegError, match="process 1 on elsewhere since 2026-01-31"):
        refuse_if_owned(tmp_path)
