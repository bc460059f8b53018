"""A Zenodo record as a STAC collection: metadata, providers, licence, and all its files."""

from __future__ import annotations

import mimetypes
from typing import Any

import pystac

from stacbuild.formats.archive import stem
from stacbuild.formats.file_format import ARRAY_FILES, MEDIA_TYPES, Format, format_of
from stacbuild.profiles import CollectionProfile
from stacbuild.sources.stated import stated_fields
from stacbuild.sources.zenodo.record import Record, RecordFile
from stacbuild.stac.catalog import STORE
from stacbuild.stac.extensions import declare_extensions, multihash_md5
from stacbuild.stac.raster_item import JPEG_2000, MEDIA_TYPE

_ZENODO = pystac.Provider("Zenodo", roles=[pystac.ProviderRole.HOST], url="https://zenodo.org")

# Zenodo's ids are those of SPDX in lower case; a few older ones differ altogether.
_SPDX = {
    identifier.lower(): identifier
    for identifier in (
        "CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC-BY-NC-3.0",
        "CC-BY-NC-4.0", "CC-BY-NC-SA-3.0", "CC-BY-NC-SA-4.0", "CC-BY-ND-4.0", "CC-BY-NC-ND-4.0",
        "ODbL-1.0", "ODC-By-1.0", "PDDL-1.0", "etalab-2.0", "OGL-UK-3.0", "CDLA-Permissive-2.0",
        "MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "EUPL-1.2", "MPL-2.0",
        "GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later",
        "AGPL-3.0-only", "AGPL-3.0-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later",
    )
} | {"cc-zero": "CC0-1.0", "cc-by": "CC-BY-4.0", "mit-license": "MIT"}  # fmt: skip

_READ = frozenset({Format.GEOTIFF, Format.JPEG2000, *ARRAY_FILES})
FORMATS = ", ".join(sorted(_READ, key=str.lower))
"""Names of the formats that are read, for messages."""
_TYPES = {**MEDIA_TYPES, Format.JPEG2000: JPEG_2000}
_ARCHIVE_TYPES = {
    ".zip": "application/zip",
    ".tar": "application/x-tar",
    ".gz": "application/gzip",
    ".tgz": "application/gzip",
}


def record_collection(
    record: Record, profile: CollectionProfile, store_key: str
) -> pystac.Collection:
    """Return *record* as the collection ``zenodo-<id>``; *profile* overrides it.

    Its extent is the globe and the date of publication, until there are items.
    """
    collection = pystac.Collection(
        id=f"zenodo-{record.id}",
        title=profile.title or record.title,
        description=profile.description or record.description or record.title,
        license=profile.license or _SPDX.get((record.license or "").lower(), "other"),
        keywords=list(profile.keywords or record.keywords) or None,
        providers=[*_providers(record, profile), _ZENODO],
        extent=pystac.Extent(
            pystac.SpatialExtent([[-180.0, -90.0, 180.0, 90.0]]),
            pystac.TemporalExtent([[record.published, None]]),
        ),
        extra_fields={STORE: store_key, **_record_fields(record, profile)},
    )
    for file in record.files:
        collection.add_asset(file.key, _asset(file))
    for link in _links(record, profile, collection.license):
        collection.add_link(link)
    declare_extensions(collection)
    return collection


def file_fields(file: RecordFile) -> dict[str, Any]:
    """Return ``file:size`` and ``file:checksum`` of a file of the record."""
    checksum = {"file:checksum": multihash_md5(file.md5)} if file.md5 else {}
    return {"file:size": file.size, **checksum}


def archive_type(key: str) -> str:
    """Return the media type of an archive by its name."""
    suffix = f".{key.lower().rpartition('.')[2]}"
    return _ARCHIVE_TYPES.get(suffix, "application/octet-stream")


def is_geotiff(name: str) -> bool:
    """Return whether a file is a GeoTIFF by its name."""
    return _suffixed(name) is Format.GEOTIFF


def is_array_file(name: str) -> bool:
    """Return whether a file is one of arrays, such as NetCDF or HDF5, by its name."""
    return _suffixed(name) in ARRAY_FILES


def is_data(name: str) -> bool:
    """Return whether a file is of a format that is read, by its name."""
    return _suffixed(name) in _READ


def media_type_of(name: str) -> str:
    """Return the media type of a file that is read, by its name."""
    return _TYPES.get(_suffixed(name), MEDIA_TYPE)


def _suffixed(name: str) -> Format:
    # Without folders: a file in a folder such as a.nc is not one of its groups.
    return format_of(name.rpartition("/")[2])


def _asset(file: RecordFile) -> pystac.Asset:
    if is_data(file.key):
        media_type: str | None = media_type_of(file.key)
    elif stem(file.key):
        media_type = archive_type(file.key)
    else:
        media_type = mimetypes.guess_type(file.key)[0] or "application/octet-stream"
    data = is_data(file.key) or stem(file.key)
    return pystac.Asset(
        href=file.url,
        title=file.key,
        media_type=media_type,
        roles=["data"] if data else ["metadata"],
        extra_fields=file_fields(file),
    )


def _providers(record: Record, profile: CollectionProfile) -> list[pystac.Provider]:
    if stated := stated_fields(profile).get("providers"):
        return [pystac.Provider.from_dict(entry) for entry in stated]
    return [
        pystac.Provider(
            creator.name,
            description=creator.affiliation,
            roles=[pystac.ProviderRole.PRODUCER],
            url=f"https://orcid.org/{creator.orcid}" if creator.orcid else None,
        )
        for creator in record.creators
    ]


def _record_fields(record: Record, profile: CollectionProfile) -> dict[str, Any]:
    stated = {
        "published": record.published.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "version": record.version,
        "sci:doi": profile.doi or record.doi,
        "sci:citation": profile.citation or _citation(record, profile),
        "sci:publications": stated_fields(profile).get("sci:publications"),
    }
    return {name: value for name, value in stated.items() if value}


def _citation(record: Record, profile: CollectionProfile) -> str:
    """Cite as Zenodo does: authors (year). Title (version). Zenodo. DOI."""
    authors = "; ".join(creator.name for creator in record.creators)
    doi = profile.doi or record.doi
    version = f" ({record.version})" if record.version else ""
    where = f"https://doi.org/{doi}" if doi else record.page
    return (
        f"{authors} ({record.published.year}). {profile.title or record.title}{version}. "
        f"Zenodo. {where}"
    ).strip()


def _links(record: Record, profile: CollectionProfile, license_id: str) -> list[pystac.Link]:
    links = [pystac.Link("about", record.page, "text/html", "Record on Zenodo")]
    doi = profile.doi or record.doi
    if doi:
        links.append(pystac.Link("cite-as", f"https://doi.org/{doi}", "text/html", doi))
    if record.newer:
        links.append(
            pystac.Link("latest-version", record.newer, "text/html", "Newest version on Zenodo")
        )
    terms = profile.license_link or record.license_url
    if terms is None and license_id.startswith("CC-"):
        kind, _, version = license_id.removeprefix("CC-").rpartition("-")
        terms = f"https://creativecommons.org/licenses/{kind.lower()}/{version}/"
    if terms is None and license_id == "other":
        terms = record.page
    if terms:
        links.append(pystac.Link("license", terms, "text/html", "Terms of use"))
    return links
