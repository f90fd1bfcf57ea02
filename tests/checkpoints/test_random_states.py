"""The generators of a process continue where they were, and states that do not fit them are refused."""

from __future__ import annotations

import copy
import random

import msgspec
import numpy as np
import pytest
import torch
from mutating import read_mutations

from instseg.checkpoints.random_states import RandomStates, random_states, restore_random_states
from instseg.core.errors import InstsegError
from instseg.core.records import Record, convert_record


class Holder(Record, frozen=True, kw_only=True):
    """Stands for the training state of a checkpoint."""

    random: RandomStates


@pytest.fixture(autouse=True)
def _keep_states():
    before = random_states()
    yield
    restore_random_states(before)


def plain() -> dict:
    return msgspec.to_builtins(Holder(random=random_states()), builtin_types=(torch.Tensor,))


def drawn() -> tuple[float, float, float, float]:
    return torch.rand(1).item(), np.random.rand(), np.random.standard_normal(), random.gauss(0, 1)  # noqa: NPY002


def restore(content: object) -> None:
    restore_random_states(convert_record(content, Holder, "last.ckpt", "use another checkpoint").random)


def test_every_generator_continues_where_it_was():
    drawn()  # of the normal distribution each second number is kept for later
    content = plain()
    expected = drawn()
    assert drawn() != expected
    restore(content)
    assert drawn() == expected


def test_states_survive_a_file_without_pickled_code(tmp_path):
    torch.save(plain(), tmp_path / "states.pt")
    expected = drawn()
    restore(torch.load(tmp_path / "states.pt", weights_only=True))
    assert drawn() == expected


@pytest.mark.parametrize(("change", "said"), [
    ({"torch": torch.zeros(3, dtype=torch.uint8)}, "do not fit their generators: Expected a CPU"),
    ({"torch": 3}, "field random.torch: expected `Tensor`, found `int`"),
    ({"python": (3, (1, 2), None)}, "do not fit their generators"),
    ({"numpy": {**plain()["random"]["numpy"], "state": {"key": torch.zeros(3), "pos": 0}}}, "expected 624 numbers"),
    ({"numpy": {**plain()["random"]["numpy"], "state": {"key": torch.zeros(624), "pos": 625}}}, "field random.numpy"),
])  # fmt: skip
def test_a_state_that_does_not_fit_its_generator_is_refused(change, said):
    content = plain()
    content["random"] |= change
    with pytest.raises(InstsegError) as caught:
        restore(content)
    assert said in str(caught.value)


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")  # tensors in the place of mappings
def test_whatever_is_wrong_with_states_is_one_kind_of_error(tries):
    good = plain()
    good["random"]["python"] = list(good["random"]["python"])
    good["random"]["python"][1] = good["random"]["python"][1][:3]  # all places are equally likely to change
    tried, refused = read_mutations(copy.deepcopy(good), restore, tries)
    assert tried > tries and refused > 0.5 * tried
