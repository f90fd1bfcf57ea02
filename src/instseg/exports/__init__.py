"""Predictions in files: one format a file, each: a photo and what was found on it -> pictures, labels, tables."""
