"""YAML becomes plain data whose keys and values know where they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stacbuild.config.reading import MAX_BYTES, Document, Mark, Problem, read_document
from stacbuild.errors import ConfigError


def read(tmp_path: Path, text: str | bytes) -> Document:
    path = tmp_path / "c.yml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_document(path)


def test_places_count_from_one(tmp_path: Path) -> None:
    document = read(tmp_path, "\ufeffa:\n  - b: 1\n    c: [x, y]\n")
    assert document.data == {"a": [{"b": 1, "c": ["x", "y"]}]}
    assert document.keys["a", 0, "c"] == Mark(3, 5)
    assert document.values["a", 0, "c", 1] == Mark(3, 12)


def test_problems_are_lines_in_the_order_of_the_file(tmp_path: Path) -> None:
    document = read(tmp_path, "a: 1\nb:\n  c: 2\n")
    later, missing = Problem(("b", "c"), "is wrong", on_key=True), Problem(("b", "d"), "is missing")
    error = document.report([later, missing, Problem(("a",), "is odd"), later])
    assert [line.partition("c.yml")[2] for line in error.problems] == [
        ":1:4: a: is odd",
        ":3:3: b.c: is wrong",
        ":3:3: b.d: is missing",
    ]
    plain = Document("configuration", {}).report([Problem((), "is\nempty")])
    assert plain.problems == ["configuration: is\\nempty"]


def test_a_key_given_twice_is_told_and_the_first_counts(tmp_path: Path) -> None:
    document = read(tmp_path, "a: 1\nb: 2\na: 3\n")
    assert document.data == {"a": 1, "b": 2}
    (problem,) = document.problems
    assert "first in line 1" in problem.message
    assert problem.mark == Mark(3, 1)


def test_keys_are_text_as_they_are_written(tmp_path: Path) -> None:
    assert read(tmp_path, "1: a\nno: b\n").data == {"1": "a", "no": "b"}
    assert "a key has to be text" in read(tmp_path, "? [a]\n: b\n").problems[0].message


def test_merges_add_what_is_not_there(tmp_path: Path) -> None:
    document = read(tmp_path, "x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: {<<: [{a: 4}, *x]}\n")
    assert document.data["y"] == {"b": 3, "a": 1}
    assert document.data["z"] == {"a": 4, "b": 2}
    assert document.keys["y", "a"] == Mark(1, 8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 2020-02-30", "is not a valid value"),
        ("a: !!python/object:os.system x", "the YAML tag .* is not allowed"),
        ("a: !!bool maybe", "is not a value of the YAML tag !!bool"),
        ('a: "\\ud800"', "half of a character"),
    ],
)
def test_values_that_are_none_are_kept_as_problems(tmp_path: Path, text: str, said: str) -> None:
    (problem,) = read(tmp_path, text).problems
    assert problem.path == ("a",)
    assert re.search(said, problem.message)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1", r"c\.yml:1:\d: is not valid YAML"),
        ("a: \x01", r"c\.yml:1:1: is not valid YAML: control character"),
        (b"a: 1\nb: \xff", r"c\.yml:2:1: is not UTF-8"),
        ("a: &a [*a]", "nests too deeply"),
        ("[" * 5000, "nests too deeply"),
        ("a: &a {<<: *a}", "nests too deeply"),
        ("<<: 7", r"c\.yml:1:5: .*a merge \(<<\) needs a mapping"),
        (b"#" * (MAX_BYTES + 1), "is larger than 1,000,000 bytes"),
    ],
)
def test_what_is_no_yaml_is_an_error(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(tmp_path, text)


def test_aliases_do_not_expand_without_end(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="its aliases expand to more than 50,000 values"):
        read(tmp_path, "\n".join(lines))


def test_a_message_does_not_quote_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "secret: 'canary\nother: [")
    assert "canary" not in str(caught.value)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder, not a file"):
        read_document(tmp_path)
    with pytest.raises(ConfigError, match="no such file"):
        read_document(tmp_path / "gone.yml")
