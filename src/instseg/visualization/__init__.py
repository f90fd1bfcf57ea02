"""Pure drawing: instances on images, sheets of several images, curves.

Takes arrays and returns arrays, or writes a picture to a given path. Knows no dataset, no model and no run.
"""
