"""Running a user's own function on a dataset."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

import cloudpickle
import xarray as xr

from stacbuild.errors import BuildError


def run_custom(dataset: xr.Dataset, path: Path, function: str) -> xr.Dataset:
    """Call a function of a module beside the configuration.

    Parameters
    ----------
    dataset
        Lazy, on the target grid, with the source's dimension names.
    path
        Of the Python file.
    function
        Its name; it takes and returns an `xarray.Dataset`.

    Raises
    ------
    BuildError
        If the module or function is missing, raises, or returns something else. The message
        names the line of the user's file.
    """
    where = f"{path.name}:{function}"
    module = _import(path)
    call = getattr(module, function, None)
    if not callable(call):
        raise BuildError(f"{path}: has no function {function!r}")
    try:
        result = call(dataset)
    except (Exception, SystemExit) as error:
        raise BuildError(f"{where} raised {place(error, path)}") from error
    if not isinstance(result, xr.Dataset):
        raise BuildError(f"{where} returned a {type(result).__name__}, not an xarray.Dataset")
    return result


def _import(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"stacbuild_custom_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise BuildError(f"{path}: no such Python file; see custom_processing.module_path")
    module = importlib.util.module_from_spec(spec)
    before = set(sys.modules)
    # A module may import others that lie beside it.
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise BuildError(f"{path}: cannot be imported: {place(error, path)}") from error
    finally:
        sys.path.remove(str(path.parent))
    _send_whole(set(sys.modules) - before, path.parent)
    return module


def _send_whole(names: set[str], folder: Path) -> None:
    """Let functions of modules from a folder be sent to other processes, which cannot import them.

    Those of the user's module itself are sent so anyway, as it is in no list of modules.
    """
    for name in names:
        package = sys.modules[name.partition(".")[0]]
        file = Path(getattr(package, "__file__", None) or "/")
        # Beside it, and not in an environment that happens to lie in the same folder.
        if folder == (file.parents[1] if file.name == "__init__.py" else file.parent):
            cloudpickle.register_pickle_by_value(sys.modules[name])


def comes_from(error: BaseException, path: Path) -> bool:
    """Tell whether a line of the file *path* was being run when the error arose."""
    return bool(_lines(error, path))


def place(error: BaseException, path: Path) -> str:
    """Say in one line what the error is and where in the user's file it arose."""
    lines = _lines(error, path)
    at = f" at {path.name}:{lines[-1]}" if lines else ""
    return f"{type(error).__name__}{at}: {' '.join(str(error).split())}"


def _lines(error: BaseException, path: Path) -> list[int | None]:
    return [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename) == path
    ]
