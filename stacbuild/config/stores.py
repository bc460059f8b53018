"""The models of all kinds of store in the registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Union, get_args

from pydantic import Field

from stacbuild.config.store import Store
from stacbuild.kinds import KINDS, load_module


def _model(store_id: str) -> type[Store]:
    """Return the subclass of `Store` in the package of a kind."""
    module = load_module(store_id, "store")
    for model in vars(module).values():
        if isinstance(model, type) and issubclass(model, Store):
            field = model.model_fields["store_id"]
            if field.annotation is not str and store_id in get_args(field.annotation):
                return model
    raise ImportError(f"{module.__name__}: defines no store with store_id: Literal[{store_id!r}]")


MODELS: dict[str, type[Store]] = {store_id: _model(store_id) for store_id in KINDS}
"""The model of each kind of store, by its ``store_id``."""

if TYPE_CHECKING:
    AnyStore = Store
else:
    AnyStore = Annotated[Union[tuple(MODELS.values())], Field(discriminator="store_id")]  # noqa: UP007


def kinds_that(can: Callable[[type[Store]], bool]) -> tuple[str, ...]:
    """Return the names of the kinds whose model has a capability."""
    return tuple(sorted(kind for kind, model in MODELS.items() if can(model)))
