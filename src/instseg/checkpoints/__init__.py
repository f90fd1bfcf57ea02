"""Checkpoints: their content, writing and verifying them, and resuming a run from one.

Knows the training loop's state. Knows nothing of the command line.
"""
