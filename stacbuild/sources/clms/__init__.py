"""Products of the Copernicus Land Monitoring Service."""
