"""What all label readers share: decoded images, their frames, findings, and labels on their way to COCO.

Knows no labelling tool: those are in formats, which imports this.
"""
