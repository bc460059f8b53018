"""Other people's STAC catalogs, static and behind an API."""
