"""Files from elsewhere: HTTP with resume and ranges, buckets, zips; checked, atomic, retried.

Knows nothing of labels.
"""
