"""Losses of an evaluation, whatever their names, on one rank and on several."""

import pytest
import torch

from instseg.training import mean_losses
from instseg.training.mean_losses import MeanLosses

CPU = torch.device("cpu")


def test_a_mean_weighs_images_not_batches():
    means = MeanLosses()
    means.update({"loss_a": torch.tensor(1.0)}, num_images=3)
    means.update({"loss_a": torch.tensor(5.0)}, num_images=1)
    assert means.compute(CPU) == {"loss_a": pytest.approx(2.0)}


def test_the_next_evaluation_begins_anew():
    means = MeanLosses()
    means.update({"loss_a": torch.tensor(1.0)}, num_images=1)
    means.reset()
    means.update({"loss_b": torch.tensor(4.0)}, num_images=1)
    assert means.compute(CPU) == {"loss_b": 4.0}


def test_in_a_training_of_double_precision_the_means_are_what_they_always_were():
    means = MeanLosses()
    torch.set_default_dtype(torch.float64)
    try:
        means.update({"loss_a": torch.tensor(0.1)}, num_images=1)
    finally:
        torch.set_default_dtype(torch.float32)
    assert means.compute(CPU)["loss_a"].dtype == torch.float32


def test_a_rank_without_a_batch_takes_part_in_every_exchange(monkeypatch):
    def gather(gathered: list[list[str]], own: list[str]) -> None:
        gathered[:] = [["loss_b", "loss_a"], own]

    monkeypatch.setattr(mean_losses.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(mean_losses.dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(mean_losses.dist, "all_gather_object", gather)
    assert mean_losses._names_of_all_ranks([]) == ["loss_b", "loss_a"]
    assert mean_losses._names_of_all_ranks(["loss_a", "loss_c"]) == ["loss_b", "loss_a", "loss_c"]
