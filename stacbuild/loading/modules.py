"""Import a user's file and its neighbouring modules, isolated from the modules of the process.

They are compiled from source, never loaded from outdated bytecode, and are not left in
`sys.modules`: another configuration may have other modules of the same names, and cloudpickle
pickles unregistered modules by value.

An import statement within a function runs when the function is called, perhaps in another process
that cannot import these modules. It is therefore compiled as a look-up in `Later`, which is
pickled with the function.
"""

from __future__ import annotations

import ast
import importlib
import sys
import sysconfig
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from stacbuild.config.code import module_in

# Name of the `Later` object in each of the user's modules.
_LATER = "__stacbuild_later__"

# The import system has one state per process, so only one thread may import at a time.
_importing = threading.RLock()


def import_file(path: Path, folders: Sequence[Path]) -> ModuleType:
    """Import a Python file that may import modules from *folders*.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    Exception
        Any exception that its code raises.
    """
    if not path.is_file():
        raise FileNotFoundError(path)
    modules = _Modules(folders)
    name = f"stacbuild_custom_{path.stem}"
    loader = _Loader(name, str(path), modules)
    spec = spec_from_file_location(name, path, loader=loader)
    assert spec is not None  # noqa: S101 - never None with a loader
    module = module_from_spec(spec)
    with modules.importing():
        loader.exec_module(module)
    return module


class _Modules:
    """The modules that one user's file imports from its folders."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = folders
        self.later = Later(self)
        self._own: dict[str, ModuleType] = {}
        self._active = False

    @contextmanager
    def importing(self) -> Iterator[None]:
        """Register the modules and a finder for the folders during an import."""
        with _importing:
            if self._active:
                yield
                return
            # Remove other modules of the same names during the import; otherwise the user's modules
            # would import them.
            aside = {name: sys.modules.pop(name) for name in _namesakes(self.folders)}
            before = set(sys.modules)
            sys.modules.update(self._own)
            finder = _Finder(self)
            # Before installed packages, as Python does for a script and its folder.
            at = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else 0
            sys.meta_path.insert(at, finder)
            self._active = True
            try:
                yield
            finally:
                self._active = False
                sys.meta_path.remove(finder)
                self._take(set(sys.modules) - before)
                sys.modules.update(aside)

    def _take(self, new: set[str]) -> None:
        """Unregister those of the new modules that belong to the user."""
        own = [name for name in new if _top(name) in new and self.holds(sys.modules[_top(name)])]
        for name in own:
            module = self._own[name] = sys.modules.pop(name)
            if type(module) is ModuleType and not _is_compiled(module):
                module.__class__ = _Module

    def holds(self, package: ModuleType) -> bool:
        """Return whether a module lies in the folders, but not in an environment within them."""
        if file := getattr(package, "__file__", None):
            levels = 1 if Path(file).name == "__init__.py" else 0
            return Path(file).parents[levels] in self.folders
        return any(Path(each).parent in self.folders for each in getattr(package, "__path__", ()))

    def has(self, name: str) -> bool:
        """Return whether a dotted name starts with a module or package in the folders."""
        top = _top(name)
        if any(module_in(folder, top) for folder in self.folders):
            return True
        return any((folder / top).is_dir() for folder in self.folders) and _is_unknown(top)

    def load(self, name: str) -> ModuleType:
        """Import and return a module by its dotted name."""
        with self.importing():
            return importlib.import_module(name)


class Later(dict[str, ModuleType]):
    """Modules that the user's functions import when called, by dotted name."""

    def __init__(self, modules: _Modules | None = None) -> None:
        self._modules = modules
        self.names: dict[str, None] = {}

    def __missing__(self, name: str) -> ModuleType:
        """Import the module on its first use."""
        if self._modules is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        self[name] = module = self._modules.load(name)
        return module

    def leaf(self, name: str) -> ModuleType:
        """Return the module that ``import a.b as c`` binds."""
        return self[name]

    def top(self, name: str) -> ModuleType:
        """Return the module that ``import a.b`` binds."""
        _ = self[name]
        return self[_top(name)]

    def member(self, name: str, of: str) -> Any:
        """Return the object that ``from of import name`` binds."""
        package = self[of]
        if hasattr(package, name):
            return getattr(package, name)
        try:
            return self[f"{of}.{name}"]
        except ModuleNotFoundError:
            message = f"cannot import name {name!r} from {of!r}"
            raise ImportError(message, name=of) from None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with all modules that may be imported in another process."""
        if self._modules is not None:
            for name in list(self.names):
                # A module that cannot be imported raises on its first use.
                with suppress(Exception, SystemExit):
                    _ = self[name]
        return Later, (), None, None, iter(self.items())


class _Module(ModuleType):
    """A module that is pickled by value, even with circular imports."""

    def __reduce__(self) -> tuple[Any, ...]:
        left_out = {"__builtins__", "__loader__", "__spec__"}
        state = {name: value for name, value in vars(self).items() if name not in left_out}
        return _Module, (self.__name__,), state


class _Finder:
    """Finds modules in the user's folders, only for the thread that imports them."""

    def __init__(self, modules: _Modules) -> None:
        self._modules = modules
        self._thread = threading.get_ident()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module, for Python's import system."""
        del target
        if threading.get_ident() != self._thread:
            return None
        *above, last = name.split(".")
        folders = [folder.joinpath(*above) for folder in self._modules.folders]
        if path is not None:
            folders = [folder for folder in folders if str(folder) in path]
        for folder in folders:
            file = module_in(folder, last)
            if file is None:
                continue
            if file.suffix != ".py":
                return PathFinder.find_spec(name, [str(folder)])
            return spec_from_file_location(
                name,
                file,
                loader=_Loader(name, str(file), self._modules),
                submodule_search_locations=(
                    [str(file.parent)] if file.name == "__init__.py" else None
                ),
            )
        below = [str(folder / last) for folder in folders if (folder / last).is_dir()]
        if not below or (path is None and not _is_unknown(name)):
            return None
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = below
        return spec


