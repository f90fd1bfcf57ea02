"""Two runs never write into one folder, and a dead one holds nobody up."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from mutating import read_damaged_files

from instseg.core.errors import InstsegError
from instseg.runs import ownership
from instseg.runs.ownership import OWNER_FILE, read_owner, refuse_if_owned, sole_owner


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


def test_an_owner_on_another_machine_is_considered_dead_only_when_it_shows_no_sign_of_life(tmp_path, monkeypatch):
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


def test_a_check_before_anything_is_written_sees_a_live_owner_on_another_machine(tmp_path, monkeypatch):
    path = tmp_path / OWNER_FILE
    monkeypatch.setattr(ownership, "_dead", [])
    monkeypatch.setattr(ownership.time, "sleep", lambda _: os.utime(path, (7, 7)))
    path.write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": "2026-01-31 12:00:00"}))
    with pytest.raises(InstsegError, match="process 1 on elsewhere since 2026-01-31"):
        refuse_if_owned(tmp_path)


def test_a_half_written_owner_file_was_left_by_a_killed_process_and_the_folder_is_free(tmp_path):
    (tmp_path / OWNER_FILE).write_text('{"version": 1, "pid": 4711, "ho')
    with sole_owner(tmp_path):
        assert read_owner(tmp_path / OWNER_FILE).pid == os.getpid()


@pytest.mark.parametrize(("content", "said"), [
    ('{"pid": "one", "host": "a", "since": "b"}', "field pid: expected `int`, found `str`"),
    ('{"version": 9}', "field version: expected 1, found 9; update instseg, or"),
])  # fmt: skip
def test_an_owner_file_that_another_version_wrote_is_refused_and_not_overwritten(tmp_path, content, said):
    path = tmp_path / OWNER_FILE
    path.write_text(content)
    with pytest.raises(InstsegError, match=rf"\.owner\.json: {said}.*remove the file if no run writes to this"):
        refuse_if_owned(tmp_path)
    assert path.read_text() == content


def test_whatever_is_wrong_with_an_owner_file_is_one_kind_of_error_or_no_owner(tmp_path, tries):
    good = {"version": 1, "pid": 1, "host": "elsewhere", "since": "2026-01-31 12:00:00"}
    path = tmp_path / OWNER_FILE
    path.write_text(json.dumps(good))
    tried, refused = read_damaged_files(path, lambda: read_owner(path), 2 * tries)
    assert tried > 2 * tries and refused > 0.2 * tried


@pytest.mark.parametrize("name", [OWNER_FILE, "config.yaml", "events.out.tfevents.1", ".hydra", "pictures/val.png"])
@pytest.mark.parametrize("own", [refuse_if_owned, lambda run: sole_owner(run).__enter__()])
def test_a_run_folder_is_not_written_through_links_that_lie_in_it(tmp_path, name, own):
    (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "diary").write_text("dear diary")
    (tmp_path / "run" / name).symlink_to(tmp_path / "diary")
    with pytest.raises(InstsegError, match=f"{name}: expected a file or folder, found a link to .*diary"):
        own(tmp_path / "run")
    assert (tmp_path / "diary").read_text() == "dear diary"


def test_checkpoints_may_lie_on_another_disk_and_a_pipe_is_not_waited_for(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoints").symlink_to(tmp_path / "disk")
    with sole_owner(tmp_path / "run"):
        pass
    (tmp_path / "run" / OWNER_FILE).unlink()
    os.mkfifo(tmp_path / "run" / OWNER_FILE)
    with pytest.raises(InstsegError, match="expected a file or folder, found a pipe or device"):
        refuse_if_owned(tmp_path / "run")
