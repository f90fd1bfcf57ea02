"""The LightningModule and its callbacks, on a two-image data set and a very small network."""

import pytest
import pytorch_lightning as pl
import torch
from perfect_network import CATEGORIES, LOSS_NAMES, PerfectNetwork, batch
from torch import nn
from torch.utils.data import DataLoader
from torchmetrics import Metric

from instseg.checkpoints.content import finite
from instseg.core.errors import InstsegError
from instseg.core.types import Batch
from instseg.evaluation.metrics import CocoMaskMetrics
from instseg.training.callbacks import Throughput
from instseg.training.finite import NonFiniteLossError
from instseg.training.history import History
from instseg.training.module import InstanceSegmentationModule
from instseg.training.pictures import training_sheet
from instseg.training.tensorboard import read_scalars


class Zero(Metric):
    def update(self, predictions, ground_truth) -> None:
        pass

    def compute(self) -> float:
        return 0.0


def module_of(network: nn.Module) -> InstanceSegmentationModule:
    return InstanceSegmentationModule(
        network,
        build_optimizer=lambda model, images: torch.optim.SGD(model.parameters(), lr=0.01 * images),
        build_scheduler=lambda optimizer, steps: torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: 1 / (1 + step)
        ),
        batch_size=2,
        metrics={"coco": CocoMaskMetrics(CATEGORIES)},
    )


def trainer_of(tmp_path, **options) -> pl.Trainer:
    logger = pl.loggers.TensorBoardLogger(tmp_path, name="", version="")
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu", "devices": 1}
    return pl.Trainer(logger=logger, default_root_dir=tmp_path, log_every_n_steps=1, **quiet, **options)


def loader(*batches: Batch) -> DataLoader:
    return DataLoader(list(batches), batch_size=None)


def test_training_logs_every_loss_the_learning_rate_and_the_speed(tmp_path):
    trainer = trainer_of(tmp_path, max_epochs=1, callbacks=[Throughput()], limit_val_batches=0)
    trainer.fit(module_of(PerfectNetwork()), loader(*[batch()] * 4))
    scalars = read_scalars(tmp_path)
    assert {f"train/{name}" for name in (*LOSS_NAMES, "loss")} | {"lr", "images_per_second"} <= scalars.keys()
    assert scalars["train/loss"][1][0] == pytest.approx(3.0)


def test_a_training_that_validates_nothing_has_a_row_of_its_history_for_each_epoch(tmp_path):
    trainer = trainer_of(tmp_path, max_epochs=2, callbacks=[History(tmp_path, "val/loss", "min")], limit_val_batches=0)
    trainer.fit(module_of(PerfectNetwork()), loader(batch()))
    _, *rows = (tmp_path / "history.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows] == [["1", "1"], ["2", "2"]]


def test_what_is_found_of_a_category_that_nobody_labelled_on_the_image_reaches_no_metric():
    module, images = module_of(PerfectNetwork()), batch()
    (found,) = module.validation_step(images, 0)["predictions"]
    images.ground_truth[0].unlabelled = (1,)
    (judged,) = module.validation_step(images, 1)["predictions"]
    assert found.labels.tolist() == [1] and judged.labels.tolist() == []


def test_the_effective_batch_counts_accumulation(tmp_path):
    trainer = trainer_of(tmp_path, max_epochs=1, accumulate_grad_batches=4, limit_val_batches=0)
    module = module_of(PerfectNetwork())
    trainer.fit(module, loader(*[batch()] * 4))
    assert trainer.optimizers[0].defaults["lr"] == pytest.approx(0.08)


def test_the_schedule_moves_with_every_optimizer_step(tmp_path):
    trainer = trainer_of(tmp_path, max_epochs=1, limit_val_batches=0)
    trainer.fit(module_of(PerfectNetwork()), loader(*[batch()] * 3))
    assert read_scalars(tmp_path)["lr"][1] == pytest.approx([0.02, 0.01, 0.02 / 3])


def test_validation_gives_losses_and_average_precision_from_one_pass(tmp_path):
    trainer = trainer_of(tmp_path)
    (metrics,) = trainer.validate(module_of(PerfectNetwork()), loader(batch(1), batch(2)), verbose=False)
    assert metrics["val/segm_map"] == pytest.approx(1.0)
    assert metrics["val/segm_map/car"] == pytest.approx(1.0)
    assert metrics["val/loss"] == pytest.approx(3.0)
    assert metrics["val/mean_mask_iou"] == pytest.approx(1.0)


def test_what_has_no_ground_truth_is_not_written_down_as_a_number(tmp_path):
    trainer = trainer_of(tmp_path)
    trainer.validate(module_of(PerfectNetwork()), loader(batch()), verbose=False)
    assert "val/segm_map/person" not in finite(trainer.callback_metrics)
    assert "val/segm_map/car" in finite(trainer.callback_metrics)


def test_a_loss_that_is_no_number_stops_with_step_terms_and_image_ids(tmp_path):
    trainer = trainer_of(tmp_path, max_epochs=1, limit_val_batches=0)
    with pytest.raises(NonFiniteLossError, match=r"step 0: .*loss_label=nan.*image ids \[41\].*optimizer\.lr"):
        trainer.fit(module_of(PerfectNetwork(float("nan"))), loader(batch(41)))


def test_the_first_training_batch_is_shown_without_its_padding_and_fits_a_screen():
    sheet = training_sheet(batch(), CATEGORIES)
    assert sheet.shape[1] == 2 * sheet.shape[0]
    assert sheet.shape[0] <= 1080 and sheet.shape[1] <= 1920


def test_a_metric_that_has_the_name_of_a_loss_stops_the_run_before_its_first_step(tmp_path):
    taken = LOSS_NAMES[0]
    module = InstanceSegmentationModule(
        PerfectNetwork(),
        module_of(PerfectNetwork()).build_optimizer,
        module_of(PerfectNetwork()).build_scheduler,
        metrics={taken: Zero()},
    )
    trainer = trainer_of(tmp_path, max_epochs=1, num_sanity_val_steps=1)
    with pytest.raises(InstsegError, match=f"metrics.{taken}: .* found {taken}, which is also the name of a loss"):
        trainer.fit(module, loader(batch()), loader(batch()))
    assert trainer.global_step == 0
