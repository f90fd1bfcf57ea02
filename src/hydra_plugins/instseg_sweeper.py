"""The entry by which Hydra finds the sweeper. Read at every start of every Hydra program: it imports nothing heavy."""

from __future__ import annotations

from instseg.sweeps.sweeper import RecordingSweeper


class InstsegSweeper(RecordingSweeper):
    """The sweeper of ``train.py``."""

    def explain(self, error: Exception) -> str:
        """Say why the config of a job could not be composed."""
        from instseg.app.conf_folder import CONFIG_DIR
        from instseg.app.suggestions import explain

        return explain(error, "train", list(self.config.hydra.overrides.task), CONFIG_DIR)