class _Loader(SourceFileLoader):
    """Compiles a module from its source each time, ignoring cached bytecode.

    Python takes bytecode as current if size and modification time of the source are unchanged,
    and compares that time only to the second.
    """

    def __init__(self, name: str, path: str, modules: _Modules) -> None:
        super().__init__(name, path)
        self._modules = modules

    def get_code(self, fullname: str) -> CodeType | None:
        """Compile the module."""
        path = self.get_filename(fullname)
        package = fullname if self.is_package(fullname) else fullname.rpartition(".")[0]
        tree = ast.parse(self.get_data(path), path)
        tree = ast.fix_missing_locations(_Rewriter(self._modules, package).visit(tree))
        return compile(tree, path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module."""
        setattr(module, _LATER, self._modules.later)
        super().exec_module(module)


class _Rewriter(ast.NodeTransformer):
    """Replaces imports of the user's modules within functions by look-ups in `Later`."""

    def __init__(self, modules: _Modules, package: str) -> None:
        self._modules = modules
        self._package = package
        self._depth = 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def _function(self, node: ast.AST) -> ast.AST:
        self._depth += 1
        try:
            return self.generic_visit(node)
        finally:
            self._depth -= 1

    def visit_Import(self, node: ast.Import) -> list[ast.stmt]:
        statements: list[ast.stmt] = []
        for alias in node.names:
            if not self._depth or not self._modules.has(alias.name):
                statements.append(ast.Import(names=[alias]))
            elif alias.asname:
                statements.append(self._assign(alias.asname, "leaf", alias.name))
            else:
                statements.append(self._assign(_top(alias.name), "top", alias.name))
        return [ast.copy_location(each, node) for each in statements]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> list[ast.stmt]:
        name = node.module or ""
        if node.level:
            parents = self._package.split(".")
            parents = parents[: len(parents) - node.level + 1]
            name = ".".join(filter(None, [*parents, name])) if self._package else ""
        if not self._depth or not name or not self._modules.has(name):
            return [node]
        if any(alias.name == "*" for alias in node.names):
            return [node]  # a SyntaxError within functions, raised by compile()
        statements = []
        for alias in node.names:
            self._modules.later.names[f"{name}.{alias.name}"] = None
            statements.append(self._assign(alias.asname or alias.name, "member", alias.name, name))
        return [ast.copy_location(each, node) for each in statements]

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        called = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
        if not self._depth or called != "import_module" or len(node.args) != 1 or node.keywords:
            return node
        [name] = node.args
        if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
            return node
        if name.value.startswith(".") or not self._modules.has(name.value):
            return node
        return ast.copy_location(self._look_up("leaf", name.value), node)

    def _assign(self, target: str, method: str, *names: str) -> ast.stmt:
        return ast.Assign([ast.Name(target, ast.Store())], self._look_up(method, *names))

    def _look_up(self, method: str, *names: str) -> ast.expr:
        self._modules.later.names[_top(names[-1])] = None
        self._modules.later.names[names[-1]] = None
        look_up = ast.Attribute(ast.Name(_LATER, ast.Load()), method, ast.Load())
        return ast.Call(look_up, [ast.Constant(each) for each in names], [])


def _namesakes(folders: Sequence[Path]) -> list[str]:
    """Return loaded modules with the name of a module in *folders*, including their submodules.

    Installed packages are never among them.
    """
    names = {path.stem for folder in folders for path in folder.glob("*.py")}
    names |= {path.parent.name for folder in folders for path in folder.glob("*/__init__.py")}
    keys = ("stdlib", "platstdlib", "purelib", "platlib")
    installed = {Path(sysconfig.get_path(key)) for key in keys}
    tops = {
        name
        for name in names & set(sys.modules) - {"__main__"}
        if (file := getattr(sys.modules[name], "__file__", None))
        and not any(Path(file).is_relative_to(each) for each in installed)
    }
    tops.discard(_top(__name__))
    return [name for name in list(sys.modules) if _top(name) in tops]


def _is_unknown(name: str) -> bool:
    """Return whether no module of this name is installed; a folder is then a namespace package."""
    if name in sys.modules or name in sys.builtin_module_names:
        return False
    return PathFinder.find_spec(name) is None


def _is_compiled(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and not str(file).endswith(".py")


def _top(name: str) -> str:
    return name.partition(".")[0]
