"""Starts all stand-ins, and writes a configuration that leads to them."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.standins.clms import ClmsServer, scs2_products
from tests.standins.data import Data
from tests.standins.s3 import BUCKET, GAMI_KEY, S3Server
from tests.standins.zenodo import ZenodoServer, canopy_map, disturbance_atlas
from tests.support.paths import ROOT


@dataclass(frozen=True)
class Endpoints:
    """Where the stand-ins are, in the terms of the configuration."""

    zenodo: str  # up to "/api"
    clms: str  # up to "/api"
    s3: str
    credentials: str  # file for CLMS

    def environment(self) -> dict[str, str]:
        """Variables that lead stacbuild to them (S3 is moved by the configuration only)."""
        return {"STACBUILD_ZENODO_API": self.zenodo, "STACBUILD_CLMS_API": self.clms}


@dataclass(frozen=True)
class Servers:
    """The running stand-ins."""

    zenodo: ZenodoServer
    clms: ClmsServer
    s3: S3Server
    endpoints: Endpoints

    def reset(self) -> None:
        """Bring all back to how they started; only objects put into S3 stay."""
        self.zenodo.restore()
        self.clms.restore()
        self.s3.reset()


@contextmanager
def serve(
    data: Data, directory: Path | None = None, ports: tuple[int, int, int] = (0, 0, 0)
) -> Iterator[Servers]:
    """Serve data until the end of the block.

    The CLMS credentials are written into ``directory``, by default beside the data. ``ports``
    are those of Zenodo, CLMS and S3; 0 takes a free one.
    """
    atlas, canopy = disturbance_atlas(data.zenodo["13333034"]), canopy_map(data.zenodo["8154445"])
    with (
        ZenodoServer(atlas, canopy, port=ports[0]) as zenodo,
        ClmsServer(*scs2_products(data.clms), port=ports[1]) as clms,
        S3Server(port=ports[2]) as s3,
    ):
        s3.upload(data.gami, GAMI_KEY, BUCKET)
        credentials = clms.write_credentials(
            (directory or data.directory) / "clms-credentials.json"
        )
        endpoints = Endpoints(zenodo.api, clms.api, s3.url, str(credentials))
        yield Servers(zenodo, clms, s3, endpoints)


def demo_config(
    directory: Path,
    endpoints: Endpoints,
    *,
    datasets: tuple[str, ...] | None = None,
    bbox: tuple[float, float, float, float] | None = None,
    tile_size: int | None = None,
    source: Path = ROOT / "scs2_config.yml",
) -> Path:
    """Write the SCS2 configuration into ``directory``, moved to the stand-ins.

    Nothing but addresses and credentials change, unless the options say so: ``datasets`` keeps
    only those named (and the preloads that they need), ``bbox`` and ``tile_size`` replace those
    of the grid. Modules of custom processing beside ``source`` come along. Returns the path of
    the new ``scs2_config.yml``.
    """
    config: dict[str, Any] = yaml.safe_load(source.read_text(encoding="utf-8"))
    if datasets is not None:
        config["datasets"] = [each for each in config["datasets"] if each["identifier"] in datasets]
        used = {
            variable["store"]
            for each in config["datasets"]
            for variable in each.get("variables", [each])
        }
        config["preload_datasets"] = [
            each for each in config["preload_datasets"] if each["store"] in used
        ]
        if not config["preload_datasets"]:
            del config["preload_datasets"]
    for store in config["data_stores"]:
        parameters = store["store_params"]
        if store["store_id"] == "zenodo":
            parameters["endpoint_url"] = endpoints.zenodo
        elif store["store_id"] == "clms":
            parameters["endpoint_url"] = endpoints.clms
            parameters["credentials"] = endpoints.credentials
        elif store["store_id"] == "s3":
            parameters["storage_options"]["endpoint_url"] = endpoints.s3
    for grid in config["grid_mappings"]:
        if bbox is not None:
            grid["bbox"] = list(bbox)
        if tile_size is not None:
            grid["tile_size"] = tile_size
    directory.mkdir(parents=True, exist_ok=True)
    for module in source.parent.glob("*.py"):
        shutil.copy(module, directory)
    path = directory / source.name
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


def earlier_ports(directory: Path) -> tuple[int, int, int]:
    """Ports of an earlier run in that directory, so that addresses stay; 0 where not free."""
    path = directory / "endpoints.json"
    if not path.exists():
        return 0, 0, 0
    content = json.loads(path.read_text())
    zenodo, clms, s3 = (urlsplit(content[name]).port or 0 for name in ("zenodo", "clms", "s3"))
    return _if_free(zenodo), _if_free(clms), _if_free(s3)


def _if_free(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port


def write_endpoints(directory: Path, data: Data, endpoints: Endpoints) -> None:
    """Write ``endpoints.json`` and, for shells, ``endpoints.env``."""
    content = {**asdict(endpoints), "environment": endpoints.environment(), "box": data.box}
    (directory / "endpoints.json").write_text(json.dumps(content, indent=2) + "\n")
    lines = [f"export {name}={value}\n" for name, value in endpoints.environment().items()]
    (directory / "endpoints.env").write_text("".join(lines))
