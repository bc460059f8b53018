"""Check the workers of a dask cluster before a cube is computed on them."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stacbuild.errors import LocalError

if TYPE_CHECKING:
    from distributed import Client

# These determine the bytes of a cube, or have to be the same to unpickle tasks.
_PACKAGES = (
    *("stacbuild", "dask", "distributed", "numcodecs"),
    *("numpy", "rasterio", "stackstac", "xarray", "zarr"),
)


def check_workers(client: Client, hrefs: Sequence[str], folder: Path | None) -> None:
    """Check that every worker has our versions and sees the files to be read and written.

    Parameters
    ----------
    hrefs
        Hrefs of the sources. All workers have to see those that are local files.
    folder
        The folder that cubes are written to, if it is one.

    Raises
    ------
    LocalError
        If a worker has other versions, or does not see a file or the folder.
    """
    files = {
        href: Path(href).stat().st_size if Path(href).is_file() else None
        for href in hrefs
        if "://" not in href
    }
    versions = _versions()
    probe = folder / f".stacbuild-probe-{secrets.token_hex(8)}" if folder else None
    try:
        if probe:
            probe.touch()
        answers = client.run(_inspect, files, probe, on_error="return")
    finally:
        if probe:
            probe.unlink(missing_ok=True)
    for worker, answer in sorted(answers.items()):
        if isinstance(answer, BaseException):
            raise LocalError(
                f"worker {worker}: cannot be checked ({' '.join(str(answer).split())}); it needs "
                f"stacbuild {versions['stacbuild']} with its dependencies"
            ) from answer
        theirs, problem = answer
        for name, version in versions.items():
            if theirs[name] != version:
                raise LocalError(
                    f"worker {worker}: has {name} {theirs[name]}, but this process has {version}; "
                    "install the same version"
                )
        if problem:
            raise LocalError(
                f"worker {worker}: {problem}; use a disk that all workers see under the same "
                "path, or another scheduler: threads"
            )


def _versions() -> dict[str, str]:
    versions = {"Python": ".".join(platform.python_version_tuple()[:2])}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _inspect(files: Mapping[str, int | None], probe: Path | None) -> tuple[dict[str, str], str]:
    """Return a worker's versions, and a problem with its files or ""; runs on the worker."""
    return _versions(), _file_problem(files, probe)


def _file_problem(files: Mapping[str, int | None], probe: Path | None) -> str:
    for name, size in files.items():
        try:
            found = Path(name).stat().st_size
        except OSError as error:
            return f"does not see {name} ({error.strerror})"
        if size is not None and found != size:
            return f"sees another file as {name}, of {found} bytes instead of {size}"
        if not os.access(name, os.R_OK):
            return f"cannot read {name}"
    if probe is None:
        return ""
    if not probe.exists():
        return f"does not see {probe.parent}, or sees another folder there"
    written = probe.with_name(f"{probe.name}-{secrets.token_hex(8)}")
    try:
        written.touch()
        written.unlink()
    except OSError as error:
        return f"cannot write to {probe.parent} ({error.strerror})"
    return ""
