"""YAML text to plain data, with the line and column of every key and value.

PyYAML's own constructor silently takes the last of two equal keys, drops positions and expands
aliases without limit. So its scanner, parser and rules for scalars are used, and the nodes are
converted to data here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from stacbuild.errors import ConfigError

MAX_BYTES = 1_000_000
MAX_NODES = 50_000

_MAP = "tag:yaml.org,2002:map"
_SEQ = "tag:yaml.org,2002:seq"
_MERGE = "tag:yaml.org,2002:merge"

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Mark:
    """A position in the file; line and column count from 1, as in editors."""

    line: int
    column: int


@dataclass(frozen=True)
class Problem:
    """A mistake at a key path such as ``("datasets", 0, "store")``.

    ``on_key`` locates it at the key instead of the value; ``mark`` overrides both. ``other`` is a
    second key path that the message names.
    """

    path: KeyPath
    message: str
    on_key: bool = False
    mark: Mark | None = None
    other: KeyPath | None = None


@dataclass
class Document:
    """Plain data with the positions of keys and values (none if it was not read from a file)."""

    name: str
    data: Any
    keys: dict[KeyPath, Mark] = field(default_factory=dict)
    values: dict[KeyPath, Mark] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def _mark(self, problem: Problem) -> Mark | None:
        if problem.mark is not None:
            return problem.mark
        if problem.on_key and problem.path in self.keys:
            return self.keys[problem.path]
        # A missing key has no position; its parent's is the nearest.
        for length in range(len(problem.path), -1, -1):
            if (mark := self.values.get(problem.path[:length])) is not None:
                return mark
        return None

    def report(self, problems: Iterable[Problem]) -> ConfigError:
        """Return one error with a line for each problem, in the order of the file."""
        marked = [(self._mark(problem), problem) for problem in problems]
        if self.values:
            marked.sort(key=lambda pair: (pair[0].line, pair[0].column) if pair[0] else (0, 0))
        lines = []
        for mark, problem in marked:
            position = f"{self.name}:{mark.line}:{mark.column}" if mark else self.name
            key = ".".join(str(part) for part in problem.path)
            lines.append(": ".join(filter(None, (position, key, problem.message))))
        # A key may contain a line break; each problem is one line.
        return ConfigError(list(dict.fromkeys(map(_printable, lines))))


def _printable(line: str) -> str:
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in line
    )


def read_document(path: Path) -> Document:
    """Read a YAML file.

    Duplicate keys and values of unknown types are recorded as ``problems`` of the document, to be
    reported with all other mistakes.

    Raises
    ------
    ConfigError
        If the file does not exist, is too large, not UTF-8 or not YAML, or nests or expands
        without end.
    """
    name = str(path)
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "no such file"
        raise ConfigError(f"{name}: {what}; pass the path of a configuration such as stacbuild.yml")
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror}") from error
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{name}: is larger than {MAX_BYTES:,} bytes, so not a configuration")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}:{line}:1: is not UTF-8 text; save it as UTF-8") from None
    return _Walk(name).document(text)


class _EndlessError(Exception):
    """The document contains itself or expands to too much."""


class _Loader(yaml.SafeLoader):
    """PyYAML's loader with a limit on the number of nodes."""

    composed = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.composed += 1
        if self.composed > MAX_NODES:
            raise _EndlessError
        return super().compose_node(parent, index)


