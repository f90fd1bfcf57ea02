"""One thread a test: on a shared machine, threads that wait for each other cost more than they bring."""

import copy
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import IO

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from omegaconf import OmegaConf

torch.set_num_threads(1)

# A shell that starts the tests in the background has SIGINT ignored, and every process of theirs inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)

LONGEST_FILES = (
    "test_train.py", "test_resume.py", "test_sweeper.py", "test_torchvision_parity.py", "test_sweep_options.py",
    "test_callback_order.py", "test_own_backbone.py", "test_own_network.py", "test_sweep_runs.py", "test_cli.py",
    "test_coordinated_stop.py", "test_jobs_of_ranks.py", "test_own_metric_callback_and_writer.py", "test_records.py",
)  # fmt: skip
"""Files that take longest, in order: they start first, so that no process is left with one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST_FILES)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))  # stable: the others stay as they are


@pytest.fixture(scope="session", autouse=True)
def each_config_file_is_parsed_once() -> Iterator[None]:
    """Parsing some thirty files takes Hydra a third of the time of each of the hundreds of configs composed here."""
    parse, parsed = OmegaConf.load, {}

    def load(file: IO[str] | Path | str) -> object:
        path = Path(file if isinstance(file, str | Path) else file.name)
        state = path.stat()
        key = path, state.st_mtime_ns, state.st_size
        if key not in parsed:
            parsed[key] = parse(file)
        return copy.deepcopy(parsed[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OmegaConf, "load", load)
        yield
