"""Sweeps: many runs that are recorded one by one, ranked together and compared image by image."""
