"""A trained network for other programs: as a file, which is compared with PyTorch, and served over HTTP.

Knows networks by their protocol and loaded models. Knows nothing of training and of the commands.
"""
