"""The division of images into splits: selection, division, near duplicates, merging of sources.

Knows COCO dictionaries; decodes images only to compare them.
"""
