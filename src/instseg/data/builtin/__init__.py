"""Datasets that the package generates or downloads: shapes, COCO in four categories, Open Images.

Each produces a folder that a reader of ``formats`` can read.
"""
