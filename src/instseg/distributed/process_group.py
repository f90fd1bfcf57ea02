"""The process group of a training: Lightning's DDP, with a store for each attempt of torchrun."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy
from torch._C._distributed_c10d import PrefixStore, TCPStore


def ddp(timeout_minutes: float, **options: Any) -> DDPStrategy:
    """Build Lightning's strategy of one process per device.

    Args:
        timeout_minutes: of a collective operation: for so long the others wait, say, for the first rank to evaluate.
        **options: of DDPStrategy and torch's DistributedDataParallel.
    """
    return RestartableDDP(timeout=timedelta(minutes=timeout_minutes), **options)


class RestartableDDP(DDPStrategy):
    """DDP whose restarted ranks do not read the addresses of dead ones from the store of torchrun.

    torchrun's agent keeps one store for all attempts, in which torch looks up the same keys each time: the first rank
    to arrive would find the others' addresses of the last attempt there, and wait for them until the timeout.
    """

    def setup_distributed(self) -> None:
        """Initialise the process group, with a store of this attempt where torchrun keeps one for all."""
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
