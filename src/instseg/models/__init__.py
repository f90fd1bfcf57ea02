"""Networks, their parts and their weights.

Knows tensors of ``core.types``. Knows no data set, no training loop and no files but those of weights.
"""
