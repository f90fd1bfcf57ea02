"""One file for each format that predictions are written in.

A writer knows one predicted image and the folder it writes to; it knows no model.
"""
