"""How the ranks of a training find each other: Lightning's DDP, with a store for each attempt of torchrun."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]


def ddp(timeout_minutes: float, **options: Any) -> DDPStrategy:
    """Lightning's strategy of one process per device.

    ``timeout_minutes``: how long a rank that lives may be waited for, such as by those that wait for the first one to
    evaluate. ``options`` are those of DDPStrategy and torch's DistributedDataParallel.
    """
    return RestartableDDP(timeout=timedelta(minutes=timeout_minutes), **options)


class RestartableDDP(DDPStrategy):
    """Ranks that torchrun starts again do not meet the addresses of those that have died.

    Its agent keeps one store for all attempts, in which torch looks for the same keys each time: a rank that comes
    first would find the others' addresses of the last attempt there, and wait for them until the timeout.
    """

    def setup_distributed(self) -> None:
        if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True" and not dist.is_initialized():
            assert self._timeout is not None
            self.set_world_ranks()
            dist.init_process_group(
                self._get_process_group_backend(),
                store=_store_of_this_attempt(self._timeout),
                rank=self.global_rank,
                world_size=self.world_size,
                timeout=self._timeout,
                device_id=None if self.root_device.type == "cpu" else self.root_device,
            )
        super().setup_distributed()


def _store_of_this_attempt(timeout: timedelta) -> PrefixStore:
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(address, port, is_master=False, wait_for_workers=False, timeout=timeout)
    return PrefixStore(f"attempt_{os.environ['TORCHELASTIC_RESTART_COUNT']}", store)
