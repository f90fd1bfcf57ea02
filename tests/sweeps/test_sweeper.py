"""The sweeper: every job is recorded, none ends the others, and a second start runs what is missing."""

from pathlib import Path

import pytest
from described import entry
from msgspec.structs import replace
from sweeping import states, swept

from instseg.checkpoints.files import AtomicCheckpointIO, DiskFullError
from instseg.checkpoints.resume import find_resumable
from instseg.core.errors import InstsegError
from instseg.sweeps.failures import ProcessDiedError
from instseg.sweeps.sweep_folder import SweepFolder


class NonFiniteLossError(InstsegError):
    """Named as the training's own."""


class Training:
    """Its metric is its learning rate; some learning rates end it."""

    def __init__(self, **ends):
        self.ends, self.calls = ends, []

    def __call__(self, config):
        self.calls.append((config.optimizer.lr, config.resume))
        error = self.ends.get(f"lr_{config.optimizer.lr:g}")
        if error is not None:
            raise error
        return config.optimizer.lr


def folder_of(tmp_path: Path) -> SweepFolder:
    return SweepFolder(tmp_path / "sweeps" / "one")


def test_every_combination_is_run_and_recorded(tmp_path):
    folder = swept(tmp_path, Training(), "optimizer.lr=1,2", "batch_size=2,4")
    records = folder.records()
    assert [dict(r.values) for r in records] == [
        {"optimizer.lr": lr, "batch_size": size} for lr in ("1", "2") for size in ("2", "4")
    ]
    assert [r.metric for r in records] == [1, 1, 2, 2]
    assert len({r.run_dir for r in records}) == 4, "each has a run folder of its own"
    assert {"leaderboard.csv", "leaderboard.png", "multirun.yaml"} <= {path.name for path in folder.path.iterdir()}


def test_jobs_that_fail_are_recorded_with_their_reason_and_the_others_go_on(tmp_path):
    train = Training(
        lr_7=NonFiniteLossError("the loss is not finite at step 3"),
        lr_8=ValueError("nobody thought of this"),
        lr_9=MemoryError(),
    )
    with pytest.raises(InstsegError, match="3 of 4 jobs failed"):
        swept(tmp_path, train, "optimizer.lr=7,8,9,1")
    folder = folder_of(tmp_path)
    assert states(folder) == ["failed", "failed", "failed", "done"]
    assert [record.reason for record in folder.records()] == [
        "diverged: the loss is not finite at step 3",
        "ValueError: nobody thought of this",
        "out of memory",
        None,
    ]
    assert "ValueError: nobody thought of this" in folder.traceback_file(1).read_text()


def test_a_combination_that_cannot_be_composed_fails_alone_and_says_what_was_meant(tmp_path):
    with pytest.raises(InstsegError, match="1 of 2 jobs failed"):
        swept(tmp_path, Training(), "model=small,r50")
    _, wrong = folder_of(tmp_path).records()
    assert wrong.reason.startswith("model=r50: there is no such option. Did you mean r50fpn?")


def test_a_key_that_only_one_option_has_fails_with_the_other_and_the_next_job_runs(tmp_path):
    with pytest.raises(InstsegError, match="1 of 2 jobs failed"):
        swept(tmp_path, Training(), "optimizer=sgd,adamw", "optimizer.betas=[0.8,0.9]")
    wrong, right = folder_of(tmp_path).records()
    assert "optimizer.betas: there is no such key. optimizer=adamw would have it" in wrong.reason
    assert right.state == "done"


def test_a_second_start_runs_nothing_that_is_done_and_failed_jobs_only_when_asked(tmp_path):
    with pytest.raises(InstsegError):
        swept(tmp_path, Training(lr_2=ValueError("once")), "optimizer.lr=1,2")
    again, asked = Training(), Training()
    with pytest.raises(InstsegError, match="1 of 2 jobs failed"):
        swept(tmp_path, again, "optimizer.lr=1,2")
    swept(tmp_path, asked, "optimizer.lr=1,2", "retry_failed=true")
    assert (again.calls, asked.calls) == ([], [(2, None)])
    assert states(folder_of(tmp_path)) == ["done", "done"]


