"""Style and script that the pages of this package share."""
