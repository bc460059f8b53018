"""Text from elsewhere is shown without control characters and credentials."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from stacbuild import safe_text
from stacbuild.safe_text import clean, clean_lines, redact, remember_secret, word_of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\tc\r", "a b c "),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("Gänsebrücke 東", "Gänsebrücke 東"),
    ],
)
def test_control_characters_are_shown(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_lines_and_indentation_may_stay() -> None:
    assert clean_lines("a\n  b\x07") == "a\n  b\\x07"


@pytest.mark.parametrize(
    "text",
    ["s3cr/t+key&more", "s3cr%2Ft%2Bkey%26more", "s3cr/t%2Bkey%26more"],
)
def test_a_secret_is_masked_also_as_urls_quote_it(text: str) -> None:
    remember_secret("s3cr/t+key&more")
    assert redact(f"https://host/?key={text}.") == "https://host/?key=***."


def test_each_line_of_a_key_is_masked_and_short_words_are_not() -> None:
    remember_secret("-----BEGIN KEY-----\nabcdefghij\nshort\n-----END KEY-----")
    assert redact("abcdefghij short -----BEGIN KEY-----") == "*** short -----BEGIN KEY-----"
    remember_secret("demo")
    assert redact("a demo") == "a demo"


def test_the_longest_secret_is_masked_first() -> None:
    remember_secret("abcdefgh")
    remember_secret("abcdefgh-ijkl")
    assert redact("abcdefgh-ijkl") == "***"


@pytest.fixture
def watched() -> Iterator[None]:
    before = logging.getLogRecordFactory()
    safe_text.watch_logs()
    yield
    logging.setLogRecordFactory(before)


@pytest.mark.usefixtures("watched")
def test_log_records_know_no_credentials(caplog: pytest.LogCaptureFixture) -> None:
    remember_secret("canary-value")
    log = logging.getLogger("some.library")
    try:
        raise ValueError("with canary-value")
    except ValueError:
        log.exception("sent %s as Bearer abc.def", "canary-value")
    log.error("innocent %d", 7)
    assert caplog.messages == ["sent *** as Bearer ***", "innocent 7"]
    assert "canary-value" not in caplog.text
    assert "ValueError: with ***" in caplog.text


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Water (deep)", "Water_deep"),
        ("Übergang/Wald", "Ubergang_Wald"),
        ("森林", ""),
        ("x" * 300, "x" * 80),
    ],
)
def test_a_word_is_ascii(text: str, word: str) -> None:
    assert word_of(text, 80) == word
