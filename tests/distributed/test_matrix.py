"""One process or two, as a run, a sweep or by torchrun: fit, resume and test do the same, and write down one run."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from typed_commands import Command, Done, train, train_as_ranks, wait_until

pytestmark = pytest.mark.timeout(900)  # the first test waits for all fits
TINY = (
    "dataset.num_images={train: 4, val: 3, test: 3}", "num_workers=0", "callbacks.progress=null", "model.norm=gn",
    "callbacks.pictures=null", "callbacks.curves=null", "trainer.num_sanity_val_steps=0", "trainer.log_every_n_steps=1",
    "model.box.score_threshold=0",
)  # fmt: skip
SINGLE = ("trainer=cpu", "batch_size=2")
TWO = ("trainer=ddp", "trainer.accelerator=cpu", "batch_size=1")
CASES = [(launch, size) for launch in ("run", "multirun", "torchrun") for size in (1, 2)]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("matrix")


def start(place: Path, launch: str, size: int, *arguments: str) -> Path:
    """Run one command; the folder that it wrote to, which is the only new one."""
    outputs = place / f"{launch}_{size}"
    known = set(outputs.glob("shapes_small/2*"))
    typed = [*TINY, *(SINGLE if size == 1 else TWO), f"outputs={outputs}", f"cache_dir={place}/data", *arguments]
    if launch == "torchrun":
        done = train_as_ranks(size, *typed)
        assert [rank.code for rank in done] == [0] * size, done[0].output[-3000:] + done[-1].output[-3000:]
        assert not any(re.search("INFO|Average precision", rank.output) for rank in done[1:])
    else:
        devices = [f"trainer.devices={size}"] if size > 1 else []
        done = [train(*typed, *devices, *(["seed=choice(0)", "-m"] if launch == "multirun" else []))]
    (folder,) = set(outputs.glob("shapes_small/2*")) - known or {said_folder(done[0])}
    return folder


def said_folder(done: Done) -> Path:
    return Path(re.findall(r"^(/\S+/2\S+)$", done.output, re.M)[-1])


def metrics_of(run: Path, prefix: str = "") -> dict[str, float]:
    metrics = json.loads((run / "metrics.json").read_text())
    return {name: value for name, value in metrics.items() if name.startswith(prefix)}


def writers(run: Path) -> set[str]:
    """The processes whose TensorBoard files lie there: <time>.<host>.<process>.<number>."""
    return {path.name.split(".")[-2] for path in run.glob("events.out.tfevents.*")}


@pytest.fixture(scope="module")
def fitted(place):
    """The folder of a run of one epoch, for each way of starting it."""
    return {case: start(place, *case, "trainer.max_epochs=1") for case in CASES}


@pytest.mark.parametrize(("launch", "size"), CASES)
def test_a_fit_leaves_one_folder_with_one_of_everything(fitted, launch, size):
    run = fitted[launch, size]
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 2
    assert metrics_of(run, "val/") and metrics_of(run, "test/")
    assert len(writers(run)) == 1
    assert len(json.loads((run / "manifest.json").read_text())["starts"]) == 1


@pytest.mark.parametrize("size", [1, 2])
def test_how_a_training_is_started_changes_nothing_about_it(fitted, size):
    run, *others = (metrics_of(fitted[launch, size]) for launch in ("run", "multirun", "torchrun"))
    for other in others:
        assert {k: v for k, v in other.items() if k != "images_per_second"} == {
            k: v for k, v in run.items() if k != "images_per_second"
        }


@pytest.mark.parametrize(("launch", "size"), [case for case in CASES if case[0] != "multirun"])
def test_a_resumed_fit_goes_on_in_its_folder(place, fitted, launch, size):
    outputs = place / f"{launch}_{size}_resumed"
    run = outputs / "shapes_small" / "2000-01-01"
    shutil.copytree(fitted[launch, size], run)
    assert start(place, launch, size, "trainer.max_epochs=2", f"resume={run}") == run
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 4
    assert len(json.loads((run / "manifest.json").read_text())["starts"]) == 2


@pytest.mark.parametrize("size", [1, 2])
def test_a_sweep_that_was_interrupted_goes_on_in_the_folder_of_its_job(place, size):
    outputs, devices = place / f"interrupted_{size}", [f"trainer.devices={size}"] if size > 1 else []
    typed = [*TINY, *(SINGLE if size == 1 else TWO), *devices, f"outputs={outputs}", f"cache_dir={place}/data"]
    command = Command([*typed, "trainer.max_epochs=12", "seed=choice(0)", "-m"])
    wait_until(lambda: list(outputs.glob("shapes_small/2*/checkpoints/last.ckpt")), command)
    command.press_ctrl_c()
    assert command.wait().code == 130
    (sweep,) = outputs.glob("sweeps/2*")
    assert train(f"resume={sweep}", f"outputs={outputs}").code == 0
    (run,) = outputs.glob("shapes_small/2*")
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 24
    assert len(json.loads((run / "manifest.json").read_text())["starts"]) == 2


@pytest.mark.parametrize(("launch", "size"), CASES)
def test_a_checkpoint_measures_the_same_to_the_last_digit(place, fitted, launch, size):
    """Three images on two ranks: no image counts twice. A mean of losses is added up in another order."""
    checkpoint = fitted["run", 1] / "checkpoints" / "best.ckpt"
    tested = start(place, launch, size, "stage=test", f"checkpoint={checkpoint}", "trainer.max_epochs=1")
    here, there = metrics_of(tested, "test/"), metrics_of(fitted["run", 1], "test/")
    losses = {name for name in there if "/loss" in name}
    assert here.keys() == there.keys() and there["test/num_images"] == 3
    assert {k: here[k] for k in here.keys() - losses} == {k: there[k] for k in there.keys() - losses}
    assert {k: here[k] for k in losses} == pytest.approx({k: there[k] for k in losses}, rel=1e-5)


def test_a_step_of_two_ranks_is_a_step_of_one_that_accumulates_their_images(place):
    """With everything sampled, so that no random numbers are left; up to float rounding."""
    everything = ("model.rpn.batch_size_per_image=100000", "model.box.batch_size_per_image=100000", "optimizer=sgd")
    alike = (*everything, "trainer.max_epochs=2", "batch_size=1")
    one = start(place, "run", 1, *alike, "trainer.accumulate_grad_batches=2")
    two = start(place, "run", 2, *alike)
    alone, together = (
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for run in (one, two)
    )
    assert max((alone[key] - together[key]).abs().max() for key in alone) < 1e-5
    here, there = metrics_of(one, "val/loss"), metrics_of(two, "val/loss")
    assert here == pytest.approx(there, rel=1e-4)
