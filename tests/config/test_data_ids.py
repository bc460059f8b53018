"""Data ids of several files."""

from __future__ import annotations

import pytest

from stacbuild.config.data_ids import apart, check_patterns, entries, is_several, joined, short


def test_a_list_has_one_text_and_comes_apart_again() -> None:
    text = joined([" ü.tif", "b_*.tif", 'c".tif'])
    assert isinstance(text, str)
    assert entries(text) == ("ü.tif", "b_*.tif", 'c".tif')
    assert apart(text) == ["ü.tif", "b_*.tif", 'c".tif']
    assert short(text) == "ü.tif, b_*.tif and 1 more"
    assert is_several(text)


@pytest.mark.parametrize("text", ["a.tif", "[a].tif", '["a.tif', "[1, 2]"])
def test_other_text_is_one_data_id(text: str) -> None:
    assert entries(text) == (text,)
    assert apart(text) == short(text) == joined(text) == joined([text]) == text
    assert not is_several(text)


@pytest.mark.parametrize(("value", "message"), [([], "empty list"), (["a", "a "], "twice")])
def test_lists_that_are_refused(value: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        joined(value)


def test_patterns_within_a_list_are_checked() -> None:
    with pytest.raises(ValueError, match="needs a year"):
        check_patterns(joined(["a.tif", "b_{time:%m}.tif"]))