class _Walk:
    """Conversion of YAML nodes to plain data."""

    def __init__(self, name: str) -> None:
        self.document_ = Document(name, None)
        self.seen = 0

    def document(self, text: str) -> Document:
        name = self.document_.name
        try:
            self.loader = _Loader(text)
            node = self.loader.get_single_node()
            if node is not None:
                self.document_.data = self._value(node, (), ())
        except yaml.MarkedYAMLError as error:
            # str(error) would quote the line, which may contain a password.
            mark = error.problem_mark or error.context_mark
            position = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
            detail = " ".join(part for part in (error.context, error.problem) if part)
            raise ConfigError(f"{position}: is not valid YAML: {detail}") from None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise ConfigError(f"{name}:{line}:1: is not valid YAML: control character") from None
        except (ValueError, OverflowError):
            # PyYAML's scanner fails on an escape or version number that is too large.
            mark = self.loader.get_mark()
            raise ConfigError(
                f"{name}:{mark.line + 1}:{mark.column + 1}: is not valid YAML: a number in an "
                "escape or directive is too large"
            ) from None
        except (RecursionError, _EndlessError):
            raise ConfigError(
                f"{name}:1:1: is too long, nests too deeply, or its aliases expand to more "
                f"than {MAX_NODES:,} values"
            ) from None
        return self.document_

    def _value(self, node: yaml.Node, path: KeyPath, inside: tuple[int, ...]) -> Any:
        self.seen += 1
        if self.seen > MAX_NODES or id(node) in inside:
            raise _EndlessError
        self.document_.values[path] = _mark(node)
        inside = (*inside, id(node))
        if isinstance(node, yaml.MappingNode) and node.tag == _MAP:
            return self._mapping(node, path, inside)
        if isinstance(node, yaml.SequenceNode) and node.tag == _SEQ:
            return [self._value(child, (*path, i), inside) for i, child in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            try:
                value = self.loader.construct_object(node)
            except ValueError as error:  # such as the date 2020-02-30
                self._refuse(path, f"is not a valid value: {error}")
                return str(node.value)
            except yaml.constructor.ConstructorError:
                pass
            except (AttributeError, LookupError, OverflowError):  # such as !!bool maybe
                self._refuse(path, f"is not a value of the YAML tag {_short(node.tag)}")
                return str(node.value)
            else:
                return self._whole(value, node, path) if isinstance(value, str) else value
        self._refuse(path, f"the YAML tag {_short(node.tag)} is not allowed")
        return None

    def _refuse(self, path: KeyPath, message: str, node: yaml.Node | None = None) -> None:
        mark = _mark(node) if node else None
        self.document_.problems.append(Problem(path, message, mark=mark))

    def _mapping(
        self, node: yaml.MappingNode, path: KeyPath, inside: tuple[int, ...]
    ) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                continue
            if (key := self._key(key_node, path)) is None:
                continue
            at = (*path, key)
            if key in result:
                first = self.document_.keys[at].line
                self._refuse(at, f"is a duplicate key (first in line {first})", key_node)
                continue
            self.document_.keys[at] = _mark(key_node)
            result[key] = self._value(value_node, at, inside)
        for key_node, value_node in self._merged(node, inside):
            key = self._key(key_node, path)
            if key is not None and key not in result:
                self.document_.keys[*path, key] = _mark(key_node)
                result[key] = self._value(value_node, (*path, key), inside)
        return result

    def _key(self, node: yaml.Node, path: KeyPath) -> str | None:
        # All keys are text: a key 1 or no is compared as written.
        if isinstance(node, yaml.ScalarNode):
            return self._whole(str(node.value), node, path)
        self._refuse(path, "a key has to be text, not a list or mapping", node)
        return None

    def _whole(self, text: str, node: yaml.Node, path: KeyPath) -> str:
        r"""Refuse lone surrogates, which escapes such as ``\ud800`` can make."""
        whole = text.encode("utf-8", "replace").decode()
        if whole != text:
            message = "contains half of a character (an escape from \\ud800 to \\udfff)"
            self._refuse(path, message, node)
        return whole

    def _merged(
        self, node: yaml.MappingNode, inside: tuple[int, ...]
    ) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        """Yield the pairs that ``<<: *alias`` merges into *node*; the first of equal keys wins."""
        for key_node, value_node in node.value:
            if key_node.tag != _MERGE:
                continue
            several = isinstance(value_node, yaml.SequenceNode)
            for source in value_node.value if several else [value_node]:
                if not isinstance(source, yaml.MappingNode):
                    raise yaml.MarkedYAMLError(
                        problem="a merge (<<) needs a mapping", problem_mark=value_node.start_mark
                    )
                # Merges of merges multiply, even if they add no new key.
                self.seen += 1 + len(source.value)
                if self.seen > MAX_NODES or id(source) in inside:
                    raise _EndlessError
                yield from (pair for pair in source.value if pair[0].tag != _MERGE)
                yield from self._merged(source, (*inside, id(source)))


def _short(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")


def _mark(node: yaml.Node) -> Mark:
    return Mark(node.start_mark.line + 1, node.start_mark.column + 1)
