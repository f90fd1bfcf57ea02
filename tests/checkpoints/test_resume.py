"""A training that was stopped, however, ends with the same weights and curves as one that was not: bit for bit."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from described import TRAINING, entry
from killed_runs import EVERY_STEP, assert_equal, left_by, run

from instseg import __version__
from instseg.checkpoints.description import read_description
from instseg.checkpoints.event_files import rewind_event_files
from instseg.checkpoints.files import AtomicCheckpointIO
from instseg.checkpoints.resume import Resumable, check_resumable, find_resumable
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.runs.environment import package_versions
from instseg.training.averaging import AverageOfEpochs

IN_VALIDATION = "on_validation_batch_end"
KILLED, TERMINATED = -signal.SIGKILL, 128 + signal.SIGTERM


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("resume")


@pytest.mark.slow
def test_a_run_that_is_stopped_at_every_kind_of_moment_ends_like_one_that_is_not(place):
    assert run(place / "whole") == 0
    folder = place / "stopped"
    last, previous = (folder / f"checkpoints/{name}.ckpt" for name in ("last", "previous"))

    def stopped(kill: str) -> int:
        return run(folder, EVERY_STEP, kill=kill, resume=folder.is_dir())

    assert run(folder, kill="on_after_backward:1") == KILLED  # before there is a checkpoint
    assert not last.is_file()
    assert stopped("on_before_optimizer_step:3") == KILLED  # in a step in the middle of an epoch
    assert last.is_file()
    assert stopped("half_written:2") == KILLED  # while a checkpoint is written
    assert list(last.parent.glob(".last.ckpt.*.part"))
    assert stopped(f"{IN_VALIDATION}:2") == KILLED
    assert stopped(f"{IN_VALIDATION}:2:SIGTERM") == TERMINATED  # by a scheduler
    assert torch.load(last, weights_only=True)["instseg"]["training"]["validation_due"]
    assert stopped("on_after_backward:2:SIGTERM") == TERMINATED
    assert previous.is_file()
    last.write_bytes(last.read_bytes()[:-1000])  # by a power cut
    assert stopped("on_train_epoch_end:1") == KILLED
    folder = folder.rename(place / "moved")
    assert stopped("on_test_batch_end:1") == KILLED  # after the training
    assert run(folder, EVERY_STEP, resume=True) == 0
    assert_equal(left_by(folder), left_by(place / "whole"))
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == [
        "best.ckpt",
        "last.ckpt",
        "previous.ckpt",
    ]


def test_a_run_that_is_killed_in_the_middle_of_an_epoch_ends_like_one_that_is_not(place):
    ended_as_if_not_interrupted(place, "short", ("trainer.max_epochs=2",), ("on_before_optimizer_step:6",))


@pytest.mark.slow
def test_a_run_that_is_resumed_cuts_its_tiles_where_it_would_have(place):
    settings = ("augmentation=tiles", "trainer.max_epochs=2")
    ended_as_if_not_interrupted(place, "tiles", settings, ("on_before_optimizer_step:6",))


def ended_as_if_not_interrupted(place: Path, name: str, settings: tuple[str, ...], kills: tuple[str, ...]) -> Any:
    """What a run leaves, which is the same after these kills."""
    whole, cut = place / f"whole_{name}", place / f"cut_{name}"
    assert run(whole, *settings) == 0
    for kill in kills:
        assert run(cut, *settings, EVERY_STEP, kill=kill, resume=cut.is_dir()) in (KILLED, TERMINATED)
    assert run(cut, *settings, EVERY_STEP, resume=True) == 0
    expected = left_by(whole)
    assert_equal(left_by(cut), expected)
    return expected


STOPS_AFTER_THREE_VALIDATIONS = ("callbacks.early_stopping.patience=2", "+callbacks.early_stopping.min_delta=1000")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "kills", "steps"),
    [
        pytest.param(
            ("callbacks=ema", "callbacks.ema.decay=0.9", "trainer.accumulate_grad_batches=2",
             "trainer.precision=bf16-mixed", "trainer.val_check_interval=0.5", "trainer.max_steps=5"),
            ("on_after_backward:7", f"{IN_VALIDATION}:2:SIGTERM"), 5,
            id="moving average, accumulation, bf16, two validations an epoch, a maximum of steps",
        ),
        pytest.param(
            ("callbacks=[swa,early_stopping]", "callbacks.swa.start=0.2", *STOPS_AFTER_THREE_VALIDATIONS,
             "trainer.max_epochs=5", "scheduler=constant"),
            (f"{IN_VALIDATION}:5:SIGTERM", "on_after_backward:2"), 12,
            id="average of epochs, early stopping",
        ),
    ],
)  # fmt: skip
def test_what_lightning_can_do_besides_resumes_exactly_too(settings, kills, steps, place):
    settings += ("callbacks.pictures=null", "callbacks.curves=null")
    left = ended_as_if_not_interrupted(place, str(steps), settings, kills)
    assert left["steps"] == steps
    assert not all(torch.equal(left["current"][name], value) for name, value in left["weights"].items())


def test_a_validation_between_two_batches_whose_gradients_are_added_is_finished_before_the_run_stops(place):
    folder, added = place / "added", ("trainer.accumulate_grad_batches=2", "trainer.val_check_interval=1")
    assert run(folder, *added, kill=f"{IN_VALIDATION}:1:SIGTERM") == TERMINATED
    training = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["instseg"]["training"]
    assert training["batches"] == 2


@pytest.mark.slow
def test_an_average_with_a_schedule_of_its_own_resumes_in_the_middle_of_its_epoch(place):
    """Lightning's StochasticWeightAveraging, which puts its schedule in when an epoch starts or is resumed."""
    average = (
        "{_target_: pytorch_lightning.callbacks.StochasticWeightAveraging, swa_lrs: 1e-4, swa_epoch_start: 2, "
        "annealing_epochs: 2}"
    )
    settings = (f"+callbacks.average={average}", "model.norm=gn")
    left = ended_as_if_not_interrupted(place, "annealed", settings, ("on_after_backward:6",))
    rates = left["curves"]["lr"][1]
    assert rates[4] == rates[7] > rates[8], "one step of the schedule an epoch, once averaging has begun"


