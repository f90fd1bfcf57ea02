"""A checkpoint rebuilds its model alone, and knows where it comes from."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from described import entry

from instseg import __version__
from instseg.checkpoints import files
from instseg.checkpoints.content import DescribeCheckpoint, describe, load_trained_model
from instseg.checkpoints.description import FORMAT
from instseg.checkpoints.files import AtomicCheckpointIO
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.records import RecordError
from instseg.models.mask_rcnn import build_mask_rcnn

CATEGORIES = Categories(("car", "person"))
SMALL = {
    "backbone": "resnet18", "weights": "none", "norm": "gn", "fpn_channels": 32, "box": {"head_channels": 32},
    "mask": {"channels": 32, "num_convs": 1},
}  # fmt: skip
CONFIG = {"model": {"_target_": "instseg.models.mask_rcnn.build_mask_rcnn", **SMALL},
          "augmentation": {"min_size": 100, "max_size": 200, "train": {}}}  # fmt: skip


TRAINER = SimpleNamespace(
    callback_metrics={"val/segm_map": torch.tensor(0.5), "val/segm_map/dog": torch.tensor(torch.nan)}
)


def write_checkpoint(path: Path, **described: object) -> dict[str, torch.Tensor]:
    model = build_mask_rcnn(CATEGORIES, **SMALL)
    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    checkpoint = {"state_dict": weights}
    DescribeCheckpoint(CATEGORIES, CONFIG, **described).on_save_checkpoint(TRAINER, None, checkpoint)
    AtomicCheckpointIO().save_checkpoint(checkpoint, path)
    return weights


def test_a_checkpoint_rebuilds_its_model_with_categories_and_sizes(tmp_path):
    weights = write_checkpoint(tmp_path / "best.ckpt")
    trained = load_trained_model(tmp_path / "best.ckpt")
    assert trained.categories == CATEGORIES
    assert (trained.min_size, trained.max_size) == (100, 200)
    assert not trained.model.training
    for name, value in trained.model.state_dict().items():
        torch.testing.assert_close(value, weights[f"model.{name}"])


def test_a_checkpoint_keeps_the_range_of_16_bits_that_it_was_trained_with(tmp_path):
    write_checkpoint(tmp_path / "each.ckpt")
    assert load_trained_model(tmp_path / "each.ckpt").value_range is None
    write_checkpoint(tmp_path / "common.ckpt", value_range=(0, 4095))
    assert load_trained_model(tmp_path / "common.ckpt").value_range == (0, 4095)


def test_a_trained_model_knows_its_run_epoch_and_how_good_it_was(tmp_path):
    path = tmp_path / "signs_r18fpn/2026-01-31_12-00-00/checkpoints/best.ckpt"
    config = {**CONFIG, "run_dir": str(path.parents[1]), "monitor": {"metric": "val/segm_map"}}
    model = build_mask_rcnn(CATEGORIES, **SMALL)
    checkpoint = {
        "state_dict": {f"model.{name}": value for name, value in model.state_dict().items()},
        "epoch": 3,
        "global_step": 40,
    }
    DescribeCheckpoint(CATEGORIES, config).on_save_checkpoint(TRAINER, None, checkpoint)
    AtomicCheckpointIO().save_checkpoint(checkpoint, path)
    assert load_trained_model(path).identity == {
        "checkpoint": str(path),
        "run": "signs_r18fpn/2026-01-31_12-00-00",
        "epoch": 4,
        "step": 40,
        "metrics": {"val/segm_map": 0.5},
        "trained_with": __version__,
    }


def test_a_checkpoint_remembers_what_it_was_measured_at(tmp_path):
    write_checkpoint(tmp_path / "best.ckpt")
    about = torch.load(tmp_path / "best.ckpt", weights_only=True)["instseg"]
    assert (about["format"], about["metrics"]) == (FORMAT, {"val/segm_map": 0.5})


def test_the_metrics_of_a_checkpoint_are_read_without_the_bytes_of_its_tensors(tmp_path, monkeypatch):
    path, read = tmp_path / "best.ckpt", []
    write_checkpoint(path)
    crc = files._crc
    monkeypatch.setattr(files, "_crc", lambda file, record: read.append(record.filename) or crc(file, record))
    assert describe(path).metrics == {"val/segm_map": 0.5}
    assert any(name.endswith("data.pkl") for name in read) and not any("/data/" in name for name in read)


def test_prediction_options_may_change_after_training_and_others_may_not(tmp_path):
    write_checkpoint(tmp_path / "best.ckpt")
    trained = load_trained_model(tmp_path / "best.ckpt", {"box.detections_per_image": 300, "fpn_channels": 32})
    assert trained.model.roi_heads.detections_per_img == 300
    assert trained.config["model"]["box"] == {"head_channels": 32, "detections_per_image": 300}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("fpn_channels", 64, r"model\.fpn_channels=64: the checkpoint was trained with 32.*leave it out"),
        ("weights", "coco", r"model\.weights=coco: the checkpoint was trained with none.*leave it out"),
        ("norm", "bn", r"model\.norm=bn: the checkpoint was trained with gn.*leave it out"),
        ("box.head_chanels", 64, r"model\.box\.head_chanels is no option; did you mean model\.box\.head_channels"),
        ("boxes.score_threshold", 0.5, r"model\.boxes is no option; did you mean model\.box\?"),
        ("norm.kind", "gn", r"model\.norm is a value, 'gn', and has no option kind"),
    ],
)
def test_an_option_that_cannot_be_obeyed_is_refused_with_its_key_and_what_to_do(tmp_path, key, value, message):
    write_checkpoint(tmp_path / "best.ckpt")
    with pytest.raises(InstsegError, match=message):
        load_trained_model(tmp_path / "best.ckpt", {key: value})


def test_a_checkpoint_does_not_choose_what_is_imported(tmp_path):
    config = {**CONFIG, "model": {"_target_": "os.system", "command": "touch harmed"}}
    checkpoint = {"state_dict": {}}
    DescribeCheckpoint(CATEGORIES, config).on_save_checkpoint(TRAINER, None, checkpoint)
    AtomicCheckpointIO().save_checkpoint(checkpoint, tmp_path / "best.ckpt")
    with pytest.raises(InstsegError, match=r"best\.ckpt: its model is built by os\.system.*--config-dir=FOLDER"):
        load_trained_model(tmp_path / "best.ckpt")


def test_a_part_of_a_model_is_looked_up_by_name_as_well(tmp_path):
    config = {**CONFIG, "model": {**CONFIG["model"], "backbone": {"_target_": "os.system", "command": "touch harmed"}}}
    checkpoint = {"state_dict": {}}
    DescribeCheckpoint(CATEGORIES, config).on_save_checkpoint(TRAINER, None, checkpoint)
    AtomicCheckpointIO().save_checkpoint(checkpoint, tmp_path / "best.ckpt")
    with pytest.raises(InstsegError, match=r"built by os\.system, which is not known here"):
        load_trained_model(tmp_path / "best.ckpt")


@pytest.mark.parametrize(
    ("damage", "field"),
    [({"categories": 3}, "categories"), ({"preprocessing": {"min_size": "x"}}, r"preprocessing\.min_size"),
     ({"config": None}, "config"), ({"metrics": {"val/loss": "low"}}, "metrics")],
)  # fmt: skip
def test_an_entry_with_a_wrong_type_is_refused_with_file_field_expected_and_found(tmp_path, damage, field):
    AtomicCheckpointIO().save_checkpoint({"instseg": entry(**damage), "state_dict": {}}, tmp_path / "best.ckpt")
    with pytest.raises(RecordError, match=rf"best\.ckpt, entry instseg: field {field}.*: expected .*, found .*; use"):
        load_trained_model(tmp_path / "best.ckpt")


def test_weights_that_do_not_fit_the_model_are_refused(tmp_path):
    write_checkpoint(tmp_path / "best.ckpt")
    checkpoint = torch.load(tmp_path / "best.ckpt", weights_only=True)
    del checkpoint["state_dict"]["model.rpn.head.cls_logits.bias"]
    AtomicCheckpointIO().save_checkpoint(checkpoint, tmp_path / "best.ckpt")
    with pytest.raises(InstsegError, match=r"weights do not fit the model.*rpn\.head\.cls_logits\.bias"):
        load_trained_model(tmp_path / "best.ckpt")


def test_the_first_format_of_checkpoints_still_predicts(tmp_path):
    write_checkpoint(tmp_path / "best.ckpt")
    checkpoint = torch.load(tmp_path / "best.ckpt", weights_only=True)
    checkpoint["instseg"]["format"] = 1
    AtomicCheckpointIO().save_checkpoint(checkpoint, tmp_path / "best.ckpt")
    assert load_trained_model(tmp_path / "best.ckpt").categories == CATEGORIES
