"""One process group per Hydra job: what Lightning starts as other ranks is this job, not the whole sweep."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch.distributed as dist
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, read_write

RANK_VARIABLES = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "GROUP_RANK")
SWEEP_ONLY = ("hydra.mode", "hydra.sweep", "hydra/sweeper", "hydra/launcher", "hydra.launcher", "hydra.run.dir")


@contextmanager
def one_job() -> Iterator[None]:
    """Everything that may use several processes belongs inside: the other ranks replay ``sys.argv``.

    Lightning appends ``hydra.run.dir=<this run's>`` to it, so all ranks share one folder. In a sweep ``sys.argv``
    would replay every job; it is replaced by this job's own overrides, and the process group ends with the job.
    """
    if not HydraConfig.initialized():
        yield
        return
    job = HydraConfig.get()
    with read_write(job.run):  # type: ignore[arg-type]  # the other ranks must not make a folder of their own
        job.run.dir = job.runtime.output_dir
    if job.mode != RunMode.MULTIRUN:
        yield
        return
    argv, environment = list(sys.argv), {name: os.environ.get(name) for name in RANK_VARIABLES}
    kept = [override for override in job.overrides.hydra if not override.lstrip("+~").startswith(SWEEP_ONLY)]
    sys.argv = [argv[0], *job.overrides.task, *kept, "hydra.mode=RUN"]
    try:
        yield
    finally:
        sys.argv = argv
        for name, value in environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()


def typed_model_options(config: DictConfig) -> dict[str, Any]:
    """The model options given on the command line, such as {"box.score_threshold": 0.01}."""
    if not HydraConfig.initialized():
        return {}
    keys = [override.lstrip("+~").partition("=")[0] for override in HydraConfig.get().overrides.task]
    return {k.removeprefix("model."): OmegaConf.select(config, k) for k in keys if k.startswith("model.")}
