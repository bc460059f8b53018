"""The asset of a foreign item, its href, and the item's metadata of it.

Grid and values are read from the file itself (`stacbuild.formats`); the item adds metadata that
files seldom have: title, time, unit, classes, licence.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import pyproj
from pydantic import ValidationError
from pyproj.exceptions import CRSError

from stacbuild.errors import IntegrityError, StacbuildError
from stacbuild.net.http import public_url
from stacbuild.profiles import Class, DataProfile, Provider
from stacbuild.safe_text import clean
from stacbuild.sources.stac.asset_href import may_be_read, resolve_href
from stacbuild.sources.stac.asset_kind import is_array_file, kind_of, readable
from stacbuild.sources.stac.asset_names import key_of
from stacbuild.sources.stac.found import Found
from stacbuild.sources.stac.reader import Reader, links
from stacbuild.sources.stac.times import instant
from stacbuild.stac.data_href import GROUP
from stacbuild.stac.raster_values import year_of

Json = dict[str, Any]

_ROLES = frozenset({"licensor", "producer", "processor", "host"})
_CHECKSUM = re.compile(r"(d50110[0-9a-f]{32}|1220[0-9a-f]{64})")
_PICTURES = frozenset({"thumbnail", "overview"})
_LICENSE = re.compile(r"[\w.+-]{1,100}")


@dataclass(frozen=True)
class Data:
    """The chosen asset of an item.

    Parameters
    ----------
    kind
        ``raster`` (GeoTIFF) or ``zarr``, which includes NetCDF and HDF5.
    href
        A URL without signature, or an absolute path.
    s3
        Its ``s3://`` URL, if it is read there with the store's credentials.
    """

    key: str
    kind: str
    href: str
    s3: str | None
    content: Json = field(repr=False)

    @property
    def read(self) -> str:
        """Path or URL that it is read from."""
        return self.s3 or self.href

    @property
    def opened(self) -> str:
        """Path or URL for `open_group`: with the group in a file that our own item names."""
        group = self.content.get(GROUP)
        if not isinstance(group, str) or ".." in group.split("/") or "://" in group:
            return self.read
        return f"{self.read}/{group.strip('/')}"

    @property
    def above(self) -> Data:
        """The group of an asset that is a single array of a Zarr store."""
        href, s3 = (each and each.rstrip("/").rpartition("/")[0] for each in (self.href, self.s3))
        return replace(self, href=href or "", s3=s3)


def data_of(
    reader: Reader, found: Found, name: str | None, resolution: float | None = None
) -> Data:
    """Return the asset of this name, or else the only one with readable data.

    *resolution*, in metres, decides between several of the asset (`asset_names.key_of`).

    Raises
    ------
    StacbuildError
        There is no such asset, none that can be read, or there are several.
    IntegrityError
        Its href is not allowed.
    """
    assets = {
        str(key): asset for key, asset in found.content["assets"].items() if isinstance(asset, dict)
    }
    if name is None:
        kinds = readable(assets)
        name = _only(found, assets, kinds)
    else:
        kinds = {key: kind for key, asset in assets.items() if (kind := kind_of(asset))}
        try:
            data = {key: assets[key] for key in kinds} if name not in assets else assets
            name = key_of(data, name, resolution) or name
        except StacbuildError as error:
            raise StacbuildError(f"{found.id}: {error}") from None
    if name not in kinds:
        kind = "a GeoTIFF, JPEG 2000, Zarr or NetCDF" if name in assets else "an asset of it"
        raise StacbuildError(
            f"{found.id}: {name!r} is not {kind}; these can be read: "
            f"{clean(', '.join(sorted(readable(assets))))[:300] or 'none'}"
        )
    href, s3 = resolve_href(reader, found, assets[name])
    return Data(name, kinds[name], href, s3, assets[name])


def _only(found: Found, assets: dict[str, Json], kinds: dict[str, str]) -> str:
    """Return the key of the only asset with data."""
    choice = _choice(assets, kinds)
    if len(choice) > 1:
        raise StacbuildError(
            f"{found.id}: has {len(choice)} assets with data; choose by ?asset_names= and "
            f"one or more of: {clean(', '.join(sorted(choice)))[:300]}"
        )
    if not choice:
        raise StacbuildError(
            f"{found.id}: no asset of it is a GeoTIFF, JPEG 2000, Zarr or NetCDF; there are: "
            f"{clean(', '.join(sorted(assets)))[:300] or 'none'}"
        )
    return choice[0]


def choice_of(found: Found) -> list[str]:
    """Return the keys of the assets with data of an item, from which one has to be chosen."""
    content = found.content["assets"]
    assets = {str(key): asset for key, asset in content.items() if isinstance(asset, dict)}
    return _choice(assets, readable(assets))


def _choice(assets: dict[str, Json], kinds: dict[str, str]) -> list[str]:
    marked = [key for key in kinds if _is_data(assets[key].get("roles"))]
    choice = marked or list(kinds)
    if len(choice) > 1:
        # Without copies of the same data at hrefs of unsupported schemes.
        choice = [key for key in choice if may_be_read(assets[key])] or choice
        choice = [key for key in choice if not _is_picture(assets[key])] or choice
        # NetCDF is often a copy of the others for download.
        choice = [key for key in choice if not is_array_file(assets[key])] or choice
    return choice


def _is_picture(asset: Json) -> bool:
    roles = asset.get("roles")
    return isinstance(roles, list) and not _PICTURES.isdisjoint(map(str, roles))


def _is_data(roles: Any) -> bool:
    return isinstance(roles, list) and "data" in roles


def stated_crs(found: Found, data: Data) -> pyproj.CRS | None:
    """Return the CRS of asset, item or collection, in any version of the extensions."""
    stated = crs_statement(found, data)
    return None if stated is None else crs_of(stated)


def crs_statement(found: Found, data: Data) -> str | None:
    """Return the text, for `crs_of`, that states the CRS of asset, item or collection.

    It is in fields of the projection extension, or in the ``reference_system`` of the datacube
    extension.
    """
    summaries = found.collection.get("summaries")
    for fields in (data.content, found.content["properties"], summaries, found.collection):
        if not isinstance(fields, dict):
            continue
        for value in (*(fields.get(key) for key in _CRS_FIELDS), *_reference_systems(fields)):
            if isinstance(value, list) and len(value) == 1:
                value = value[0]
            if isinstance(value, bool) or not isinstance(value, int | str | dict):
                continue
            stated = json.dumps(value)
            try:
                crs_of(stated)
            except (CRSError, ValueError):
                continue
            return stated
    return None


@lru_cache(maxsize=64)
def crs_of(value: str) -> pyproj.CRS:
    """Return the CRS of a statement, from a cache, as the items of a product have few."""
    return pyproj.CRS.from_user_input(json.loads(value))


_CRS_FIELDS = ("proj:code", "proj:epsg", "proj:wkt2", "proj:projjson")


def _reference_systems(fields: Json) -> Iterator[Any]:
    """Yield the ``reference_system`` of x and y in ``cube:dimensions``."""
    dimensions = fields.get("cube:dimensions")
    for each in dimensions.values() if isinstance(dimensions, dict) else ():
        if isinstance(each, dict) and each.get("axis") in ("x", "y"):
            yield each.get("reference_system")


def profile_of(found: Found, data: Data, stated: DataProfile) -> DataProfile:
    """Return the item's metadata of its data as a profile; *stated* overrides it."""
    properties = found.content["properties"]
    metadata: Json = {
        "title": text(data.content.get("title") or properties.get("title"), 300),
        "description": text(data.content.get("description") or properties.get("description")),
        "classes": stated_classes(data.content),
        "years": _years(data.content),
        "start_datetime": instant(properties.get("start_datetime")),
        "end_datetime": instant(properties.get("end_datetime")),
    }
    if metadata["title"] in ("data", data.key, None):
        # The key of an asset is no title.
        metadata["title"] = text(properties.get("title"), 300) or found.id
    if metadata["start_datetime"] is None:
        metadata["end_datetime"] = None
    known = {key: value for key, value in metadata.items() if value is not None}
    return DataProfile.model_validate(known | stated.model_dump(exclude_none=True))


