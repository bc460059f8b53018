"""Pictures of cubes: coarse reads, colours, thumbnails and previews."""
