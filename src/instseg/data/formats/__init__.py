"""Readers of label formats: one folder for each tool, whose ``reader`` turns its files into COCO dictionaries.

Modules that several formats share are beside the folders. A reader knows its own format, and nothing of the index, the
splits or the training.
"""
