"""Registration of the sweeper with Hydra, which reads it at the start of every Hydra program: imports stay light."""

from __future__ import annotations

from instseg.sweeps.sweeper import RecordingSweeper


class InstsegSweeper(RecordingSweeper):
    """The sweeper of train.py."""

    def explain(self, error: Exception) -> str:
        """Describe an error as ``python train.py`` does."""
        from instseg.app.cli import explain

        return explain(error, "train")