@pytest.mark.slow
def test_the_scale_of_losses_in_16_bits_resumes_as_well(place):
    settings = ("+callbacks.scaler._target_=killed_runs.ScalesLosses", "trainer.max_epochs=1")
    left = ended_as_if_not_interrupted(place, "scaled", settings, ("on_after_backward:3",))
    assert left["scaler"]["scale"] == 2**4 * 1024, "doubled in each step before the kill and after it"


def test_the_one_before_takes_the_place_of_a_damaged_checkpoint_and_the_log_says_so(tmp_path, caplog):
    io = AtomicCheckpointIO()
    for step in (1, 2):
        io.save_checkpoint({"instseg": entry(metrics={"step": step})}, tmp_path / "checkpoints/last.ckpt")
    last = tmp_path / "checkpoints/last.ckpt"
    last.write_bytes(last.read_bytes()[:-1000])
    assert find_resumable(tmp_path).description.metrics == {"step": 1}
    assert "last.ckpt is damaged: expected" in caplog.text
    assert "Resuming from previous.ckpt" in caplog.text


# --- what is not as it was ---

CATEGORIES = Categories(("car", "person"))
CONFIG = {"model": {"backbone": "resnet18", "norm": "gn"}, "batch_size": 2, "optimizer": {"lr": 1e-3}}


def resumable(batches: int = 0, **about: object) -> Resumable:
    said = {"config": CONFIG, "packages": package_versions(), "training": {**TRAINING, "batches": batches}, **about}
    return Resumable(Path("last.ckpt"), read_description({"instseg": entry(**said)}, Path("last.ckpt")))


def check(checkpoint: Resumable, config: dict = CONFIG, fingerprint: str = "f00", processes: int = 1) -> None:
    check_resumable(checkpoint, CATEGORIES, config, fingerprint, processes, resolved=["norm"])


@pytest.mark.slow
def test_another_learning_rate_and_weight_decay_are_used_from_the_resumed_step_on(place):
    folder, settings = place / "faster", ("scheduler=constant", "scheduler.warmup_steps=0", "trainer.max_epochs=2")
    assert run(folder, *settings, "optimizer.lr=1e-4", kill="on_after_backward:6", resume=False) == KILLED
    assert run(folder, *settings, "optimizer.lr=3e-4", "optimizer.weight_decay=0.5", resume=True) == 0
    rates = left_by(folder)["curves"]["lr"][1]
    assert rates[-1] == pytest.approx(3 * rates[0]) and len(set(rates)) == 2
    (optimizer,) = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["optimizer_states"]
    assert [group["weight_decay"] for group in optimizer["param_groups"]] == [0.5, 0.0]


def test_another_optimizer_is_refused_with_what_can_be_done():
    names = [{"_target_": f"instseg.training.optimizers.build_{name}", "lr": 0.001} for name in ("sgd", "adamw")]
    checkpoint = resumable(config={**CONFIG, "optimizer": names[0]})
    with pytest.raises(InstsegError, match=r"build_sgd in the checkpoint, build_adamw now.*model\.weights=last\.ckpt"):
        check(checkpoint, {**CONFIG, "optimizer": names[1]})


