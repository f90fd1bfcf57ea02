"""A model as a server: images over HTTP in, instances out, in its own words and in those of labelling tools.

Knows models at work. Knows nothing of how they were trained, exported and configured, and imports no torch.
"""
