"""Buckets on any S3 server."""
