"""The check of each loss, on a CPU at once, on a GPU one step later and before anything is saved."""

import pytest
import torch

from instseg.training.finite import FiniteCheck, NonFiniteLossError


def losses(value: float, device: str = "cpu") -> dict[str, torch.Tensor]:
    return {"loss_mask": torch.tensor(value, device=device), "loss_box": torch.tensor(1.0, device=device)}


def watched(check: FiniteCheck, value: float, step: int, device: str = "cpu") -> None:
    terms = losses(value, device)
    check.watch(terms, torch.stack(list(terms.values())).sum(), step, [41], lr=0.5)


def test_on_a_cpu_a_loss_that_is_no_number_is_refused_in_its_own_step():
    check = FiniteCheck()
    watched(check, 2.0, step=0)
    with pytest.raises(NonFiniteLossError, match=r"step 1: loss_mask=nan, loss_box=1; image ids \[41\]; lr 0.5\. Try"):
        watched(check, float("nan"), step=1)


def test_an_infinite_loss_is_refused_too_and_stays_refused():
    check = FiniteCheck()
    with pytest.raises(NonFiniteLossError, match="loss_mask=inf"):
        watched(check, float("inf"), step=0)
    with pytest.raises(NonFiniteLossError, match="step 0"):
        check.check()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_host_does_not_wait_and_the_step_after_refuses():
    check = FiniteCheck()
    torch.cuda.set_sync_debug_mode("error")
    try:
        watched(check, float("nan"), step=3, device="cuda")
    finally:
        torch.cuda.set_sync_debug_mode("default")
    with pytest.raises(NonFiniteLossError, match=r"step 3: loss_mask=nan.*found one step later, no checkpoint holds"):
        watched(check, 1.0, step=4, device="cuda")
