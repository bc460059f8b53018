"""The docstrings below the fields of models, which describe them in the JSON Schema."""

from __future__ import annotations

import ast
import inspect
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel


@cache
def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstring of each field of a model that has one, by name."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if each.__module__.startswith(f"{__package__.partition('.')[0]}."):
            found |= _own(each)
    return {name: text for name, text in found.items() if name in model.model_fields}


def _own(model: type) -> dict[str, str]:
    """Return the docstrings of the fields that a class itself declares."""
    tree = ast.parse(inspect.getsource(inspect.getmodule(model) or model))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == model.__name__:
            return dict(_of_fields(node))
    return {}


def _of_fields(node: ast.ClassDef) -> list[tuple[str, str]]:
    return [
        (field.target.id, inspect.cleandoc(text.value.value))
        for field, text in pairwise(node.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    ]