def test_ctrl_c_keeps_what_is_done_says_how_to_resume_and_the_job_resumes_from_its_last_checkpoint(tmp_path, capsys):
    def train(config):
        if config.optimizer.lr == 2:
            last = Path(config.run_dir) / "checkpoints" / "last.ckpt"
            last.parent.mkdir()
            last.write_bytes(b"half")
            raise KeyboardInterrupt
        return 1.0

    with pytest.raises(SystemExit) as ended:
        swept(tmp_path, train, "optimizer.lr=1,2,3")
    assert ended.value.code == 130
    folder = folder_of(tmp_path)
    assert f"train.py resume={folder.path}" in capsys.readouterr().err
    assert states(folder) == ["done", "interrupted"]
    half = folder.records()[1].run_dir
    again = Training()
    swept(tmp_path, again, "optimizer.lr=1,2,3")
    assert again.calls == [(2, half), (3, None)]
    assert folder.records()[1].run_dir == half


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_job_resumes_from_the_checkpoint_before_where_the_last_is_damaged_or_gone(tmp_path, is_gone):
    place = tmp_path / "photos, new = [2] (May)"

    def killed_while_saving(config):
        io, last = AtomicCheckpointIO(), Path(config.run_dir) / "checkpoints" / "last.ckpt"
        for step in (1, 2):
            io.save_checkpoint({"instseg": entry(metrics={"step": step})}, last)
        if is_gone:
            last.unlink()
        else:
            last.write_bytes(last.read_bytes()[:-1000])
        raise SystemExit(137)

    def goes_on(config):
        assert config.resume == config.run_dir
        return find_resumable(Path(config.resume)).description.metrics["step"]

    with pytest.raises(SystemExit):
        swept(place, killed_while_saving, "optimizer.lr=choice(1)")
    (record,) = swept(place, goes_on, "optimizer.lr=choice(1)").records()
    assert (record.state, record.metric) == ("done", 1)


def test_a_job_that_was_stopped_before_it_was_saved_starts_over_in_its_folder(tmp_path):
    with pytest.raises(SystemExit):
        swept(tmp_path, Training(lr_1=KeyboardInterrupt()), "optimizer.lr=1,2")
    (begun,) = folder_of(tmp_path).records()
    again = Training()
    swept(tmp_path, again, "optimizer.lr=1,2")
    assert again.calls == [(1, begun.run_dir), (2, None)]


def test_a_sweep_without_values_to_try_says_what_it_needs(tmp_path):
    with pytest.raises(InstsegError, match="a sweep needs values to try"):
        swept(tmp_path, Training(), "sweep=grid")


def test_intervals_are_for_the_search(tmp_path):
    with pytest.raises(InstsegError, match="intervals are for sweep=optuna"):
        swept(tmp_path, Training(), "optimizer.lr=interval(1,2)")


def test_other_values_in_the_same_folder_are_refused(tmp_path):
    swept(tmp_path, Training(), "optimizer.lr=1,2")
    with pytest.raises(InstsegError, match="Resume with the command that started the sweep"):
        swept(tmp_path, Training(), "optimizer.lr=1,3")


def test_a_full_disk_stops_the_sweep_and_the_job_resumes_when_there_is_room(tmp_path):
    train = Training(lr_1=DiskFullError("last.ckpt cannot be written, the disk is full: 9 MB are needed. …"))
    with pytest.raises(InstsegError, match=r"the disk is full: 9 MB are needed\. Make room.*resume=\S+/sweeps/one$"):
        swept(tmp_path, train, "optimizer.lr=1,2")
    assert train.calls == [(1, None)], "the other job would meet the same disk"
    (begun,) = folder_of(tmp_path).records()
    assert begun.state == "interrupted"
    again = Training()
    swept(tmp_path, again, "optimizer.lr=1,2")
    assert again.calls == [(1, begun.run_dir), (2, None)]


def test_a_job_of_several_ranks_whose_processes_die_is_started_again_and_given_up_in_the_end(tmp_path):
    train = Training(lr_1=ProcessDiedError("the processes of this job ended with code -9"))
    with pytest.raises(InstsegError, match="1 of 2 jobs failed"):
        swept(tmp_path, train, "optimizer.lr=1,2")
    dead, done = folder_of(tmp_path).records()
    assert [lr for lr, _ in train.calls] == [1, 1, 1, 2]
    assert (dead.state, dead.kind, done.state) == ("failed", "crashed", "done")
    assert dead.reason.startswith("its process died 3 times")


def test_a_job_that_has_killed_the_sweep_three_times_is_given_up_and_the_next_is_reached(tmp_path):
    with pytest.raises(SystemExit):
        swept(tmp_path, Training(lr_1=KeyboardInterrupt()), "optimizer.lr=1,2")
    folder, again = folder_of(tmp_path), Training()
    folder.write(replace(folder.read(0), state="running", attempts=3))  # as SIGKILL leaves it
    with pytest.raises(InstsegError, match=r"1 of 2 jobs failed.*its process died 3 times"):
        swept(tmp_path, again, "optimizer.lr=1,2")
    assert again.calls == [(2, None)]


def test_a_sweep_that_is_refused_at_its_start_leaves_no_folder_of_its_own(tmp_path):
    with pytest.raises(InstsegError, match="intervals are for sweep=optuna"):
        swept(tmp_path, Training(), "optimizer.lr=interval(1,2)")
    assert list(tmp_path.iterdir()) == []
    note = folder_of(tmp_path).path / "mine.txt"
    note.parent.mkdir(parents=True)
    note.write_text("filled by somebody")
    with pytest.raises(InstsegError):
        swept(tmp_path, Training(), "optimizer.lr=interval(1,2)")
    assert note.read_text()


def test_the_line_of_a_job_has_its_values_short(tmp_path, capsys):
    swept(tmp_path, Training(), "optimizer.lr=0.0012345678901234567,0.002")
    assert "job 0 done, val/segm_map 0.001235: optimizer.lr=0.001235\n" in capsys.readouterr().out
