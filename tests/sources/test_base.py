"""The modules of each kind of store hold to the protocols that say what they contain."""

from __future__ import annotations

import importlib.util
import inspect

import pytest

from stacbuild.config.store import Store
from stacbuild.config.stores import MODELS
from stacbuild.kinds import KINDS, load_module
from stacbuild.sources.base import Describer, Harvester, Lister, Watcher
from stacbuild.sources.clms import harvest as clms_harvest
from stacbuild.sources.clms import listing as clms_listing
from stacbuild.sources.clms.store import ClmsStore
from stacbuild.sources.file import harvest as file_harvest
from stacbuild.sources.file import listing as file_listing
from stacbuild.sources.file import state as file_state
from stacbuild.sources.file.store import FileStore
from stacbuild.sources.https import harvest as https_harvest
from stacbuild.sources.https import state as https_state
from stacbuild.sources.https.store import HttpsStore
from stacbuild.sources.s3 import harvest as s3_harvest
from stacbuild.sources.s3 import listing as s3_listing
from stacbuild.sources.s3 import state as s3_state
from stacbuild.sources.s3.store import S3Store
from stacbuild.sources.stac import harvest as stac_harvest
from stacbuild.sources.stac import listing as stac_listing
from stacbuild.sources.stac import state as stac_state
from stacbuild.sources.stac.store import StacStore
from stacbuild.sources.zenodo import harvest as zenodo_harvest
from stacbuild.sources.zenodo import listing as zenodo_listing
from stacbuild.sources.zenodo.store import ZenodoStore

# mypy checks this module as it does the package: each line is the types of a module of a kind.
CLMS_HARVEST: Harvester[ClmsStore] = clms_harvest
CLMS_LISTING: Lister[ClmsStore] = clms_listing
CLMS_LISTING_DESCRIBES: Describer[ClmsStore] = clms_listing
FILE_HARVEST: Harvester[FileStore] = file_harvest
FILE_LISTING: Lister[FileStore] = file_listing
FILE_STATE: Watcher[FileStore] = file_state
HTTPS_STATE: Watcher[HttpsStore] = https_state
S3_STATE: Watcher[S3Store] = s3_state
HTTPS_HARVEST: Harvester[HttpsStore] = https_harvest
S3_HARVEST: Harvester[S3Store] = s3_harvest
S3_LISTING: Lister[S3Store] = s3_listing
STAC_HARVEST: Harvester[StacStore] = stac_harvest
STAC_LISTING: Lister[StacStore] = stac_listing
STAC_STATE: Watcher[StacStore] = stac_state
ZENODO_HARVEST: Harvester[ZenodoStore] = zenodo_harvest
ZENODO_LISTING: Lister[ZenodoStore] = zenodo_listing


def expected(model: type[Store]) -> dict[tuple[str, str], type]:
    """Return the functions that the package of a kind has to have, with their protocols."""
    found: dict[tuple[str, str], type] = {}
    if model.readable:
        found["harvest", "harvest"] = Harvester
    if model.listable:
        found["listing", "entries"] = Lister
    if not model.described_in_place:
        found["listing", "describe"] = Describer
    if "catalog_folder" in vars(model) or model.is_watched:
        found["state", "why_changed"] = Watcher
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_modules_of_a_kind_are_those_of_the_protocols(kind: str) -> None:
    wanted = expected(MODELS[kind])
    modules = {
        name
        for name in ("harvest", "listing", "state")
        if importlib.util.find_spec(f"{KINDS[kind]}.{name}")
    }
    assert modules == {name for name, _ in wanted}
    for (module, function), protocol in wanted.items():
        given = inspect.signature(getattr(load_module(kind, module), function))
        stated = inspect.signature(getattr(protocol, function))
        names = list(stated.parameters)[1:]
        assert list(given.parameters)[: len(names)] == names, f"{kind}/{module}.py"
        # What a kind adds for its own tests may be left out.
        more = list(given.parameters.values())[len(names) :]
        assert all(each.default is not each.empty for each in more), f"{kind}/{module}.py"


def test_the_types_of_each_module_are_checked_above() -> None:
    functions = {
        f"{kind}_{module}{'_describes' if name == 'describe' else ''}".upper()
        for kind, model in MODELS.items()
        for module, name in expected(model)
    }
    assert {name for name in globals() if name.isupper() and "_" in name} >= functions
