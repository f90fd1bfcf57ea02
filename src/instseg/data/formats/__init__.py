"""Readers of label formats: one folder for each tool, whose ``reader`` turns its files into COCO dictionaries.

Modules that several formats share are beside the folders: ``image_labels`` (labels of one image, read in threads),
``shapes`` (what was drawn, as polygons) and ``plain_json`` (values that nobody has checked). ``drawing_tools`` and
``image_sets`` list the readers that ``auto`` chooses among. A reader knows its own format, and nothing of the index or
the training.
"""
