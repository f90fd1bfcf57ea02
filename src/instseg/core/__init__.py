"""Vocabulary, errors, geometry, COCO json, files and text.

Every other room may import this one. It knows none of them, and neither torch's training nor Hydra.
"""
