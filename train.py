"""Train, validate or test: ``python train.py --help``."""

from instseg.app.command import run_command
from instseg.core.command_line import typed_arguments

if __name__ == "__main__":
    run_command("train", typed_arguments())
