"""Find objects in images with a trained model: ``python predict.py --help``."""

from instseg.app.command import run_command
from instseg.core.command_line import typed_arguments

if __name__ == "__main__":
    run_command("predict", typed_arguments())
