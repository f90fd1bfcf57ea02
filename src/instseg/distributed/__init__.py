"""Ranks, signals and device slots: processes that start, stop and fail together.

Knows no model and no data.
"""
