"""The audit of a dataset: checks of the data, and their report on screen, as a page and as json.

Knows prepared datasets and numbers of the model's settings. Knows no network.
"""