def without_times(profile: DataProfile) -> DataProfile:
    """Return a profile without times.

    A file's own times are those of its data; an item's are often those of its publication.
    """
    return profile.model_copy(update={"start_datetime": None, "end_datetime": None})


def time_notes(times: Sequence[dt.datetime], found: Found) -> list[str]:
    """Return a line if no time of a file is in the years of its item's period.

    A ``datetime`` alone is not compared: it is often that of a publication.
    """
    properties = found.content["properties"]
    stated = [instant(properties.get(key)) for key in ("start_datetime", "end_datetime")]
    years = [when.year for when in stated if when is not None]
    if not times or not years:
        return []
    first, last = min(times).year, max(times).year
    if first <= max(years) and min(years) <= last:
        return []
    theirs, ours = f"{min(years)} to {max(years)}", f"{first} to {last} (netCDF tags)"
    return [f"its item states {theirs}, but the file {ours}, which is used"]


def time_of(found: Found) -> Any:
    """Return the datetime of an item, or the start of its collection; None if neither has one."""
    if when := instant(found.content["properties"].get("datetime")):
        return when
    try:
        return instant(found.collection["extent"]["temporal"]["interval"][0][0])
    except (KeyError, IndexError, TypeError):
        return None


def file_fields(data: Data) -> Json:
    """Return the fields by which changes of the file are detected: checksum and last change."""
    fields: Json = {}
    checksum = data.content.get("file:checksum")
    if isinstance(checksum, str) and _CHECKSUM.fullmatch(checksum):
        fields["file:checksum"] = checksum
    if when := instant(data.content.get("updated")):
        fields["updated"] = f"{when:%Y-%m-%dT%H:%M:%SZ}"
    return fields


