"""Tables that a notebook shows as HTML and everything else as text.

Cells may hold titles and errors from elsewhere: they are cleaned and escaped in both forms.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from html import escape
from typing import Any

from stacbuild.safe_text import clean


class Table:
    """Rows of text under heads."""

    def __init__(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self.heads = [clean(head) for head in heads]
        self.rows = [[clean(cell) for cell in row] for row in rows]

    def __repr__(self) -> str:
        """Each row as a block of ``head: cell`` lines if a line of cells were too wide."""
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
    """Return whether output goes to a notebook, which can show HTML and change it in place."""
    # Who is in a notebook has imported IPython; it is optional and slow to load.
    ipython: Any = sys.modules.get("IPython")
    if ipython is None:
        return False
    shell = ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


_COLUMNS = 80
