"""Where Hydra looks for sweepers. Read at every start of every Hydra program: it imports nothing heavy."""

from __future__ import annotations

from instseg.sweeps.sweeper import RecordingSweeper


class InstsegSweeper(RecordingSweeper):
    """The sweeper of train.py."""

    def explain(self, error: Exception) -> str:
        from instseg.app.cli import explain

        return explain(error, "train")
