"""Jobs that run at the same time never use the same GPU, and divide the cores."""

import os
import subprocess
import sys

import pytest

from instseg.core.errors import InstsegError
from instseg.distributed import device_slots
from instseg.distributed.device_slots import gpus_of_a_job, num_slots, slots, take_slot, visible_gpus

TAKE = """
import sys
from pathlib import Path
from instseg.distributed import device_slots
device_slots.lock_folder = lambda: Path(sys.argv[1])
print(device_slots.take_slot(2).name, flush=True)
sys.stdin.read()
"""


def test_the_gpus_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-8f2a")
    assert visible_gpus() == ["3", "GPU-8f2a"]
    assert [slot.name for slot in slots(8)] == ["gpu-3", "gpu-GPU-8f2a"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert num_slots() == device_slots.JOBS_WITHOUT_GPU


def test_every_core_belongs_to_one_job_where_there_are_enough(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 4})
    first, second = slots(2)
    assert first.cores | second.cores == {0, 1, 2, 3, 4}
    assert not first.cores & second.cores
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5})
    assert [slot.cores for slot in slots(2)] == [{5}, {5}]


def test_processes_take_different_slots_and_give_them_back_when_they_end(tmp_path):
    command, environment = [sys.executable, "-c", TAKE, str(tmp_path)], {**os.environ, "CUDA_VISIBLE_DEVICES": "0,1"}

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    first, second = start(), start()
    assert {first.stdout.readline(), second.stdout.readline()} == {"gpu-0\n", "gpu-1\n"}
    waiting = start()
    first.kill()
    assert waiting.stdout.readline() in ("gpu-0\n", "gpu-1\n")
    for process in (second, waiting):
        process.kill()


@pytest.mark.parametrize("number", [0, 3])
def test_more_jobs_at_once_than_gpus_are_refused_instead_of_left_to_wait(monkeypatch, number):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(InstsegError, match=rf"n_jobs={number}: expected 1 to 2, one for each GPU; left out, it is 2"):
        take_slot(number)


@pytest.mark.parametrize(("devices", "gpus"), [("auto", 1), (4, 4), ("2", 2), ([0, 1, 2], 3)])
def test_slurm_is_asked_for_a_gpu_for_each_device(devices, gpus):
    assert gpus_of_a_job("gpu", devices) == gpus
    assert gpus_of_a_job("cpu", devices) is None
