"""Measurement of the time of training steps and evaluations by parts, with advice on the most expensive ones.

Knows the training module and its parts. Nothing imports it: the config names its callback.
"""
