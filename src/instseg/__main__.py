"""The command ``instseg``, or ``python -m instseg``: see ``instseg --help``."""

from instseg.app.verbs import run_verb
from instseg.core.command_line import quiet_interruption, typed_arguments
from instseg.core.errors import InstsegError


def main() -> None:
    """Run the command as it is typed in a terminal."""
    with quiet_interruption():
        try:
            run_verb(typed_arguments())
        except InstsegError as error:
            from instseg.app.stop import stop

            stop(str(error))


if __name__ == "__main__":
    main()
