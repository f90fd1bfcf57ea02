"""One folder for each labelling tool, with a ``reader`` that turns its files into COCO dictionaries.

What several tools share lies beside the folders. A reader knows its own format and nothing of the index, the splits or
the training.
"""
