"""A trained network as a file for other runtimes: the export, its comparison with PyTorch, and its card.

Knows networks by their protocol and models at work. Knows nothing of training and of the commands.
"""
