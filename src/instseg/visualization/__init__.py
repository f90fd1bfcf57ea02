"""Pure drawing: instances on images, sheets of several images, curves.

Takes arrays and returns arrays or writes the picture it is told to. Knows no data set, no model and no run.
"""
