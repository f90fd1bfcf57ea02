"""The LightningModule, its optimizers, weight averaging and callbacks.

Knows the model by its losses and predictions, and knows neither the files of checkpoints nor Hydra.
"""
