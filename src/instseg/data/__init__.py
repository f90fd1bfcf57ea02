"""From a root to batches: prepare, dataset and datamodule, with one room for each step before them.

Knows nothing of networks. The rooms inside import only downwards: reading and fetch, then index, splits and transforms,
then formats and builtin, and last the modules of this folder. ``steps`` is the place to start reading.
"""
