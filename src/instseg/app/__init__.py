"""The commands, one file for each verb; the outermost room.

With ``sweeps`` the only room that knows Hydra. Nothing imports it.
"""
