"""Steps and epochs of a training that are done and left, also after a change of the batch size."""

from types import SimpleNamespace

import pytest

from instseg.training.progress import steps_left


def trainer(epochs, batches, steps, of_epoch=6, max_epochs=4, max_steps=-1, accumulated=1):
    """A training after whole epochs and batches of the next, in its steps of the optimizer; an epoch has 6 batches."""
    counts = SimpleNamespace(processed=epochs, ready=epochs + bool(batches))
    epoch_loop = SimpleNamespace(batch_progress=SimpleNamespace(current=SimpleNamespace(processed=batches)))
    return SimpleNamespace(
        fit_loop=SimpleNamespace(epoch_progress=SimpleNamespace(current=counts), epoch_loop=epoch_loop),
        num_training_batches=of_epoch, max_epochs=max_epochs, max_steps=max_steps, global_step=steps,
        accumulate_grad_batches=accumulated,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("training", "left"),
    [
        (trainer(0, 0, 0), 24),
        (trainer(1, 2, 8), 16),
        (trainer(4, 6, 24), 0),
        (trainer(0, 0, 0, accumulated=4), 8),
        (trainer(1, 4, 3, accumulated=4), 5),
        (trainer(0, 0, 0, max_steps=10), 10),
        (trainer(1, 0, 6, max_epochs=-1, max_steps=10), 4),
    ],
)
def test_steps_are_left_up_to_the_last_epoch_or_the_last_step(training, left):
    assert steps_left(training) == left


def test_epochs_that_were_done_in_fewer_steps_leave_what_epochs_have_now():
    assert steps_left(trainer(3, 0, steps=9)) == 6
