"""The errors of a command as a few lines for its user."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException

from instseg.app.conf_folder import CONFIG_DIR
from instseg.app.stop import stop, stop_if_explained
from instseg.app.suggestions import explain
from instseg.core.errors import InstsegError
from instseg.runs.folders import remove_unused_folders


@contextmanager
def friendly_errors(name: str, arguments: Sequence[str] = ()) -> Iterator[None]:
    """Print errors that the user can fix as a few lines, exit code 1; anything unforeseen keeps its traceback.

    Args:
        name: of the command and of its config.
        arguments: of the command.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that Hydra raises to here instead of printing its own summary
    if _is_job_of_a_sweep():  # which records every error and continues
        yield
        return
    try:
        yield
    except InstsegError as error:  # a loader process wraps the message into its traceback
        stop(str(error).rpartition("InstsegError: ")[2].strip())
    except KeyboardInterrupt:
        remove_unused_folders()
        raise
    except (HydraException, OmegaConfBaseException) as error:  # some of which are OSErrors
        stop(explain(error, name, arguments, CONFIG_DIR))
    except OSError as error:
        stop_if_explained(error)
        raise


def _is_job_of_a_sweep() -> bool:
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
