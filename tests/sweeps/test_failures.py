"""Why a job ended: what speaks against its values, what against nothing, and what stops the whole sweep."""

import errno

import pytest

from instseg.checkpoints.files import DiskFullError
from instseg.core.errors import InstsegError
from instseg.sweeps.failures import ends_sweep, is_disk_full, kind_of, reason_of


def raised_from(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("DataLoader worker (pid 71) is killed by signal: Killed. "),
        raised_from(
            RuntimeError("DataLoader worker (pid(s) 71) exited unexpectedly"),
            RuntimeError("DataLoader worker (pid 71) is killed by signal: Killed. "),
        ),
    ],
)
def test_a_lack_of_memory_is_known_by_the_words_of_whoever_reports_it(error):
    assert kind_of(error) == "out of memory"
    assert reason_of(error).startswith("out of memory: ")


def test_what_the_user_can_mend_is_refused_and_all_else_an_error():
    assert (kind_of(InstsegError("no such folder")), kind_of(ValueError("x"))) == ("refused", "error")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DiskFullError("last.ckpt cannot be written, the disk is full"), True),
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (raised_from(InstsegError("the index cannot be written"), OSError(errno.ENOSPC, "No space left")), True),
        (RuntimeError("Caught OSError in DataLoader worker process 0. … [Errno 28] No space left on device"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (RuntimeError("unable to write to file </torch_71>: No space left on device (28)"), False),  # shared memory
    ],
)
def test_a_full_disk_is_told_from_other_errors(error, expected):
    assert is_disk_full(error) is expected


def test_a_circle_of_causes_ends():
    first = raised_from(ValueError("first"), KeyError("second"))
    raised_from(first.__cause__, first)
    assert (kind_of(first), is_disk_full(first)) == ("error", False)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyboardInterrupt(), True),
        (SystemExit(128 + 15), True),
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (SystemExit(1), False),
        (SystemExit("some text"), False),
        (SystemExit(255), False),
        (GeneratorExit(), False),
        (ValueError("x"), False),
    ],
)
def test_only_signals_and_a_full_disk_end_a_whole_sweep(error, expected):
    assert ends_sweep(error) is expected