def rights_of(found: Found) -> Json:
    """Return licence and providers: the item's own, else its collection's."""
    fields: Json = {}
    for source in (found.collection, found.content["properties"]):
        license_ = source.get("license")
        if isinstance(license_, str) and _LICENSE.fullmatch(license_):
            # Values before STAC 1.1.
            old = license_ in ("proprietary", "various")
            fields["license"] = "other" if old else license_
        if providers := _providers(source.get("providers")):
            fields["providers"] = providers
        for key in ("sci:doi", "sci:citation"):
            if value := text(source.get(key), 2000):
                fields[key] = value
    if not re.fullmatch(r"10\.\d{4,9}/\S+", fields.get("sci:doi", "")):
        fields.pop("sci:doi", None)
    return fields


def outer_links(reader: Reader, location: str, document: Json) -> list[tuple[str, str]]:
    """Return relation and URL of links to web pages: licence, citation, about.

    Without their queries, which may be signatures.
    """
    found = []
    for link in links(document, "license", "cite-as", "about")[:20]:
        href = link.get("href")
        if isinstance(href, str) and href.startswith("http"):
            try:
                found.append((str(link["rel"]), public_url(reader.resolve(location, href))))
            except IntegrityError:
                # Never opened here, but links that are not allowed are not passed on.
                continue
    return found


def text(value: Any, longest: int = 10_000) -> str | None:
    """Return a text without control characters except line breaks; None if it is not text."""
    if not isinstance(value, str) or not value.strip():
        return None
    return "\n".join(clean(line) for line in value[:longest].splitlines()).strip()


def stated_classes(asset: Json) -> list[Json] | None:
    """Return the classes that an asset or its only band states; None if there are none."""
    bands = asset.get("bands") or asset.get("raster:bands")
    first = bands[0] if isinstance(bands, list) and len(bands) == 1 else {}
    for fields in (asset, first):
        given = fields.get("classification:classes") if isinstance(fields, dict) else None
        if not isinstance(given, list) or not 0 < len(given) <= 1000:
            continue
        try:
            return [
                Class.model_validate(
                    {key: value for key, value in each.items() if key in Class.model_fields}
                ).model_dump(exclude_none=True)
                for each in given
            ]
        except (ValidationError, AttributeError):
            return None
    return None


def _years(asset: Json) -> Json | None:
    """Return first year and number of bands that are consecutive years, else None."""
    bands = asset.get("bands")
    if not isinstance(bands, list) or not bands:
        return None
    years = []
    for band in bands:
        times = band if isinstance(band, dict) else {}
        start, end = (instant(times.get(key)) for key in ("start_datetime", "end_datetime"))
        if start is None or (start, end) != year_of(start.year):
            return None
        years.append(start.year)
    if years != list(range(years[0], years[0] + len(years))):
        return None
    return {"first": years[0], "count": len(years)}


def _page(url: Any) -> str | None:
    """Return the URL of a web page without user and query, which may be secrets."""
    if not isinstance(url, str) or not re.match(r"https?://", url):
        return None
    try:
        return public_url(url)
    except ValueError:
        return None


def _providers(value: Any) -> list[Json]:
    providers = []
    for each in value[:20] if isinstance(value, list) else ():
        name = text(each.get("name"), 300) if isinstance(each, dict) else None
        if not name:
            continue
        roles = each.get("roles")
        known = tuple(role for role in roles if role in _ROLES) if isinstance(roles, list) else ()
        url = each.get("url")
        provider = Provider(
            name=name,
            roles=known or None,
            url=_page(url),
        )
        providers.append(provider.model_dump(mode="json", exclude_none=True))
    return providers
