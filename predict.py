"""Find objects in images with a trained model: ``python predict.py --help``."""

import sys

import hydra
from omegaconf import DictConfig

from instseg.app.cli import friendly_errors


@hydra.main(version_base="1.3", config_path="conf", config_name="predict")
def main(config: DictConfig) -> None:
    """Predict, and exit with a code that tells whether every image was read."""
    from instseg.app.predict import predict

    with friendly_errors("predict"):
        sys.exit(predict(config))


if __name__ == "__main__":
    with friendly_errors("predict"):
        main()
