"""The item of a scene: one item with several assets, each described like that of a single one.

Its assets have the names of the configuration as keys, and everything that loading needs: the
grid (``proj:`` fields), the values, the file. The item itself has the grid of its first asset.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from stacbuild.profiles import DataProfile
from stacbuild.sources.stac.asset import Data, Json, text
from stacbuild.sources.stac.found import Found
from stacbuild.sources.stac.one_asset import Described, Job
from stacbuild.sources.stac.quality import bitfields_of, is_quality
from stacbuild.sources.stac.scene_properties import band_properties
from stacbuild.sources.stac.times import instant
from stacbuild.stac.extensions import declare_extensions
from stacbuild.stac.scenes import QUALITY

_CHECKSUM = re.compile(r"1340[0-9a-f]{128}|1620[0-9a-f]{64}")
_SHARED = ("start_datetime", "end_datetime", "keywords")


def profile_of_asset(profile: DataProfile, name: str) -> DataProfile:
    """Return the profile of an asset of a scene: ``variables`` of that of its data id, by name."""
    own = (profile.variables or {}).get(name, DataProfile())
    shared = {key: getattr(profile, key) for key in _SHARED if getattr(own, key) is None}
    return own.model_copy(update={key: value for key, value in shared.items() if value is not None})


def scene_of(described: Sequence[tuple[Job, Described]], profile: DataProfile) -> Described:
    """Return the item of a scene from the items of its assets, of which the first is changed."""
    first = described[0][1]
    item, found = first.item, first.found
    assets = {}
    for job, each in described:
        asset = each.item.assets["data"]
        asset.title = job.profile.title or _title(job.data.content, job.data)
        asset.description = job.profile.description or text(job.data.content.get("description"))
        asset.roles = [QUALITY] if is_quality(job.data) else ["data"]
        asset.extra_fields = {
            **_of_asset(each.item.properties),
            **asset.extra_fields,
            **bitfields_of(job.data),
            **band_properties(job.data.content),
            **_checksum(job.data.content),
        }
        assets[str(job.name)] = asset
    item.assets = {}
    for name, asset in assets.items():
        item.add_asset(name, asset)
    for key in [key for key in item.properties if key.startswith("cube:")]:
        del item.properties[key]
    _describe_scene(item.properties, found, profile)
    when = instant(found.content["properties"].get("datetime"))
    if when is not None and profile.start_datetime is None:
        item.datetime = when
        same = item.properties.get("start_datetime") == item.properties.get("end_datetime")
        if same:
            for key in ("start_datetime", "end_datetime"):
                item.properties.pop(key, None)
    declare_extensions(item)
    notes = _notes(described)
    return Described(item, found, tuple(notes))


def _checksum(asset: Json) -> Json:
    """Return the checksum of an asset also as SHA-512 (USGS) or SHA3-256 (CDSE)."""
    stated = asset.get("file:checksum")
    known = isinstance(stated, str) and _CHECKSUM.fullmatch(stated)
    return {"file:checksum": stated} if known else {}


def _of_asset(properties: Mapping[str, Any]) -> Json:
    return {key: each for key, each in properties.items() if key.startswith(("proj:", "cube:"))}


def _title(asset: Json, data: Data) -> str | None:
    title = text(asset.get("title"), 300)
    return None if title in ("data", data.key) else title


def _describe_scene(properties: Json, found: Found, profile: DataProfile) -> None:
    """Set title and description of the scene, which are those of its first asset, in place."""
    stated = found.content["properties"]
    properties["title"] = profile.title or text(stated.get("title"), 300) or found.id
    description = profile.description or text(stated.get("description"))
    properties.pop("description", None)
    if description:
        properties["description"] = description


def _notes(described: Sequence[tuple[Job, Described]]) -> list[str]:
    """Return the notes of all assets, each with the names of those that it is about."""
    names: dict[str, list[str]] = {}
    for job, each in described:
        for note in each.notes:
            names.setdefault(note, []).append(str(job.name))
    return [f"{', '.join(some)}: {note}" for note, some in names.items()]
