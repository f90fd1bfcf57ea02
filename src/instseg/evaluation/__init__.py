"""Matching, AP, and intervals by resampling images: from predictions and ground truth to numbers.

Works on run-length masks in the original frame. Knows no network, no file format of labels and no training loop.
"""
