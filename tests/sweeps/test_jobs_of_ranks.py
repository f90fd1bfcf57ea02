"""Jobs that are commands of their own, because they have several ranks: what the sweep makes of their end."""

import json
import sys
from pathlib import Path

import pytest
from sampled import first
from sweeping import swept

from instseg.app import own_process
from instseg.app.config import RunConfig
from instseg.app.job import current_job
from instseg.app.read_config import read_config
from instseg.core.errors import InstsegError
from instseg.sweeps.sweep_folder import SweepFolder

KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
ENDED = "raise SystemExit(1)"
NOTING = """
import json, os, pathlib
pathlib.Path(os.environ["INSTSEG_FAILURE_NOTE"]).write_text(json.dumps(%r))
raise SystemExit(1)
"""


def note(kind, message):
    return {"kind": kind, "message": message, "value": None}


def run_in_own_processes(config):
    return own_process.run_in_own_processes(current_job(), read_config(config, RunConfig))


def first_record(tmp_path, monkeypatch, script, train=run_in_own_processes):
    """Of a sweep whose jobs run this script in the place of train.py."""
    (tmp_path / "train.py").write_text(script)
    monkeypatch.setattr(own_process, "TRAIN", (sys.executable, str(tmp_path / "train.py")))
    with pytest.raises(InstsegError, match="1 of 1 job failed"):
        swept(tmp_path, train, "optimizer.lr=choice(1)")
    return SweepFolder(tmp_path / "sweeps" / "one").read(0)


@pytest.mark.parametrize(
    "script", first(1, [KILLED, NOTING % note("RankEndedError", "rank 1 has ended: killed, or …")])
)
def test_a_rank_that_is_killed_is_a_death_of_the_jobs_process_like_any_other(tmp_path, monkeypatch, script):
    record = first_record(tmp_path, monkeypatch, script)
    assert (record.kind, record.reason) == ("crashed", "its process died 3 times, killed or out of memory")


def test_an_error_that_the_ranks_have_noted_is_the_jobs_own(tmp_path, monkeypatch):
    record = first_record(tmp_path, monkeypatch, NOTING % note("NonFiniteLossError", "nan at step 2"))
    assert (record.reason, record.attempts) == ("diverged: nan at step 2", 1)


def test_what_an_earlier_attempt_has_noted_is_not_taken_for_this_ones_end(tmp_path, monkeypatch):
    def begun_before(config):
        earlier = Path(config.run_dir) / ".failure.json"
        earlier.write_text(json.dumps(note("NonFiniteLossError", "nan at step 2")))
        return run_in_own_processes(config)

    record = first_record(tmp_path, monkeypatch, ENDED, begun_before)
    assert record.reason.startswith("RuntimeError: the processes of this job ended with code 1")
