"""Run a user's function on a dataset."""

from __future__ import annotations

import ast
import math
import traceback
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stacbuild.config.code import folders_of
from stacbuild.errors import BuildError
from stacbuild.loading.modules import import_file

if TYPE_CHECKING:
    from stacbuild.config.datasets import CustomProcessing

# Kinds of dtypes: booleans, integers, floats, complex numbers, times and durations.
_KINDS = frozenset("biufcmM")

# The file name in code objects that cloudpickle (from 3.1.3) unpickled in another process.
_UNNAMED = "<dynamic-code>"


def run_custom(dataset: xr.Dataset, custom: CustomProcessing) -> xr.Dataset:
    """Call a function of a module in the configuration's folder.

    Parameters
    ----------
    dataset
        Lazy, on the target grid, with the source's dimension names.
    custom
        The file and name of the function, which takes and returns an `xarray.Dataset`.

    Raises
    ------
    BuildError
        If the module or function is missing, raises, or returns something else. The message
        names the line of the user's file.
    """
    path, function = custom.file, custom.function_name
    where = f"{path.name}:{function}"
    module = _import(path, custom.directory)
    call = getattr(module, function, None)
    if not callable(call):
        raise BuildError(f"{path}: has no function {function!r}")
    try:
        result = call(dataset)
    except (Exception, SystemExit) as error:
        raise BuildError(f"{where} raised {error_text(error, path)}") from error
    if not isinstance(result, xr.Dataset):
        raise BuildError(f"{where} returned a {type(result).__name__}, not an xarray.Dataset")
    return _validated(result, dataset, where)


def _validated(result: xr.Dataset, before: xr.Dataset, where: str) -> xr.Dataset:
    """Check that the variables can be stored in a cube; lazy ones are checked when computed."""
    untouched = {array.data.name for array in before.data_vars.values() if array.chunks}
    validated = result.copy()
    for name, array in result.data_vars.items():
        if not isinstance(name, str) or not name or set(name) & set("/\\") or name.startswith("."):
            raise BuildError(f"{where} gave a variable the name {name!r}, which cannot be stored")
        if array.dtype.kind not in _KINDS:
            raise BuildError(f"{where} gave {name} the dtype {array.dtype}; a cube holds numbers")
        if not array.chunks or array.data.name in untouched:
            continue
        if any(math.isnan(length) for lengths in array.chunks for length in lengths):
            raise BuildError(f"{where} gave {name} chunks of unknown size; use another way to it")
        data = da.map_blocks(
            _checked_block,
            array.data,
            where=where,
            variable=name,
            dtype=array.dtype,
            meta=np.empty((0,) * array.ndim, array.dtype),
        )
        validated[name] = array.copy(data=data)
    return validated


def _checked_block(
    block: Any, *, where: str, variable: str, block_info: dict[Any, dict[str, Any]]
) -> NDArray[Any]:
    """Return a block with the announced shape and dtype; any other would leave gaps in the cube."""
    announced = block_info[None]
    shape, dtype = tuple(announced["chunk-shape"]), np.dtype(announced["dtype"])
    found = np.asarray(block)
    if found.shape != shape:
        raise BuildError(f"{where} gave a chunk of {variable} of shape {found.shape}, not {shape}")
    if not np.can_cast(found.dtype, dtype, "same_kind"):
        raise BuildError(
            f"{where} gave a chunk of {variable} of {found.dtype}, not {dtype} as announced"
        )
    return found


def _import(path: Path, directory: Path) -> ModuleType:
    try:
        return import_file(path, folders_of(path, directory))
    except FileNotFoundError as error:
        if error.filename is None and error.args == (path,):
            message = f"{path}: no such Python file; see custom_processing.module_path"
            raise BuildError(message) from error
        raise BuildError(f"{path}: cannot be imported: {error_text(error, path)}") from error
    except (Exception, SystemExit) as error:
        raise BuildError(f"{path}: cannot be imported: {error_text(error, path)}") from error


def comes_from(error: BaseException, path: Path) -> bool:
    """Return whether the traceback of an error has a frame in the file *path*."""
    return bool(_lines(error, path))


def error_text(error: BaseException, path: Path) -> str:
    """Return an error as one line of text, with the line number in the user's file."""
    lines = _lines(error, path)
    at = f" at {path.name}:{lines[-1]}" if lines else ""
    return f"{type(error).__name__}{at}: {' '.join(str(error).split())}"


def _lines(error: BaseException, path: Path) -> list[int | None]:
    frames = traceback.extract_tb(error.__traceback__)
    spans = _functions(path) if any(each.filename == _UNNAMED for each in frames) else []
    return [
        frame.lineno
        for frame in frames
        if (
            any(
                name == frame.name and first <= (frame.lineno or 0) <= last
                for name, first, last in spans
            )
            if frame.filename == _UNNAMED
            else Path(frame.filename) == path
        )
    ]


def _functions(path: Path) -> list[tuple[str, int, int]]:
    """Return name, first and last line of each function in a file; none if it is unreadable."""
    try:
        nodes = list(ast.walk(ast.parse(path.read_bytes())))
    except (OSError, ValueError, SyntaxError, RecursionError):
        return []
    named = [
        (node.name, node.lineno, node.end_lineno or node.lineno)
        for node in nodes
        if isinstance(node, ast.FunctionDef)
    ]
    unnamed = [
        ("<lambda>", node.lineno, node.end_lineno or node.lineno)
        for node in nodes
        if isinstance(node, ast.Lambda)
    ]
    return named + unnamed
