"""Memory of this process, for cubes only."""
