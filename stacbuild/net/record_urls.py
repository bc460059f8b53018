"""URLs of the files of records of InvenioRDM, the software of Zenodo.

The content of a file is below its name: ``.../records/7/files/a.nc/content``, see
https://inveniordm.docs.cern.ch/reference/rest_api_drafts_records.
"""

from __future__ import annotations

import re

_CONTENT = re.compile(r"(https?://.+?/records/[^/?#]+/files/[^?#]+?/content)(?:/(.*))?")


def split_content(url: str) -> tuple[str, str] | None:
    """Return the URL of the content of a record's file, and the path after it; None for others."""
    found = _CONTENT.fullmatch(url)
    return None if found is None else (found[1], (found[2] or "").strip("/"))


def kind_of(url: str) -> str:
    """Return the kind of store whose rate limits a URL has (`stacbuild.net.pace`), or nothing."""
    return "" if split_content(url) is None else "zenodo"
