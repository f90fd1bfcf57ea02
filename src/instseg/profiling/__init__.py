"""Where the time of a training step and of an evaluation goes, and what to do about it.

Knows the training module and its parts. Nothing imports it: the config names its callback.
"""
