"""Files under a URL."""
