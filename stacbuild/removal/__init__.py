"""Cubes removed, with what only they used."""
