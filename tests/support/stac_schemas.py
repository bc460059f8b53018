"""A catalog compared with the official STAC schemas, without network.

The schemas of STAC itself come with pystac; those of extensions from ``schemas`` of the folder of
real inputs, where there is one. Without it extensions are not checked.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pystac
from pystac.validation import JsonSchemaSTACValidator

from tests.support.paths import SHARED


class _Schemas(JsonSchemaSTACValidator):
    """The schemas that are on this machine: none is fetched."""

    def __init__(self) -> None:
        super().__init__()
        index = SHARED / "schemas" / "index.json"
        self.extensions = index.exists()
        if self.extensions:
            for uri, path in json.loads(index.read_text()).items():
                self.schema_cache.setdefault(uri, json.loads((index.parent / path).read_text()))

    def _get_schema(self, schema_uri: str) -> dict[str, Any]:
        return self.schema_cache[schema_uri.rstrip("#")]


_schemas = functools.cache(_Schemas)


def stac_problems(root: Path) -> list[str]:
    """Return what is wrong in a catalog: what the schemas say, and hrefs that lead nowhere.

    The JSON is validated as it stands, for pystac migrates what it reads.
    """
    queue, seen, found = [root.resolve()], set(), []
    while queue:
        path = queue.pop()
        if path in seen:
            continue
        seen.add(path)
        content = json.loads(path.read_text())
        found += [f"{path}: {problem}" for problem in _invalid(content)]
        links = [(link["rel"], link["href"]) for link in content["links"]]
        assets = [("asset", asset["href"]) for asset in content.get("assets", {}).values()]
        local = [
            (rel, href)
            for rel, href in links + assets
            if "://" not in href and not href.startswith("/vsi")
        ]
        for rel, href in local:
            if not (path.parent / href).exists():
                found.append(f"{path}: {rel} {href} is not there")
            elif rel in ("child", "item"):
                queue.append((path.parent / href).resolve())
    assert len(seen) > 1, "an empty catalog proves nothing"
    return found


def _invalid(content: dict[str, Any]) -> list[str]:
    schemas = _schemas()
    kind = pystac.STACObjectType(content["type"])
    extensions = content.get("stac_extensions", []) if schemas.extensions else []
    try:
        schemas.validate(content, kind, content["stac_version"], extensions)
    except pystac.STACValidationError as error:
        details = error.source or []
        return [f"{'/'.join(map(str, d.absolute_path))}: {d.message[:200]}" for d in details] or [
            str(error)
        ]
    return []
