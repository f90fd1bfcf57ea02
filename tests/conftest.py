"""One thread a test: on a shared machine, threads that wait for each other cost more than they bring."""

import gc
import os
import signal
import sys
from collections.abc import Iterator

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported
os.environ["PYTHONDONTWRITEBYTECODE"] = ""  # empty is unset: otherwise each of hundreds of processes compiles all again

import pytest
from absl import logging as absl_logging
from command_server import start_server
from hypothesis import settings
from hypothesis.internal.conjecture import providers

# A shell that starts the tests in the background has SIGINT ignored, and every process of theirs inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# TensorBoard's library closes what it logs to when Hydra sets up logging anew; that must not be what pytest captures.
absl_logging.get_absl_handler().python_handler.stream = sys.__stderr__

if "PYTEST_XDIST_WORKER" in os.environ:
    gc.disable()  # until all is imported: nothing of that is garbage

settings.register_profile("few", parent=settings.get_profile("ci"), max_examples=20)
# Examples are the same whatever constants stand in the sources, which each process would parse for them.
providers._get_local_constants = lambda: providers._local_constants

LONGEST_FILES = (
    "test_exporters.py", "test_matrix.py", "test_torch_export.py", "test_using_page.py", "test_launchers.py",
    "test_rank_death.py", "test_torchrun.py",
    "test_weights.py", "test_configs.py", "test_fuzzed_folders.py", "test_sweeper.py", "test_sweep_runs.py",
    "test_prepare.py", "test_mask_rcnn.py", "test_python.py", "test_own_network.py", "test_report_page.py",
    "test_metrics.py", "test_round_trips.py", "test_own_backbone.py", "test_records.py", "test_train.py",
    "test_own_metric_callback_and_writer.py", "test_torchvision_parity.py", "test_dataset_root.py",
    "test_augmentation_groups.py", "test_sweep_options.py", "test_metrics_parity.py", "test_verbs.py",
    "test_resume.py", "test_coordinated_stop.py", "test_profiling.py", "test_jobs_of_ranks.py",
)  # fmt: skip
"""Files that take longest, in order: they start first, so that no process is left with one of them at the end."""


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: a sixth of the time, tests wait for processes and servers of theirs."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST_FILES)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))  # stable: the others stay as they are


def pytest_collection_finish() -> None:
    gc.enable()
    gc.freeze()  # a million objects of the imports, which each full collection would go through
    if "typed_commands" in sys.modules:
        start_server()


@pytest.fixture(scope="session", autouse=True)
def the_same_config_is_composed_once() -> Iterator[None]:
    from composed_once import compose_once  # Hydra, which the process that only hands out tests need not import

    with pytest.MonkeyPatch.context() as patch:
        compose_once(patch)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_test_waits_for_the_disk() -> Iterator[None]:
    """A power cut is no part of the tests; which files are flushed before they get their names is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def intervals_are_of_few_draws() -> Iterator[None]:
    from few_draws import draw_few

    with pytest.MonkeyPatch.context() as patch:
        draw_few(patch)
        yield


@pytest.fixture(params=[pytest.param(50, id="fifty"), pytest.param(2000, id="thousands", marks=pytest.mark.slow)])
def tries(request: pytest.FixtureRequest) -> int:
    """How many damaged copies of a file are tried."""
    number: int = request.param
    return number
