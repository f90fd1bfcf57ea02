"""The configs, installed as the package ``instseg.conf``: Hydra finds them as ``pkg://instseg.conf``."""
