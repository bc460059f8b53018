"""Storage of cubes: formats, ownership, staging and the journal."""
