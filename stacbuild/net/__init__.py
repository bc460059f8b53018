"""Bytes from elsewhere: verified, resumable downloads, archives, and files read by ranges."""
