"""Where cubes lie: their formats, who owns a path, staging and the journal."""
