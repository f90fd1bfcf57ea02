"""The search: trials are jobs, it learns from what it is told, and resumes after it was killed."""

import math
from types import SimpleNamespace

import pytest
import torch
from sweeping import info, record

from instseg.core.errors import InstsegError
from instseg.sweeps.failures import Pruned
from instseg.sweeps.optuna_search import JOURNAL, STUDY, OptunaSearch, storage
from instseg.sweeps.pruning import PruneHopeless
from instseg.sweeps.records import JobRecord
from instseg.sweeps.strategy import Context, Interval, Space
from instseg.sweeps.sweep_folder import SweepFolder

LR = Space(("seed=0",), {}, {"lr": Interval(1e-4, 1.0, is_log=True)})


def begun(tmp_path, space=LR, records=(), retry_failed=False, mode="max", setting=lambda key: None, **options):
    search = OptunaSearch(**{"num_trials": 30, **options})
    search.begin(space, Context(info(mode=mode), tmp_path, lambda overrides: setting), records, retry_failed)
    return search


def goodness(job):
    """Best at lr = 0.01."""
    return 1 - abs(math.log10(float(job.values["lr"])) + 2)


def run_all(search, told=lambda job: record(job.number, job.values, goodness(job))):
    jobs = []
    while asked := search.ask(1):
        jobs += asked
        search.tell(told(asked[0]))
    return jobs


def test_it_comes_closer_to_the_best_value(tmp_path):
    jobs = run_all(begun(tmp_path))
    assert [job.number for job in jobs] == list(range(30))
    assert max(map(goodness, jobs)) > 0.9
    early, late = (sum(goodness(job) for job in part) / 10 for part in (jobs[:10], jobs[-10:]))
    assert late > early


def test_the_direction_is_the_monitors(tmp_path):
    jobs = run_all(begun(tmp_path, mode="min"))
    early, late = (sum(goodness(job) for job in part) / 10 for part in (jobs[:10], jobs[-10:]))
    assert late < early


def test_a_trial_is_a_job_that_reports_to_the_study(tmp_path):
    (job,) = begun(tmp_path).ask(1)
    assert job.overrides[0] == "seed=0"
    assert job.overrides[1] == f"lr={job.values['lr']}"
    assert "+callbacks.pruning._target_=instseg.sweeps.pruning.PruneHopeless" in job.added
    (without,) = begun(tmp_path, prune=False).ask(1)
    assert without.composed == ("seed=0", f"lr={without.values['lr']}")


def test_lists_are_choices_and_whole_intervals_stay_whole(tmp_path):
    space = Space((), {"model": ("a", "b")}, {"size": Interval(2, 5)})
    for job in run_all(begun(tmp_path, space, num_trials=8), lambda job: record(job.number, job.values, 0.5)):
        assert job.values["model"] in ("a", "b") and job.values["size"] in ("2", "3", "4", "5")


def test_without_anything_typed_the_learning_rate_is_searched_around_what_it_is(tmp_path):
    jobs = run_all(
        begun(tmp_path, Space(), setting={"optimizer.lr": 0.01}.get, num_trials=8),
        lambda job: record(job.number, job.values, 0.5),
    )
    assert all(0.001 <= float(job.values["optimizer.lr"]) <= 0.1 for job in jobs)


def test_a_search_that_was_killed_resumes_with_the_trial_it_was_at_and_the_number_that_is_left(tmp_path):
    first = begun(tmp_path, num_trials=6)
    done = first.ask(1)[0]
    first.tell(record(done.number, done.values, goodness(done)))
    half_done = first.ask(1)[0]
    jobs = run_all(begun(tmp_path, num_trials=6, records=[JobRecord.of(half_done)]))
    assert jobs[0] == half_done
    assert [job.number for job in jobs] == [1, 2, 3, 4, 5]


def test_a_result_that_the_study_was_not_told_before_the_kill_is_told_now(tmp_path):
    job = begun(tmp_path, num_trials=1).ask(1)[0]
    again = begun(tmp_path, num_trials=1, records=[record(0, job.values, 0.7)])
    assert again.ask(1) == []
    assert again.study.best_value == 0.7


def test_diverging_values_count_as_bad_ones_and_other_failures_not_at_all(tmp_path):
    search = begun(tmp_path, num_trials=2)
    for kind in ("diverged", "error"):
        (job,) = search.ask(1)
        search.tell(record(job.number, job.values, state="failed", kind=kind))
    assert [trial.state.name for trial in search.study.trials] == ["PRUNED", "FAIL"]


