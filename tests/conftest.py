"""One thread a test: on a shared machine, threads that wait for each other cost more than they bring."""

import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

torch.set_num_threads(1)

# A shell that starts the tests in the background has SIGINT ignored, and every process of theirs inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)
