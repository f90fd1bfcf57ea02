"""The command line of this process, read here and written to nowhere."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EXIT_INTERRUPTED = 130
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


def typed_command(verb: str, launcher: str = "") -> str:
    """Return the start of a command in the form that this process was started in, to be printed for the user.

    ``python train.py stage=test`` in a checkout, ``instseg test`` or ``python -m instseg test`` elsewhere.

    Args:
        verb: of the command ``instseg``, such as ``test``.
        launcher: of the ranks, such as ``srun python``; none for a single process.
    """
    python, path = launcher or "python", Path(program())
    if path.name in ("train.py", "predict.py") and path.absolute().parent == CHECKOUT:
        name = "predict.py" if verb == "predict" else "train.py"
        script = name if Path.cwd() == CHECKOUT else path.with_name(name)
        stage = "" if verb in ("train", "predict") else f" stage={verb.replace('-', '_')}"
        return f"{python} {shlex.quote(str(script))}{stage}"
    is_module = path.parts[-2:] == ("instseg", "__main__.py")
    return f"{python} -m instseg {verb}" if launcher or is_module else f"instseg {verb}"
