"""Versions of the bytes at an address, as a server states them. Without imports: plans need it."""

from __future__ import annotations


def version_text(etag: str | None, modified: str | None) -> str:
    """Return the text by which the bytes at an address are compared; empty if nothing states it.

    That is the ETag, which changes with the bytes (RFC 9110, 8.8.3), or else the time of the last
    change.
    """
    if etag:
        # A proxy may make it a weak one, and S3 writes it without quotes in listings.
        plain = etag.removeprefix("W/").strip('"')
        return f"ETag {plain}"
    return f"Last-Modified {modified}" if modified else ""


def is_other_version(stated: str, found: str) -> bool:
    """Return whether two texts of `version_text` state different bytes."""
    return stated != found and stated.partition(" ")[0] == found.partition(" ")[0]
