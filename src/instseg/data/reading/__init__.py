"""The common base of all label readers: decoded images, their frames, findings, and labels on their way to COCO.

Knows no labelling tool: those are in formats, which imports this.
"""
