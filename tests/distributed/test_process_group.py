"""Ranks that torchrun starts again find each other, not the addresses of those that have died."""

import os
import time
from datetime import timedelta

import pytest
import torch.distributed as dist
from pytorch_lightning import Trainer
from torch.distributed import TCPStore

from instseg.distributed.process_group import ddp

LATE = 2.0  # seconds: so that the first rank looks for the second before it is there


@pytest.fixture
def agent():
    """The store that torchrun keeps for all attempts of a command."""
    return TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(minutes=2))


def started(agent: TCPStore, rank: int, attempt: int) -> int:
    """The process of a rank, which joins the others and ends: well, if it has."""
    child = os.fork()
    if child:
        return child
    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(agent.port), RANK=str(rank), LOCAL_RANK=str(rank), GROUP_RANK="0",
        WORLD_SIZE="2", LOCAL_WORLD_SIZE="2", TORCHELASTIC_RUN_ID="tests", TORCHELASTIC_RESTART_COUNT=str(attempt),
        TORCHELASTIC_USE_AGENT_STORE="True",
    )  # fmt: skip
    code = 1
    try:
        time.sleep(LATE * rank * attempt)
        Trainer(
            accelerator="cpu", devices=2, strategy=ddp(timeout_minutes=2), logger=False
        ).strategy.setup_environment()
        dist.barrier()
        code = 0
    finally:
        os._exit(code)


def test_an_attempt_does_not_meet_the_addresses_of_the_one_before(agent):
    for attempt in (0, 1):
        ranks = [started(agent, rank, attempt) for rank in (0, 1)]
        assert [os.waitstatus_to_exitcode(os.waitpid(rank, 0)[1]) for rank in ranks] == [0, 0], f"attempt {attempt}"
