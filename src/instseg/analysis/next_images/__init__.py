"""The images to label next: uncertainty from two looks at each, the choice among them, and the reasons in words.

Knows no network: predictions and features are handed in.
"""
