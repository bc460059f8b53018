"""The kinds of store that can be read from, and their parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel

from stacbuild.config.stores import MODELS, kinds_that
from stacbuild.sources.stac.providers import PROVIDERS, STORE_IDS, SUMMARIES


@dataclass(frozen=True)
class SourceKind:
    """A kind of store.

    Parameters
    ----------
    parameters
        Keys of ``store_params``, with dots where nested, and whether each is required.
    """

    store_id: str
    summary: str
    parameters: dict[str, bool]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-serializable data."""
        return {
            "store_id": self.store_id,
            "summary": self.summary,
            "parameters": list(self.parameters),
            "required": [name for name, required in self.parameters.items() if required],
        }


def sources() -> list[SourceKind]:
    """Return all kinds of store that can be read from, sorted by ``store_id``.

    With those that stand for ``stac`` with a provider, without the parameters of ``stac``.
    """
    found = []
    for kind in kinds_that(lambda model: model.readable):
        model = MODELS[kind]
        params = _model_in(model.model_fields["store_params"].annotation)
        summary = (model.__doc__ or "").strip().splitlines()[0]
        found.append(SourceKind(kind, summary, dict(_parameters(params)) if params else {}))
    for name, text in SUMMARIES.items():
        keyed = ("key", "secret") if PROVIDERS[STORE_IDS[name]].keys else ()
        found.append(SourceKind(name, text, dict.fromkeys(keyed, False)))
    return sorted(found, key=lambda each: each.store_id)


def _parameters(
    model: type[BaseModel], prefix: str = "", parent_required: bool = True
) -> Iterator[tuple[str, bool]]:
    for name, field in model.model_fields.items():
        required = parent_required and field.is_required()
        nested = _model_in(field.annotation)
        if nested is None:
            yield f"{prefix}{name}", required
        else:
            yield from _parameters(nested, f"{prefix}{name}.", required)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    for each in (annotation, *get_args(annotation)):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return each
    return None
