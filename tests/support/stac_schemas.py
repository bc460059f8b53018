"""A catalog compared with the official STAC schemas, without network.

The schemas of STAC itself come with pystac, that of PROJJSON with pyproj, those of extensions lie
in the folder ``schemas``.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pyproj.datadir
import pystac
from jsonschema.exceptions import best_match
from pystac.validation import JsonSchemaSTACValidator

FOLDER = Path(__file__).parent / "schemas"


class _Schemas(JsonSchemaSTACValidator):
    """The schemas that come with the tests and the packages: none is fetched."""

    def __init__(self) -> None:
        super().__init__()
        for path in FOLDER.rglob("*.json"):
            self.schema_cache[f"https://{path.relative_to(FOLDER)}"] = json.loads(path.read_text())
        projjson = json.loads(
            Path(pyproj.datadir.get_data_dir(), "projjson.schema.json").read_text()
        )
        self.schema_cache[projjson["$id"]] = projjson

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
        found += [f"{path}: {problem}" for problem in schema_problems(content)]
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


def schema_problems(content: dict[str, Any]) -> list[str]:
    """Return what the schemas of STAC and its extensions say about one document."""
    kind = pystac.STACObjectType(content["type"])
    extensions = content.get("stac_extensions", [])
    try:
        _schemas().validate(content, kind, content["stac_version"], extensions)
    except pystac.STACValidationError as error:
        # Most of what is wrong stands below a `oneOf`, whose own message is the whole document.
        details = [best_match([detail]) for detail in error.source or []]
        return [f"{'/'.join(map(str, d.absolute_path))}: {d.message[:200]}" for d in details] or [
            str(error)
        ]
    return []
