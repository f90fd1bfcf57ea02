"""Train, validate or test: ``python train.py --help``."""

from instseg.core.command_line import quiet_interruption, typed_arguments

if __name__ == "__main__":
    with quiet_interruption():
        from instseg.app.command import run_command  # a second of imports, in which Ctrl-C may come as well

        run_command("train", typed_arguments())
