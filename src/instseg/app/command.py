"""The commands around Hydra: arguments completed once, a config composed, and errors that say what was meant.

Imports neither torch nor Lightning: ``--help`` and tab completion answer at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

from hydra import version
from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from instseg.app.arguments import complete_command
from instseg.app.check_config import checked_next_config, checked_predict_config, checked_run_config
from instseg.app.check_places import check_next_places, check_predict_places, check_run_places
from instseg.app.conf_folder import CONFIG_DIR
from instseg.app.flags import parse_arguments, refuse_other_forms
from instseg.app.resolvers import register_resolvers
from instseg.app.stop import stop, stop_if_explained
from instseg.app.suggestions import explain
from instseg.app.text_arguments import as_texts
from instseg.app.wrapped_help import wrapped_help
from instseg.core.errors import InstsegError
from instseg.runs.folders import remove_unused_folders

# Threads that wait sleep instead of spinning: it costs nothing on an idle machine, and on a busy one, a laptop with a
# browser open, spinning threads keep the one they wait for from running. Read once, when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

HYDRA_VERSION = "1.3"

register_resolvers()


def train(config: DictConfig) -> float | None:
    """Run the stage of a composed config; the monitored metric, for sweeps."""
    with friendly_errors("train"):
        check_run_places(checked_run_config(config))
        from instseg.app.run import run  # torch is imported here

        return run(config)


def predict(config: DictConfig) -> None:
    """Find objects in images, and end the process with the exit code of that."""
    with friendly_errors("predict"):
        check_predict_places(checked_predict_config(config))
        from instseg.app.predict import predict  # torch is imported here

        sys.exit(predict(config))


def next_images(config: DictConfig) -> None:
    """Choose images to label next, and end the process with the exit code of that."""
    with friendly_errors("next"):
        check_next_places(checked_next_config(config))
        from instseg.app.next_images import next_images  # torch is imported here

        sys.exit(next_images(config))


COMMANDS: dict[str, Callable[[DictConfig], object]] = {"train": train, "predict": predict, "next": next_images}


def run_command(name: str, arguments: Sequence[str]) -> None:
    """Run a command as it is typed in a terminal.

    Args:
        name: one of ``COMMANDS``, and of the config that it composes.
        arguments: what follows the program's name.
    """
    with friendly_errors(name, arguments):
        version.setbase(HYDRA_VERSION)
        parser = get_args_parser()
        refuse_other_forms(parser, name, arguments)
        arguments = as_texts(arguments)
        completed = complete_command(arguments) if name == "train" else arguments
        with wrapped_help() if {"-h", "--help"} & {*arguments} else nullcontext():
            _run_hydra(
                args=parse_arguments(parser, completed),
                args_parser=parser,
                task_function=COMMANDS[name],
                config_path=str(CONFIG_DIR),
                config_name=name,
            )


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
