"""Grids, the mapping of pixels between them, and resampling; nothing here opens a file."""
