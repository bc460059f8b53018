"""Memory of this process, which only takes cubes."""