def test_failed_trials_are_tried_again_under_new_numbers_when_asked(tmp_path):
    search = begun(tmp_path, num_trials=1)
    (job,) = search.ask(1)
    failed = record(job.number, job.values, state="failed", kind="error")
    search.tell(failed)
    folder = SweepFolder(tmp_path)
    folder.write(failed)
    (again,) = run_all(begun(tmp_path, num_trials=1, records=[failed], retry_failed=True))
    assert (again.number, dict(again.values)) == (1, dict(job.values))
    assert folder.read(0).state == "retried"


def test_a_retry_that_was_interrupted_is_still_to_be_tried_when_the_search_goes_on(tmp_path):
    first, folder = begun(tmp_path, num_trials=2), SweepFolder(tmp_path)
    for metric in (None, 0.5):
        (job,) = first.ask(1)
        ending = {"state": "failed", "kind": "error"} if metric is None else {}
        first.tell(folder.write(record(job.number, job.values, metric, **ending)))
    begun(tmp_path, num_trials=2, records=folder.records(), retry_failed=True)  # and Ctrl-C
    again = begun(tmp_path, num_trials=2, records=folder.records())
    (retried,) = run_all(again)
    assert (retried.number, dict(retried.values)) == (2, dict(folder.read(0).values))
    folder.write(record(2, retried.values, 0.6))
    assert begun(tmp_path, num_trials=2, records=folder.records()).ask(1) == []
    assert len(run_all(begun(tmp_path, num_trials=3, records=folder.records()))) == 1


def test_several_jobs_at_once_are_asked_for_together_but_not_so_many_that_none_could_learn(tmp_path):
    search = begun(tmp_path, num_trials=9, max_at_once=4)
    assert [len(search.ask(3)), len(search.ask(256)), len(search.ask(256))] == [3, 4, 2]


def test_no_trials_are_refused():
    with pytest.raises(InstsegError, match=r"sweep\.num_trials=0"):
        OptunaSearch(num_trials=0)


# --- giving up while training ---------------------------------------------------------------------------------------


def trainer(value, step, is_global_zero=True):
    strategy = SimpleNamespace(broadcast=lambda decision: decision)
    metrics = {"val/segm_map": torch.tensor(value)}
    return SimpleNamespace(
        callback_metrics=metrics, sanity_checking=False, is_global_zero=is_global_zero, strategy=strategy,
        global_step=step, estimated_stepping_batches=100,
    )  # fmt: skip


def pruning(tmp_path, number):
    return PruneHopeless("val/segm_map", str(tmp_path / JOURNAL), number, startup_trials=2, from_percent=20)


def trained(tmp_path, search, curve):
    """Validations at 10, 50, 90 % of the training; the callback is in a process of its own, as far as it knows."""
    (job,) = search.ask(1)
    callback = pruning(tmp_path, job.number)
    for step, value in zip((10, 50, 90), curve, strict=True):
        callback.on_validation_end(trainer(value, step), None)
    search.tell(record(job.number, job.values, curve[-1]))


def test_a_trial_worse_than_three_quarters_of_the_others_is_given_up(tmp_path):
    search = begun(tmp_path)
    trained(tmp_path, search, (0.1, 0.4, 0.5))
    trained(tmp_path, search, (0.1, 0.5, 0.6))
    trained(tmp_path, search, (0.0, 0.6, 0.7))  # worse at 10 %, which is before it is asked
    trained(tmp_path, search, (0.1, 0.47, 0.65))  # below the median, and not hopeless
    with pytest.raises(
        Pruned, match=r"given up after 50 % of the training: val/segm_map 0\.200, and three"
    ) as given_up:
        trained(tmp_path, search, (0.1, 0.2, 0.9))
    assert given_up.value.value == pytest.approx(0.2)


def test_another_rank_asks_nobody_and_follows_the_first(tmp_path):
    other = pruning(tmp_path, 0)
    made = trainer(0.1, 50, is_global_zero=False)
    other.on_validation_end(made, None)
    made.strategy.broadcast = lambda _: True
    with pytest.raises(Pruned):
        other.on_validation_end(made, None)
    assert not (tmp_path / JOURNAL).exists()


def test_the_journal_can_be_read_after_a_line_was_cut_off(tmp_path):
    search = begun(tmp_path)
    trained(tmp_path, search, (0.1, 0.4, 0.5))
    journal = tmp_path / JOURNAL
    journal.write_bytes(journal.read_bytes()[:-7])
    assert len(begun(tmp_path).ask(1)) == 1
    assert STUDY in {summary.study_name for summary in storage(journal).get_all_studies()}
