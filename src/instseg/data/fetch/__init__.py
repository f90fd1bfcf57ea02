"""Fetching of remote files: HTTP with resume and ranges, buckets, zip archives; verified, atomic, retried.

Knows nothing of labels.
"""
