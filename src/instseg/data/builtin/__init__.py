"""Data sets that the package makes or downloads itself: shapes, COCO in four categories, Open Images.

Each leaves a folder that a reader of formats can read.
"""
