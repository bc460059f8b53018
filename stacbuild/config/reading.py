"""YAML text → plain data, where every key and value knows its line and column.

PyYAML's own constructor keeps the last of two equal keys without a word, forgets positions and
expands aliases without limit. Here its scanner, parser and scalar rules are used as they are,
and only the walk from nodes to data is ours.
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
    """A place in the file; line and column count from 1, as editors do."""

    line: int
    column: int


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, at a key path such as ``("datasets", 0, "store")``.

    ``on_key`` points at the key rather than at its value; ``mark`` overrides both.
    """

    path: KeyPath
    message: str
    on_key: bool = False
    mark: Mark | None = None


@dataclass
class Document:
    """Plain data with the places it was read from (none when it never was a file)."""

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
        # What is missing has no place of its own: its parent's is the nearest.
        for length in range(len(problem.path), -1, -1):
            if (mark := self.values.get(problem.path[:length])) is not None:
                return mark
        return None

    def report(self, problems: Iterable[Problem]) -> ConfigError:
        """Turn *problems* into one error, a line each, in the order of the file."""
        marked = [(self._mark(problem), problem) for problem in problems]
        if self.values:
            marked.sort(key=lambda pair: (pair[0].line, pair[0].column) if pair[0] else (0, 0))
        lines = []
        for mark, problem in marked:
            place = f"{self.name}:{mark.line}:{mark.column}" if mark else self.name
            key = ".".join(str(part) for part in problem.path)
            lines.append(
                f"{place}: {key}: {problem.message}" if key else f"{place}: {problem.message}"
            )
        # A key may hold a line break, and a line is all that a problem has.
        return ConfigError(list(dict.fromkeys(map(_printable, lines))))


def _printable(line: str) -> str:
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in line
    )


def read_document(path: Path) -> Document:
    """Read a YAML file.

    Duplicate keys and values of unknown types are kept in ``problems``, so that they can be
    reported together with what else is wrong.

    Raises
    ------
    ConfigError
        If there is no such file, it is too large, not UTF-8 or not YAML, or nests or expands
        without end.
    """
    name = str(path)
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "no such file"
        raise ConfigError(
            f"{name}: {what}; give the path of a configuration such as scs2_config.yml"
        )
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror}") from error
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{name}: is larger than {MAX_BYTES:,} bytes, so it is no configuration")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}:{line}:1: is not UTF-8 text; save it as UTF-8") from None
    return _Walk(name).document(text)


class _EndlessError(Exception):
    """The document holds itself or expands to too much."""


class _Loader(yaml.SafeLoader):
    """PyYAML's loader, stopped at more nodes than a configuration can have."""

    composed = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.composed += 1
        if self.composed > MAX_NODES:
            raise _EndlessError
        return super().compose_node(parent, index)


class _Walk:
    """The walk from YAML nodes to plain data."""

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
            # str(error) would quote the line, which may hold a password.
            mark = error.problem_mark or error.context_mark
            place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
            detail = " ".join(part for part in (error.context, error.problem) if part)
            raise ConfigError(f"{place}: is not valid YAML: {detail}") from None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise ConfigError(f"{name}:{line}:1: is not valid YAML: control character") from None
        except (ValueError, OverflowError):
            # PyYAML's scanner trips over a character or version number beyond all bounds.
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
                self.document_.problems.append(Problem(path, f"is not a valid value: {error}"))
                return str(node.value)
            except yaml.constructor.ConstructorError:
                pass
            except (AttributeError, LookupError, OverflowError):  # such as !!bool maybe
                message = f"is not a value of the YAML tag {_short(node.tag)}"
                self.document_.problems.append(Problem(path, message))
                return str(node.value)
            else:
                return self._whole(value, node, path) if isinstance(value, str) else value
        self.document_.problems.append(
            Problem(path, f"the YAML tag {_short(node.tag)} is not allowed")
        )
        return None

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
                message = f"is given twice (first in line {first})"
                self.document_.problems.append(Problem(at, message, mark=_mark(key_node)))
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
        # Every key of this language is text; 1 or no as a key is compared as it was written.
        if isinstance(node, yaml.ScalarNode):
            return self._whole(str(node.value), node, path)
        message = "a key has to be text, not a list or mapping"
        self.document_.problems.append(Problem(path, message, mark=_mark(node)))
        return None

    def _whole(self, text: str, node: yaml.Node, path: KeyPath) -> str:
        r"""Refuse the halves of characters that escapes such as ``\ud800`` can make."""
        whole = text.encode("utf-8", "replace").decode()
        if whole != text:
            message = "holds half of a character (an escape from \\ud800 to \\udfff)"
            self.document_.problems.append(Problem(path, message, mark=_mark(node)))
        return whole

    def _merged(
        self, node: yaml.MappingNode, inside: tuple[int, ...]
    ) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        """Yield the pairs that ``<<: *alias`` adds to *node*; the earlier ones win."""
        for key_node, value_node in node.value:
            if key_node.tag != _MERGE:
                continue
            several = isinstance(value_node, yaml.SequenceNode)
            for source in value_node.value if several else [value_node]:
                if not isinstance(source, yaml.MappingNode):
                    raise yaml.MarkedYAMLError(
                        problem="a merge (<<) needs a mapping", problem_mark=value_node.start_mark
                    )
                # Merges of merges multiply, though what they add is there already.
                self.seen += 1 + len(source.value)
                if self.seen > MAX_NODES or id(source) in inside:
                    raise _EndlessError
                yield from (pair for pair in source.value if pair[0].tag != _MERGE)
                yield from self._merged(source, (*inside, id(source)))


def _short(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")


def _mark(node: yaml.Node) -> Mark:
    return Mark(node.start_mark.line + 1, node.start_mark.column + 1)