def test_another_monitored_metric_is_refused_since_it_cannot_be_compared_with_the_best_so_far():
    checkpoint = resumable(config={**CONFIG, "monitor": {"metric": "val/segm_map", "mode": "max"}})
    with pytest.raises(InstsegError, match=r"val/segm_map in the checkpoint, val/loss now.*model\.weights=last"):
        check(checkpoint, {**CONFIG, "monitor": {"metric": "val/loss", "mode": "min"}})


def test_nothing_is_said_where_all_is_as_it_was(caplog):
    check(resumable(batches=7), {**CONFIG, "model": {**CONFIG["model"], "norm": "auto"}})
    assert not caplog.records


def test_other_categories_and_another_network_are_refused_with_the_difference():
    with pytest.raises(InstsegError, match="only in checkpoint: dog; only in dataset: person"):
        check(resumable(categories=["car", "dog"]))
    with pytest.raises(InstsegError, match=r"model\.backbone: resnet18 in the checkpoint, resnet50 now"):
        check(resumable(), {**CONFIG, "model": {"backbone": "resnet50", "norm": "gn"}})


def test_other_settings_packages_and_data_are_named_and_accepted_between_two_epochs(caplog):
    packages = {**package_versions(), "torch": "1.0"}
    check(resumable(packages=packages), {**CONFIG, "batch_size": 4, "optimizer": {"lr": 1e-2}}, "ba2", 2)
    for name, then, now in (("batch_size", 2, 4), ("optimizer.lr", 0.001, 0.01), ("data", "f00", "ba2")):
        assert f"{name}: {then} in the checkpoint, {now} now" in caplog.text
    assert "processes: 1 in" in caplog.text
    assert "torch: 1.0 in" in caplog.text


def test_another_version_of_instseg_is_named(caplog):
    check(resumable(version="0.0.9"))
    assert f"instseg: 0.0.9 in the checkpoint, {__version__} now" in caplog.text


@pytest.mark.parametrize(("ahead_s", "warnings"), [(3600, 1), (-3600, 0)])
def test_a_clock_that_has_gone_back_is_named_for_tensorboard_orders_its_files_by_it(
    tmp_path, caplog, ahead_s, warnings
):
    name = f"events.out.tfevents.{int(time.time()) + ahead_s}.host.1.0"
    (tmp_path / name).write_bytes(b"before, and after")
    rewind_event_files(tmp_path, {name: 6})
    assert (tmp_path / name).read_bytes() == b"before"
    assert [record.message.startswith("the clock has gone back") for record in caplog.records] == [True] * warnings


def test_an_average_of_the_last_epochs_needs_to_know_how_many_there_are_before_the_first_step():
    with pytest.raises(InstsegError, match=r"trainer\.max_epochs does not say how many"):
        AverageOfEpochs(0.5).on_fit_start(SimpleNamespace(max_epochs=-1), None)


def test_an_option_that_there_was_not_is_no_difference_while_it_is_null(caplog):
    check(resumable(batches=5), {**CONFIG, "repeat_threshold": None})
    assert not caplog.text
    with pytest.raises(InstsegError, match=r"middle of epoch.*repeat_threshold: absent in the checkpoint, 0\.1 now"):
        check(resumable(batches=5), {**CONFIG, "repeat_threshold": 0.1})


def test_another_batch_size_is_refused_in_the_middle_of_an_epoch():
    with pytest.raises(InstsegError, match=r"middle of epoch 3, after 5 batches.*batch_size: 2 in the"):
        check(resumable(batches=5), {**CONFIG, "batch_size": 4})


def test_an_end_before_the_checkpoint_is_refused():
    for end in (1, 2):
        with pytest.raises(InstsegError, match=rf"max_epochs={end}: the run to resume has done 3 epochs; expected as"):
            check(resumable(), {**CONFIG, "trainer": {"max_epochs": end}})
    for end in (3, 9, -1, None):
        check(resumable(), {**CONFIG, "trainer": {"max_epochs": end}})


def test_a_format_without_the_state_of_the_training_predicts_and_does_not_resume():
    with pytest.raises(InstsegError, match=r"no state of a training.*format 1.*model\.weights=last\.ckpt"):
        check(resumable(format=1, training=None))


def test_a_run_both_of_whose_checkpoints_are_damaged_is_not_started_over(tmp_path):
    for name in ("last.ckpt", "previous.ckpt"):
        AtomicCheckpointIO().save_checkpoint({"instseg": entry()}, tmp_path / "checkpoints" / name)
        (tmp_path / "checkpoints" / name).write_bytes(b"PK\x03\x04" + b"x" * 100)
    with pytest.raises(InstsegError, match=r"nothing left to resume from: .*last\.ckpt.*previous\.ckpt"):
        find_resumable(tmp_path)
