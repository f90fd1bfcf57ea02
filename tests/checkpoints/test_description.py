"""What is read of a checkpoint is typed, and whatever else stands there is one kind of error that names it."""

from __future__ import annotations

import copy
from pathlib import Path

import msgspec
import pytest
import torch
from described import POINTS, TRAINING, entry
from mutating import read_mutations

from instseg.checkpoints.description import (
    read_callback_states,
    read_description,
    read_step_counts,
    read_weights,
)
from instseg.checkpoints.random_states import random_states, restore_random_states
from instseg.core.records import RecordError

PATH = Path("last.ckpt")


@pytest.fixture(autouse=True)
def _keep_states():
    before = random_states()
    yield
    restore_random_states(before)


def checkpoint() -> dict:
    """All that this package reads of a checkpoint, with the random states of two ranks."""
    states = msgspec.to_builtins(random_states(), builtin_types=(torch.Tensor,))
    words, gauss = list(states["python"][1]), states["python"][2]
    states["python"] = [3, words[:3], gauss]  # few words: all places are equally likely to change
    training = {**TRAINING, "metrics": {"val/loss": torch.tensor(0.5)}, "random": [states, copy.deepcopy(states)]}
    return {
        "instseg": entry(training=training | {"events": {"events.out": 7}}),
        "epoch": 3,
        "global_step": 12,
        "state_dict": {"model.weight": torch.zeros(2)},
        "callbacks": {"ModelCheckpoint": {"best_model_path": "best.ckpt"}},
    }


def read(content: object) -> None:
    assert isinstance(content, dict)
    read_weights(content, PATH)
    read_step_counts(content, PATH)
    read_callback_states(content, PATH)
    about = read_description({"instseg": None} | content, PATH)
    for states in about.training.random if about.training else []:
        restore_random_states(states)


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")  # tensors in the place of mappings
def test_whatever_is_wrong_with_the_entry_of_a_checkpoint_is_one_kind_of_error(tries):
    good = checkpoint()
    tried, refused = read_mutations(good["instseg"], lambda changed: read({**good, "instseg": changed}), tries)
    assert tried > tries and refused > 0.5 * tried


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
def test_whatever_is_wrong_with_the_parts_beside_the_entry_is_one_kind_of_error(tries):
    good = checkpoint()
    beside = {key: value for key, value in good.items() if key != "instseg"}

    def read_beside(changed: object) -> None:
        read({"instseg": good["instseg"]} | (changed if isinstance(changed, dict) else {}))

    tried, refused = read_mutations(beside, read_beside, tries)
    assert tried > tries and refused > 0.5 * tried


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"random": [{}]}, r"field training.random\[0\].torch: expected a value, found none"),
        ({"random": {}}, "field training.random: expected `array`, found `object`"),
        ({"epochs": -1}, "field training.epochs: expected"),
        ({"processes": 0}, "field training.processes: expected"),
        ({"events": {"events.out": -5}}, "field training.events"),
        ({"epochs": 10**30}, "field training.epochs: expected"),
        ({"metrics": {"val/loss": 0.5}}, r"field training.metrics\[...\]: expected `Tensor`, found `float`"),
    ],
)
def test_a_wrong_value_in_the_state_of_a_training_is_named(change, said):
    with pytest.raises(RecordError, match=f"last.ckpt, entry instseg: {said}"):
        read_description({"instseg": entry(training=TRAINING | change)}, PATH)


def test_operating_points_are_read_as_they_were_written_and_a_checkpoint_without_them_has_none():
    assert read_description({"instseg": entry()}, PATH).operating_points == POINTS
    earlier = entry()
    del earlier["operating_points"]
    assert read_description({"instseg": earlier}, PATH).operating_points is None


def test_a_wrong_value_in_the_operating_points_is_named():
    points = {"goal": "f1", "num_images": 3, "points": [{"category": "car", "threshold": {"value": "high"}}]}
    said = (
        r"last.ckpt, entry instseg: field operating_points.points\[0\].threshold.value: expected `float`, found `str`"
    )
    with pytest.raises(RecordError, match=said):
        read_description({"instseg": entry(operating_points=points)}, PATH)


def test_weights_counts_and_callbacks_of_another_type_are_named():
    with pytest.raises(RecordError, match=r"last\.ckpt, entry state_dict: .*expected `Tensor`, found `int`"):
        read_weights({"state_dict": {"model.weight": 3}}, PATH)
    with pytest.raises(RecordError, match=r"last\.ckpt: field global_step: expected `int"):
        read_step_counts({"global_step": "x"}, PATH)
    with pytest.raises(RecordError, match=r"last\.ckpt, entry callbacks: expected `object`, found `array`"):
        read_callback_states({"callbacks": []}, PATH)


@pytest.mark.parametrize("size", [float("nan"), float("inf"), 0.0, -5.0, 1e30, "64"])
@pytest.mark.parametrize("side", ["min_size", "max_size"])
def test_a_size_that_no_image_has_is_named(side, size):
    sizes = {"min_size": 64.0, "max_size": 64.0} | {side: size}
    with pytest.raises(RecordError, match=f"last.ckpt, entry instseg: field preprocessing.{side}: expected `float`"):
        read_description({"instseg": entry(preprocessing=sizes)}, PATH)


def test_more_categories_than_an_index_has_labels_are_refused():
    with pytest.raises(RecordError, match="field categories: expected `array` of length <= 32767"):
        read_description({"instseg": entry(categories=[str(number) for number in range(2**15)])}, PATH)
