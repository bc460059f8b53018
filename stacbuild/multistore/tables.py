"""Tables that are shown as HTML in a notebook, and as text elsewhere.

Cells may contain titles and errors of third parties, so they are cleaned and escaped.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from html import escape
from typing import Any

from stacbuild.safe_text import clean


class Table:
    """Rows of text with column headings."""

    def __init__(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self.heads = [clean(head) for head in heads]
        self.rows = [[clean(cell) for cell in row] for row in rows]

    def __repr__(self) -> str:
        """Return columns, or if too wide, a block of ``head: cell`` lines for each row."""
        widths = [max(map(len, column)) for column in zip(self.heads, *self.rows, strict=True)]
        if sum(widths) + 2 * len(widths) > _COLUMNS:
            return "\n\n".join(self._block(row) for row in self.rows)
        lines = [self.heads, ["-" * width for width in widths], *self.rows]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )

    def _block(self, row: Sequence[str]) -> str:
        lines = (f"{head}: {cell}" for head, cell in zip(self.heads, row, strict=True))
        return "\n".join(textwrap.fill(line, _COLUMNS, subsequent_indent="    ") for line in lines)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(cell)}</th>" for cell in self.heads)
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def in_notebook() -> bool:
    """Return whether the process runs in a notebook."""
    # Do not import IPython: it is optional and slow, and already imported in a notebook.
    ipython: Any = sys.modules.get("IPython")
    if ipython is None:
        return False
    shell = ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


_COLUMNS = 80
