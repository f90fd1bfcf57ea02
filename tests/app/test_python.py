"""Training, measuring and predicting from Python: as the commands do, and the process is left as it was found."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from killed_runs import SHORT
from typed_commands import Command

import instseg
from instseg.checkpoints.last_checkpoint import LastCheckpoint
from instseg.data.reading.images import read_image

EVERYTHING = "model.box.score_threshold=0"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("python")


def overrides(place: Path, *others: str) -> list[str]:
    return [*SHORT, f"outputs={place}/outputs", f"cache_dir={place}/data", *others]


@pytest.fixture(scope="module")
def own_configs(place):
    experiment = place / "my conf" / "experiment" / "own.yaml"
    experiment.parent.mkdir(parents=True)
    experiment.write_text("# @package _global_\nseed: 7\n")
    return experiment.parents[1]


@pytest.fixture(scope="module")
def run(place, own_configs):
    return instseg.train(*overrides(place, "trainer.max_epochs=1", "experiment=own"), config_dir=own_configs)


@pytest.fixture(scope="module")
def images(place, run):
    return sorted(next((place / "data").glob("shapes_*/test")).iterdir())


def globals_of_the_process() -> list[object]:
    return [
        dict(os.environ), [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        list(warnings.filters), list(logging.getLogger().handlers), logging.getLogger().level,
        GlobalHydra.instance().hydra, HydraConfig.instance().cfg, Path.cwd(),
    ]  # fmt: skip


def test_importing_the_package_is_quick_because_it_loads_no_torch():
    code = "import sys, instseg; sys.exit('torch' in sys.modules or 'hydra' in sys.modules or not dir(instseg))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_is_there_and_no_other():
    for name in instseg.__all__:
        assert getattr(instseg, name).__doc__
    assert not isinstance(instseg.audit, type(instseg))
    with pytest.raises(AttributeError, match="has no attribute 'predict'"):
        _ = instseg.predict


def test_a_run_has_its_folder_its_metrics_and_its_checkpoints(run, place):
    assert run.folder.parent == place / "outputs" / "shapes_small"
    assert run.metrics == json.loads((run.folder / "metrics.json").read_text())
    assert "test/segm_map" in run.metrics
    assert run.best == run.folder / "checkpoints" / "best.ckpt"
    assert run.last == run.folder / "checkpoints" / "last.ckpt"
    assert (run.folder / ".hydra" / "overrides.yaml").is_file()
    assert "Resumed" not in (run.folder / "train.log").read_text()
    assert repr(run).startswith(f"Run({run.folder}, ")
    assert instseg.Run(run.folder, config_dir=run.config_dir) == run


def test_predictions_are_those_of_the_command_to_the_bit(run, place, images):
    model = instseg.load(run, EVERYTHING, device="cpu")
    arguments = [f"checkpoint={run.best}", EVERYTHING, f"source={images[0].parent}", f"output={place}/command"]
    done = Command([*arguments, "save=coco", "score_threshold=0", "device=cpu"], script="predict.py").wait()
    assert done.code == 0, done.output
    typed = json.loads((place / "command" / "predictions.json").read_text())["annotations"]
    given = [Path(image) for image in images]
    for results in (model.predict(given, score_threshold=0), model.predict_folder(images[0].parent, score_threshold=0)):
        ours = [annotation for result in results for annotation in result.to_coco()["annotations"]]
        assert len(ours) > 3
        keys = ("image_id", "category_id", "bbox", "score", "segmentation", "area")
        assert [[a[key] for key in keys] for a in ours] == [[a[key] for key in keys] for a in typed]


def test_arrays_and_batches_are_predicted_as_files_are(run, images):
    model = instseg.load(run, EVERYTHING, device="cpu")
    expected = model.predict(images, score_threshold=0)
    for given in ([read_image(image) for image in images], [read_image(image) / 255 for image in images]):
        for ours, theirs in zip(model.predict(given, score_threshold=0), expected, strict=True):
            np.testing.assert_array_equal(ours.boxes, theirs.boxes)
            assert ours.rles == theirs.rles
    for ours, theirs in zip(model.predict(images, score_threshold=0, batch_size=2), expected, strict=True):
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-5)


def test_a_model_is_loaded_from_a_run_a_folder_a_checkpoint_or_the_newest_run(run, place):
    sources = [(run,), (run.folder,), (str(run.best),), ("latest", f"outputs={place}/outputs")]
    for source in sources:
        assert instseg.load(*source, device="cpu").categories == ("disc", "triangle", "ring")
    assert run.predict(np.zeros((64, 64, 3), np.uint8)).image_size == (64, 64)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("gone.ckpt", '^gone.ckpt: no such file or folder in /.*; expected "latest"'),
        ("README.md", "^README.md: is no model that can be loaded; expected"),
        ("tests", "this folder has no checkpoints/best.ckpt or last.ckpt"),
        (None, '^source: expected "latest", .*, found NoneType'),
    ],
)
def test_what_holds_no_model_is_refused(source, message):
    with pytest.raises(instseg.InstsegError, match=message):
        instseg.load(source)


@pytest.mark.parametrize("override", ["score_threshold=0.3", "save=[coco]", "device=cpu", "page=all"])
def test_what_a_loaded_model_takes_later_is_refused_with_its_place(override):
    with pytest.raises(
        instseg.InstsegError, match=rf"^{re.escape(override)}: a model that is loaded takes this later, as "
    ):
        instseg.load("latest", override)


def test_a_checkpoint_is_measured_again_with_the_same_result(run, place):
    again = instseg.evaluate(run, f"outputs={place}/outputs", "trainer.accelerator=cpu")
    tested = {name: value for name, value in run.metrics.items() if name.startswith("test/")}
    assert again.metrics == pytest.approx({**again.metrics, **tested})
    assert again.folder != run.folder and again.best is None
    assert again.model.categories == run.model.categories


def test_an_audit_leaves_its_page(place):
    audit = instseg.audit(*overrides(place))
    assert (audit.folder / "audit.html").is_file()
    assert (audit.metrics, audit.best) == ({}, None)


def test_the_process_is_left_as_it_was_found(place, monkeypatch):
    monkeypatch.chdir(place)
    before = globals_of_the_process()
    audit = instseg.audit(*SHORT, "outputs=relative", "cache_dir=data")
    assert audit.folder.is_relative_to(place / "relative")
    with pytest.raises(instseg.InstsegError):
        instseg.train("optimizer.lrr=1")
    assert globals_of_the_process() == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["optimizer.lrr=1"], "optimizer.lrr: there is no such key. Did you mean optimizer.lr?"),
        (["model=nope"], "model=nope: there is no such option. .*Options: .*r18fpn"),
        (["batch_size=many"], "batch_size=many: expected a whole number"),
        (["dataset=auto"], "a value is needed for dataset.root"),
        ([{"batch_size": 2}], "expected a text such as"),
        (["--epochs", "5"], "--epochs: there is no such flag. .*: trainer.max_epochs=5"),
        (["epochs=5"], "epochs: there is no such key. Type trainer.max_epochs=5"),
        (["seed=1e3"], "seed=1000.0: expected a whole number"),
        (["dataset=auto", "dataset.root=2024_02"], "dataset.root: no such folder: 2024_02"),
        (["model.weights=latest"], "model.weights=latest: no run with a checkpoint below"),
        (["-m", "model=small,r18fpn"], "flags belong to the command line"),
        (["dataset=auto dataset.root=x"], 'each override is a text of its own: "dataset=auto", "dataset.root=x"'),
        (["sweep=grid"], "a sweep is started from the command line"),
    ],
)
def test_what_cannot_work_is_an_error_of_one_class_and_leaves_no_folder(given, message, tmp_path):
    with pytest.raises(instseg.InstsegError, match=message):
        instseg.train(*given, f"outputs={tmp_path}/outputs")
    assert not list(tmp_path.glob("outputs/*/*"))


def test_a_split_that_is_not_measured_on_is_refused():
    with pytest.raises(instseg.InstsegError, match="split='valid': expected one of 'test', 'val'"):
        instseg.evaluate("latest", split="valid")


def test_a_folder_of_own_configs_must_exist():
    with pytest.raises(instseg.InstsegError, match="config_dir=nowhere: no such folder"):
        instseg.train(config_dir="nowhere")


def test_a_run_of_own_configs_is_found_again_with_their_folder_alone(run, own_configs):
    with pytest.raises(instseg.InstsegError, match=f"experiment=own from a folder.*, config_dir='{own_configs}'"):
        instseg.evaluate(run.folder, f"outputs={run.folder.parents[1]}")


def test_ctrl_c_leaves_a_run_that_the_same_process_resumes(place, own_configs, monkeypatch):
    saved = LastCheckpoint.on_validation_end

    def press_ctrl_c(self, trainer, module):
        saved(self, trainer, module)
        if trainer.global_step:
            os.kill(os.getpid(), signal.SIGINT)

    outputs = f"outputs={place}/interrupted"
    with monkeypatch.context() as patched:
        patched.setattr(LastCheckpoint, "on_validation_end", press_ctrl_c)
        handler = signal.getsignal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt, match=r"instseg.train\('resume=.*interrupted.*, config_dir=.*my conf"):
            instseg.train(*overrides(place, "trainer.max_epochs=2", "experiment=own", outputs), config_dir=own_configs)
        assert signal.getsignal(signal.SIGINT) is handler
    (last,) = place.glob("interrupted/*/*/checkpoints/last.ckpt")
    run = instseg.train("resume=auto", outputs, config_dir=own_configs)
    assert run.folder == last.parents[1]
    assert "test/segm_map" in run.metrics
