"""Model of resampling in time, with its methods: names, percentiles, or by another variable."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Tag, WithJsonSchema, model_validator

from stacbuild.config.times import Duration, Frequency, is_of_one_length
from stacbuild.config.types import Model, OneOrEach, Text, show

MEDOID = "medoid"

TimeInterpMethod = Literal["linear", "nearest", "slinear", "zero"]
_Named = Literal[
    "backfill", "bfill", "count", "ffill", "first", "last", "max", "mean", "median", "medoid",
    "min", "nearest", "pad", "prod", "std", "sum", "var",
]  # fmt: skip

_PERCENTILE = re.compile(r"p(\d{1,3}(?:\.\d+)?)")


def percentile_of(method: str) -> float | None:
    """Return the number of a percentile such as ``p25`` or ``p2.5``; None of other methods."""
    found = _PERCENTILE.fullmatch(method)
    return float(found[1]) if found else None


def _percentile(value: str) -> str:
    if (percentile_of(value) or 0) > 100:
        msg = f"has to be a percentile from p0 to p100, got {show(value)}"
        raise ValueError(msg)
    return value


class By(Model):
    """The observation at which another variable is largest or smallest."""

    max_by: Text | None = None
    """Name of a variable: the observation where it is largest."""
    min_by: Text | None = None
    """Name of a variable: the observation where it is smallest."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.max_by is None) == (self.min_by is None):
            msg = "takes max_by or min_by, with the name of a variable"
            raise ValueError(msg)
        return self

    @property
    def variable(self) -> str:
        """The variable that decides."""
        return str(self.max_by or self.min_by)


_BY = frozenset(By.model_fields)


def _kind(value: Any) -> str:
    if isinstance(value, dict | By):
        return "by"
    return "percentile" if isinstance(value, str) and _PERCENTILE.fullmatch(value) else "named"


def _one_or_each(value: Any) -> str:
    return "each" if isinstance(value, dict) and (not value or not value.keys() <= _BY) else "one"


TimeAggMethod = Annotated[
    Annotated[_Named, Tag("named")]
    | Annotated[
        str,
        AfterValidator(_percentile),
        WithJsonSchema(
            {"type": "string", "pattern": f"^{_PERCENTILE.pattern}$", "examples": ["p25"]}
        ),
        Tag("percentile"),
    ]
    | Annotated[By, Tag("by")],
    Discriminator(_kind),
]
"""A method by its name, a percentile, or the observation chosen by another variable."""

TimeAggMethods = Annotated[
    Annotated[TimeAggMethod | None, Tag("one")] | Annotated[dict[str, TimeAggMethod], Tag("each")],
    Discriminator(_one_or_each),
]
"""One method for all variables, or one for each by name; None: chosen by the variable."""


class TemporalResampleParams(Model):
    """Resampling to regular times, which begin at the start of each step."""

    frequency: Frequency
    """Length of a step as a frequency of pandas, such as `YS`, `MS` or `10D`; `all` is one step."""
    agg_methods: TimeAggMethods = None
    """Method for steps longer than the source's; by default `nearest` for integers, `mean` for
    floats. `p0` to `p100` are percentiles; `medoid`, `max_by` and `min_by` take all variables of a
    pixel from one observation."""
    interp_methods: OneOrEach[TimeInterpMethod] = None
    """Method for steps shorter than the source's; by default `nearest` for integers, `linear` for
    floats."""
    offset: Duration | None = None
    """Shift of the beginnings of steps, such as `12h`; for steps of fixed length, such as `10D`."""
    tolerance: Duration | None = None
    """Largest distance in time of a value that `nearest`, `ffill` and `bfill` take; any distance by
    default."""
    variables: tuple[Text, ...] | None = None
    """Names of the cube's variables to take; all by default."""
    counts: Literal[True] | None = None
    """Whether each variable `v` is accompanied by `v_count`, the number of valid values in each
    step."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.agg_methods is not None and self.interp_methods is not None:
            msg = "takes agg_methods (longer steps) or interp_methods (shorter ones), not both"
            raise ValueError(msg)
        if self.counts and self.interp_methods is not None:
            msg = "counts: counts values of longer steps; leave it out beside interp_methods"
            raise ValueError(msg)
        if self.offset is not None and not is_of_one_length(self.frequency):
            msg = f"offset: needs steps of fixed length, such as 10D, not {self.frequency}"
            raise ValueError(msg)
        return self

    def names(self, section: str) -> tuple[str, ...]:
        """Return the names of variables that one of the keys mentions."""
        stated = getattr(self, section)
        methods = stated.values() if isinstance(stated, dict) else (stated,)
        named = tuple(stated) if isinstance(stated, dict | tuple) else ()
        return named + tuple(each.variable for each in methods if isinstance(each, By))
