"""Numbers of bytes in a configuration."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator

from stacbuild.config.types import show

# The address space of a process, more or less: a larger number is a mistake.
_MOST = 2**64

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(?:([kmgt]?)(i?)b)?", re.IGNORECASE)


def _size(value: object) -> int:
    """Return a number of bytes that is stated as a number or as text such as ``1.5 GiB``."""
    found = None if isinstance(value, bool) else _SIZE.fullmatch(str(value).strip())
    size = 0
    if found is not None:
        number, prefix, binary = found.groups()
        base = 1024 if binary else 1000
        # Exact, and without the limits of floats, however many digits there are.
        size = round(Decimal(number) * base ** " kmgt".index((prefix or " ").lower()))
    if not 1 <= size < _MOST:
        msg = f"has to be a size such as 2 GB or 1.5 GiB, or a number of bytes, got {show(value)}"
        raise ValueError(msg)
    return size


Size = Annotated[int, BeforeValidator(_size, json_schema_input_type=int | str)]
"""A number of bytes, stated as a number or as text such as ``2 GB``."""
