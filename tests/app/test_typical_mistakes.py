"""Sixty typical mistakes, each answered by a sentence that says what to type, before torch is imported."""

from __future__ import annotations

import functools
import shlex
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra._internal.hydra import Hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from instseg.app import meant_settings, suggestions
from instseg.app.check_config import checked_run_config
from instseg.app.check_places import READ_ONE_FILE
from instseg.app.command import run_command
from instseg.app.compose import compose
from instseg.core.errors import InstsegError
from instseg.data.formats.auto import FORMATS
from instseg.data.reading.findings import Findings

QUIET = ("hydra/job_logging=none", "hydra/hydra_logging=none", "hydra.output_subdir=null")

OF_TRAIN = {
    "dataset=auto": "a value is needed for dataset.root, for example dataset.root=my_folder",
    "trainer.strategy=dpp": "name of Lightning's StrategyRegistry. Did you mean ddp",
    "audit.accept=[no_instance_val]": "audit.accept=[no_instance_val]: expected a list, each one of images_lost",
    "+logger.comet._target_=pytorch_lightning.loggers.CometLogger": "not installed: pip install comet_ml",
    "dataset=auto dataset.root=nowhere": "dataset.root: no such folder: nowhere",
    "dataset=auto dataset.root=2025": "dataset.root: no such folder: 2025",
    "dataset=auto dataset.root=2024_02": "dataset.root: no such folder: 2024_02",
    "dataset=auto dataset.root=nowhere.zip": "dataset.root: no such file: nowhere.zip",
    "dataset=auto 'dataset.root=a,c'": "dataset.root: no such folder: a,c",
    "dataset=auto 'dataset.root=my {y}'": "dataset.root: no such folder: my {y} (looked for /",
    "dataset=auto 'dataset.root=a${b'": "dataset.root=a${b: ${ starts a reference to another key",
    "dataset=auto dataset.root=photos": "photos: no labels found in any known format",
    "dataset=auto dataset.root=labels.json": "labels.json: no labels of a whole dataset",
    "dataset.root=x": "dataset.root: there is no such key. Add dataset=auto, which reads labels of any format.",
    "'dataset.name=a=b [c]'": "a folder's, is quoted twice: 'dataset.name=\"a=b [c]\"'",
    "datset.root=x": "datset.root: there is no such key. Did you mean dataset",
    "optimizer.lrr=1": "optimizer.lrr: there is no such key. Did you mean optimizer.lr?",
    "trainer.devices=0": "trainer.devices=0: expected a whole number from 1 upwards, or auto, or -1, or a list",
    "trainer.deterministic=abc": "trainer.deterministic=abc: expected true or false or null or warn",
    "lr=1": "lr: there is no such key. Did you mean optimizer.lr?",
    "mdel=r50fpn": "mdel: there is no such key. Did you mean model?",
    "my_folder": "'my_folder' is not of the form key=value. Did you mean dataset=auto dataset.root=my_folder?",
    "photos": "Did you mean dataset=auto dataset.root=photos?",
    "outputs": "Did you mean resume=outputs/shapes_small/a, or to start from its weights model.weights=outputs/shapes_",
    "stage=report outputs/shapes_small": "Did you mean checkpoint=outputs/shapes_small/a?",
    "small": "Did you mean model=small?",
    "SOLVER.BASE_LR 0.002": "Did you mean optimizer.lr=0.002?",
    "dataset=auto, dataset.root=photos": "spaces separate overrides, not commas: dataset=auto",
    "'dataset=auto dataset.root=photos'": "is 2 overrides in one pair of quotes: dataset=auto dataset.root=photos",
    "dataset=auto dataset.rename={Fig: fig}": "cut this at its spaces. Type 'dataset.rename={Fig: fig}'",
    "optimizer.lr = 0.1": "cut this at its spaces. Type optimizer.lr=0.1",
    "root=photos": "root: there is no such key. Type dataset.root=photos with dataset=auto",
    "dataset=auto dataset.category=cell": "dataset=mask_folder would have it. Did you mean dataset.categories?",
    "dataset=auto dataset.root=photo": "photo). Did you mean photos?",
    "dataset=auto dataset.root=photos/1.jpg": "is an image: name the folder of its labels, such as dataset.root=photos",
    "model=yolo11n-seg.pt": "Weights and configs of other tools do not fit: model=r50fpn",
    "model=mask_rcnn_R_50_FPN_3x.yaml": "Weights and configs of other tools do not fit: model=r50fpn",
    "stage=test checkpoint=outputs": "Did you mean checkpoint=outputs/shapes_small/a?",
    "stage=test checkpoint=latest outputs=empty": "Train first: ",
    "--data photos --epochs 3": "equals sign: dataset=auto dataset.root=photos trainer.max_epochs=3",
    "dataset=photos": "there is no such option. For a folder of labels:",
    "dataset=cocoo": "dataset=cocoo: there is no such option. Did you mean coco",
    "model=best.ckpt": "For a file of weights: model.weights=best.ckpt",
    "model=r50": "model=r50: there is no such option. Did you mean r50fpn?",
    "model.weights=nowhere.pth": "model.weights='nowhere.pth': no such file; expected coco, imagenet, none",
    "model.weights=photos": "model.weights=photos: this folder has no checkpoints/best.ckpt or last.ckpt",
    "model.weights=latest outputs=empty": "model.weights=latest: no run with a checkpoint below",
    "model=r18fpn model.weights=coco": "no such weights are published",
    "checkpoint=latest": "checkpoint=latest is for stage=validate, test, report and export",
    "stage=test": "stage=test needs checkpoint=: a .ckpt, a run folder, or latest",
    "stage=test checkpoint=nowhere": "checkpoint=nowhere: no such file or run folder",
    "stage=train": "stage=train: expected one of fit, validate, test",
    "resume=nowhere": "resume=nowhere: no such run folder (looked for /",
    "resume=latest": "resume=auto takes the newest run",
    "reproduce=nowhere": "reproduce=nowhere: no such run folder (looked for /",
    "trainer=cpu trainer.precision=16-mixed": "needs a GPU; with trainer.accelerator=cpu use 32-true or bf16-mixed",
    "dataset=auto dataset.root=photos dataset.folds=1": "dataset.folds=1: expected",
    "dataset=auto dataset.root=photos dataset.exif=up": "dataset.exif=up: expected one of auto, upright, stored",
    "reproduce=2024": "reproduce=2024: no such run folder (looked for /",
    "dataset=labelme dataset.root=labels.json": "dataset.root: expected a folder, found a file",
    "dataset=voc dataset.root=labels.json": "dataset.root: expected a folder, found a file",
    "dataset=voc dataset.root=empty": "dataset.root: the folder is empty",
    "resume=auto outputs=empty": "resume=auto: no run to resume below",
    "=5": "'=5': expected key=value, found no key",
    "optimizer=null": "optimizer: expected a value or an option, found none",
    "~seed": "seed: expected a value or an option, found none",
    "~trainer": "callbacks.last.every_minutes: it refers to another key, which is not there: Interpolation key",
    "model=5": "model=5: there is no such option. Options: ",
    "dataset=2024": "dataset=2024: there is no such option. Options: ",
    "optimizer.lr=1e-3,5e-3": "add -m to train with each of these values; a list as one value is optimizer.lr=[1",
    "dataset.num_images=[12,6,6]": "expected single keys of it, such as key.part=value, or a mapping {part: value}",
    "optimizer.betas={a:1}": "optimizer.betas={a:1}: expected a list [a,b]",
    "optimizer=adam": "optimizer=adam: there is no such option. Did you mean adamw",
    "optimizer.lr=-1": "optimizer.lr=-1: expected a number above 0",
    "monitor.metric=val/segm_mapp": "there is no such metric. Did you mean val/segm_map",
    "monitor.metric=segm_map_50": "there is no such metric. Did you mean val/segm_map_50",
    "monitor.metric=val/loss_masks monitor.mode=min": "there is no such metric. Did you mean val/loss_mask",
    "monitor.metric=val/loss": "monitor.mode=max: val/loss is better when it is minimal; use min",
    "metrics=null": "monitor.metric=val/segm_map: no metric is measured, since metrics has none; use",
    "metrics.coco=null": "monitor.metric=val/segm_map: no metric is measured, since metrics has none; use",
    "callbacks=early_stopping trainer.limit_val_batches=0": "nothing is validated",
    "callbacks=early_stopping trainer.max_epochs=5 trainer.check_val_every_n_epoch=10": "nothing is validated",
    "callbacks=early_stopping callbacks.early_stopping.monitor=val/segm_mapp": "Did you mean val/segm_map",
    "callbacks.image_results.monitor=segm_map": "there is no such metric. Did you mean val/segm_map",
    "callbacks=early_stopping callbacks.early_stopping.monitor=val/loss": "mode=max: val/loss is better when it is min",
    "outputs=labels.json": "outputs=labels.json: no folder can be made there",
    "lr0=0.01": "lr0: there is no such key. Type optimizer.lr=0.01",
    "epochs=5": "epochs: there is no such key. Type trainer.max_epochs=5",
    "trainer.epochs=5": "trainer.epochs: there is no such key. Did you mean trainer.max_epochs?",
    "reproduce=\ud800": "reproduce=⟨U+D800⟩: expected characters that a file name can hold, found U+D800",
    "resume=\udcff": "resume=⟨U+DCFF⟩: ",  # a byte that is no UTF-8, which names of files may hold
    "model.weights=http://x/\udcff": "expected characters that an address can hold, found U+DCFF",
    "--epochs 5": "--epochs: there is no such flag. A setting has no dashes and an equals sign: trainer.max_epochs=5",
    "--device=0": "A setting has no dashes and an equals sign: trainer=gpu",
    "--device 0,1": "equals sign: trainer=gpu trainer.devices=2",
    "imgsz=640": "imgsz: there is no such key. Type augmentation.min_size=640",
    "batch=4": "batch: there is no such key. Type batch_size=4",
    "data=data.yaml": "data: there is no such key. Type dataset.root=data.yaml with dataset=auto",
    "device=0": "device: there is no such key. Type trainer=gpu",
    "project=runs": "project: there is no such key. Type outputs=runs",
}  # fmt: skip
VALUES = {
    "optimizer.lr=abc": "optimizer.lr=abc: expected a number above 0",
    "optimizer.lr=nan": "optimizer.lr=nan: expected a number above 0",
    "optimizer.weight_decay=-1": "optimizer.weight_decay=-1: expected a number from 0 upwards",
    "optimizer.betas=[2,3]": "optimizer.betas=[2,3]: expected a list of 2, each a number from 0 to 1",
    "optimizer.betas=0.9": "optimizer.betas=0.9: expected a list of 2, each a number from 0 to 1",
    "augmentation.min_visibility=abc": "augmentation.min_visibility=abc: expected a number from 0 to 1",
    "scheduler.warmup_steps=-5": "scheduler.warmup_steps=-5: expected a whole number from 0 upwards",
    "seed=1e3": "seed=1000.0: expected a whole number from 0 to 4294967295",
    "seed=4294967296": "seed=4294967296: expected a whole number from 0 to 4294967295",
    "trainer.max_epochs=0": "trainer.max_epochs=0: expected a whole number from 1 upwards, or -1, or null",
    "trainer.precision=fp16": "trainer.precision=fp16: expected one of auto, 32-true, bf16-mixed, 16-mixed",
    "batch_size=0": "batch_size=0: expected a whole number from 1 upwards",
    "num_workers=-1": "num_workers=-1: expected a whole number from 0 upwards, or auto",
    "train_fraction=2": "train_fraction=2: expected a number above 0 and up to 1",
    "operating_point=precision:90": "operating_point=precision:90: expected f1, precision:0.9 or recall:0.95",
    "augmentation.min_size=2000": "augmentation.min_size=2000: expected at most augmentation.max_size=",
    "export.format=onx": "export.format=onx: expected one of onnx, openvino, torch_export",
    "monitor.mode=maximum": "monitor.mode=maximum: val/segm_map is better when it is maximal; use max",
    "model.mask.size=27": "model.mask.size=27 must be 2 or more and even",
    "model.anchors.sizes=[32]": "model.anchors.sizes=[32]: expected 5 entries, one per pyramid level",
    "model.rpn.pre_nms_top_n_train=-1": "model.rpn.pre_nms_top_n_train=-1: expected a whole number from 0 upwards",
    "model.backbone=resnet51": "model.backbone='resnet51' is not known; choose one of resnet18_half, resnet18",
    "augmentation.min_size=0": "augmentation.min_size=0: expected a whole number from 1 upwards",
}  # fmt: skip
"""Values of train that are checked once all is composed, as one of ``OF_TRAIN`` is."""
OF_PREDICT = {
    "checkpoint=latest": "source= is needed: an image, a folder, a glob in quotes, or a list",
    "weights=coco source=photos min_size=900 max_size=600": "min_size=900: expected at most max_size=600",
    "source=photos": "give checkpoint= (a .ckpt, a run folder, or latest) or weights=coco, and not both",
    "checkpoint= source=photos": "give checkpoint= (a .ckpt, a run folder, or latest) or weights=coco, and not both",
    "photo.jpg": "'photo.jpg' is not of the form key=value. Did you mean source=photo.jpg?",
    "checkpoint=nowhere.ckpt source=photos": "checkpoint=nowhere.ckpt: no such file or run folder",
    "checkpoint=latest source=nowhere": "source nowhere: no such file or folder",
    "checkpoint=latest source=2026": "source 2026: no such file or folder",
    "checkpoint=latest source=empty": "source empty: no image found; extensions are",
    "checkpoint=latest source=ftp://example.com/a.jpg": "expected a file or folder of this machine; download it first",
    "checkpoint=latest source=photos output=": "output= is empty: expected a folder",
    "checkpoint=latest source=photos output=labels.json": "expected a folder, found the file",
    "checkpoint=latest source=photos score_threshold=2": "score_threshold=2: expected a number from 0 to 1",
    "checkpoint=latest source=photos min_score=60": "min_score: there is no such key. Type score_threshold=60",
    "checkpoint=latest source=photos conf=0.5": "conf: there is no such key. Type score_threshold=0.5",
    "checkpoint=latest source=photos iou=0.5": "iou: there is no such key. Type model.box.nms_threshold=0.5",
    "checkpoint=latest source=photos device=0": "device=0: expected auto, cpu, mps or cuda; for a GPU device=cuda:0",
    "checkpoint=latest source=photos --device=0": "equals sign: device=cuda:0",
    "checkpoint=latest source=photos save=[png]": "save: there is no writer png",
    "weights=latest source=photos": "weights=latest: a model of your own is checkpoint=latest",
    "weights=photos source=photos": "weights=photos: a model of your own is checkpoint=photos",
    "weights=nowhere.pth source=photos": "weights='nowhere.pth': no such file; expected coco, an http(s) URL, or the",
    "weights=coco model=r18fpn source=photos": "resnet50 model.variant=v2. Use model=r50fpn or model=r50fpn_v2.",
    "weights=imagenet source=photos": "weights=imagenet: such a network finds nothing yet; use weights=coco",
    "model=best.ckpt source=photos": "For a file of weights: checkpoint=best.ckpt",
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with some images, an empty folder, a file, and a run."""
    root = tmp_path_factory.mktemp("world")
    for folder in ("photos", "empty", "outputs/shapes_small/a/checkpoints"):
        (root / folder).mkdir(parents=True)
    for file in ("photos/1.jpg", "labels.json", "outputs/shapes_small/a/checkpoints/best.ckpt"):
        (root / file).touch()
    return root


@pytest.fixture(scope="module")
def listed_once() -> Iterator[None]:
    """List the keys of a config once, which composes it: a process has one mistake, this one has all."""
    cached = functools.cache(suggestions.known_keys)

    def known_keys(name: str, arguments: Sequence[str], conf: Path) -> list[str]:
        return cached(name, tuple(a for a in arguments if a.startswith(("dataset=", "model="))), conf)

    with pytest.MonkeyPatch.context() as patch:
        for module in (meant_settings, suggestions):
            patch.setattr(module, "known_keys", known_keys)
        yield


@pytest.fixture
def without_torch(world: Path, listed_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder, where a command that is not refused fails at what would import torch."""
    monkeypatch.chdir(world)
    monkeypatch.setattr(Hydra, "get_mode", lambda *args, **kwargs: None)  # composes all once more to find out
    for name in ("instseg.app.run", "instseg.app.predict"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace())


@pytest.mark.parametrize(
    ("command", "typed", "answer"),
    [
        *(("train", typed, answer) for typed, answer in OF_TRAIN.items()),
        *(("predict", typed, answer) for typed, answer in OF_PREDICT.items()),
    ],
)
@pytest.mark.usefixtures("without_torch")
def test_a_typical_mistake_is_answered_before_torch_is_imported(command, typed, answer, capsys):
    with pytest.raises(SystemExit) as ended:
        run_command(command, [*shlex.split(typed), *QUIET])
    assert ended.value.code == 1
    assert answer in capsys.readouterr().err


@pytest.fixture(scope="module")
def composed() -> DictConfig:
    return compose("train", ["run_dir=."])


@pytest.mark.parametrize(("typed", "answer"), VALUES.items())
def test_a_value_that_cannot_work_is_answered_with_what_is_expected(composed, typed, answer):
    config, (override,) = composed.copy(), OverridesParser.create().parse_overrides([typed])
    OmegaConf.update(config, override.key_or_group, override.value())
    with pytest.raises(InstsegError) as refused:
        checked_run_config(config)
    assert answer in str(refused.value)


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_as_the_root_is_refused_early_where_the_reader_would_refuse_it(name, tmp_path):
    (tmp_path / "labels.txt").write_text("{}")
    with pytest.raises(InstsegError) as refused:
        FORMATS[name][1](tmp_path / "labels.txt").read(defaultdict(Findings))
    assert ("expected a folder" in str(refused.value)) == (name not in READ_ONE_FILE)
