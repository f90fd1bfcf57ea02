"""The command line of this process, read here and written to nowhere."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EXIT_INTERRUPTED = 130
CONFIG_DIR_FLAGS = ("--config-dir", "-cd")
COMPOSE_A_CONFIG = (
    *("train", "test", "validate", "report", "audit", "label-errors", "show-augmentation", "export"),
    *("predict", "next", "serve"),
)
"""Verbs that compose a config, and take a folder of the user's own with ``--config-dir``."""
CHECKOUT = Path(__file__).parents[3]
"""The folder of ``train.py`` and ``predict.py``, where the package has not been installed as a wheel."""


def program() -> str:
    """Return the program's name as it was typed, such as ``train.py``."""
    return sys.argv[0]


@contextmanager
def quiet_interruption() -> Iterator[None]:
    """End the process at Ctrl-C with one word, and the exit code that shells give it, in place of a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)


def typed_arguments() -> list[str]:
    """Return the arguments as they were typed, before anything is inherited."""
    return sys.argv[1:]


def typed_config_dir() -> str | None:
    """Return the folder of the user's own configs as it was typed; None where there is none."""
    arguments = typed_arguments()
    for flag, following in zip(arguments, [*arguments[1:], ""], strict=False):
        name, _, value = flag.partition("=")
        if name in CONFIG_DIR_FLAGS:
            return value or following
    return None


def typed_command(verb: str, launcher: str = "") -> str:
    """Return the start of a command in the form that this process was started in, to be printed for the user.

    ``python train.py stage=test`` in a checkout, ``instseg test`` or ``python -m instseg test`` elsewhere. A command
    that composes a config has the folder of the user's own, which the run may be made of.

    Args:
        verb: of the command ``instseg``, such as ``test``.
        launcher: of the ranks, such as ``srun python``; none for a single process.
    """
    own = typed_config_dir() if verb in COMPOSE_A_CONFIG else None
    return _command(verb, launcher) + (f" --config-dir {shlex.quote(own)}" if own else "")


def _command(verb: str, launcher: str) -> str:
    python, path = launcher or "python", Path(program())
    if path.name in ("train.py", "predict.py") and path.absolute().parent == CHECKOUT:
        name = "predict.py" if verb == "predict" else "train.py"
        script = name if Path.cwd() == CHECKOUT else path.with_name(name)
        stage = "" if verb in ("train", "predict") else f" stage={verb.replace('-', '_')}"
        return f"{python} {shlex.quote(str(script))}{stage}"
    is_module = path.parts[-2:] == ("instseg", "__main__.py")
    return f"{python} -m instseg {verb}" if launcher or is_module else f"instseg {verb}"
