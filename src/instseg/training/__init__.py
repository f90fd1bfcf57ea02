"""The LightningModule, its optimizers, weight averaging and callbacks.

Knows the model by what it returns, and neither checkpoints' files nor Hydra.
"""
