"""What a checkpoint holds, how it is written and verified, and how a run resumes from it.

Knows the training loop's state. Knows nothing of the command line.
"""
