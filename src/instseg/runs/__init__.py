"""The run folder: its name, its owner, its manifest, and what differs between two runs.

Knows neither torch's training nor Hydra: it answers before either is imported.
"""
