"""Which image belongs to which split: selection, division, near duplicates, merging of sources.

Knows COCO dictionaries; decodes images only to compare them.
"""
