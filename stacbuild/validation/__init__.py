"""The catalog, cubes and sources, compared with what they should be."""
