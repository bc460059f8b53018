"""Remove control characters and credentials from text that is shown.

Titles, file names and errors of servers are untrusted: escape sequences could rewrite a terminal, a
line break could forge a line of a log. Credentials have types that do not print them, but
libraries write some to debug messages (botocore the key id of every request). Therefore each is
registered here and masked in log records and tracebacks. The factory of log records is global to
the process, so only the command line sets it (`watch_logs`), not the library.
"""

from __future__ import annotations

import logging
import re
import threading
import traceback
import unicodedata
import warnings
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"

# Shorter strings are not secrets, and masking them would also mask other text by chance.
_MIN_LENGTH = 8
# Parts of signed requests, whose credentials may not be registered.
_SIGNED = re.compile(
    r"(Credential=|Signature=|[?&]sig=|Bearer |X-Amz-Security-Token'?: b?['\"]?)[^\s,/&'\"]+",
    re.IGNORECASE,
)

_secrets: set[str] = set()
_pattern: re.Pattern[str] | None = None
_lock = threading.Lock()


def clean(text: str) -> str:
    """Return *text* on one line, with control characters made visible and credentials masked."""
    return "".join(map(_visible, redact(text)))


def word_of(text: str, longest: int) -> str:
    """Return a text as a word of ASCII letters, digits and ``_``; empty if it has none of them."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore")
    return re.sub(r"[^0-9A-Za-z]+", "_", plain.decode())[:longest].strip("_")


def clean_lines(text: str) -> str:
    """Return *text* cleaned as by `clean`, but with its line breaks and indentation."""
    return "\n".join(map(clean, text.split("\n")))


def _visible(char: str) -> str:
    if char.isprintable():
        return char
    return " " if char.isspace() else char.encode("unicode_escape").decode("ascii")


def remember_secret(value: str) -> None:
    """Mask *value* in everything that this process shows or logs from now on."""
    global _pattern
    # A PEM key has many lines, and a message may contain any of them.
    parts = [part.strip() for part in [value, *re.split(r"\n|\\n", value)]]
    known = {
        form
        for part in parts
        if len(part) >= _MIN_LENGTH and not part.startswith("-----")
        for form in (part, repr(part)[1:-1], quote(part, safe=""), quote(part), quote_plus(part))
    }
    with _lock:
        if known <= _secrets:
            return
        _secrets.update(known)
        # The longest first, so that no part of it remains.
        longest_first = sorted(_secrets, key=len, reverse=True)
        _pattern = re.compile("|".join(map(re.escape, longest_first)))


def watch_logs() -> None:
    """Mask credentials in all log records of this process from now on.

    It changes the process's factory of log records. The command line calls it, and applications
    that log debug messages of libraries may do so, too.
    """
    factory = logging.getLogRecordFactory()
    if not isinstance(factory, _Redacting):
        logging.setLogRecordFactory(_Redacting(factory))


def redact(text: str) -> str:
    """Return *text* with every remembered credential replaced by ``***``."""
    return _pattern.sub(MASK, text) if _pattern is not None else text


class _Redacting:
    """Log record factory that masks credentials in the records of all libraries."""

    def __init__(self, factory: Any) -> None:
        self._factory = factory

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record: logging.LogRecord = self._factory(*args, **kwargs)
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - logging itself says what is wrong with the call
            return record
        hidden = _SIGNED.sub(rf"\1{MASK}", redact(text))
        if hidden != text:
            record.msg, record.args = hidden, ()
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = redact(
                "".join(traceback.format_exception(record.exc_info[1]))
            ).rstrip()
        return record


class _CleanFormatter(logging.Formatter):
    """Formats a record as one clean line (``warning: rasterio: ...``) plus traceback lines."""

    def format(self, record: logging.LogRecord) -> str:
        return clean_lines(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - of logging
        by = "" if record.name.startswith("stacbuild") else f"{record.name}: "
        return f"{record.levelname.lower()}: {clean(by + record.message)}"


def clean_library_messages() -> None:
    """Write warnings and log records of libraries to stderr as cleaned lines (for the CLI)."""
    watch_logs()
    handler = logging.StreamHandler()
    handler.setFormatter(_CleanFormatter())
    handler.setLevel(logging.WARNING)
    logging.lastResort = handler

    def show(message: Warning | str, category: type[Warning], *_: Any) -> None:
        handler.stream.write(f"warning: {clean(f'{category.__name__}: {message}')}\n")

    warnings.showwarning = show  # type: ignore[assignment]
