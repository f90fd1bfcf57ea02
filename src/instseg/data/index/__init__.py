"""The memory-mapped columns of a split: written once, opened in milliseconds.

Knows COCO dictionaries and no labelling tool.
"""
