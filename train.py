"""Train, validate or test: ``python train.py --help``."""

import hydra
from omegaconf import DictConfig

from instseg.app.cli import friendly_errors, inherit_arguments


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> float | None:
    """Run the stage that the configuration names; returns the monitored metric, for sweeps."""
    from instseg.app.train import train  # torch is imported here, so that --help and tab completion answer at once

    with friendly_errors("train"):
        return train(config)


if __name__ == "__main__":
    with friendly_errors("train"):
        inherit_arguments()
        main()
