"""The mistakes of a model: its cases, what they cost, what to do next, and the page that shows all of it.

Works on predictions beside ground truth, in the original frame. Knows no network, no training loop and no config.
"""
