"""What is wrong with the data: checks, the report on screen, as a page and as json.

Knows prepared data sets and numbers of the model's settings. Knows no network.
"""
