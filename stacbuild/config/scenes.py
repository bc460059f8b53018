"""Models of ``open_params`` for scenes: items of imagery in a STAC catalog, with several assets."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from stacbuild.config.types import ExactNumber, Length, Model, Text, show

_GROUPS = ("solar_day", "time", "id")


def _grouping(value: str) -> str:
    if value not in _GROUPS and not re.fullmatch(r"P[1-9]\d{0,3}[DWMY]", value):
        msg = (
            f"has to be {', '.join(_GROUPS)} or an ISO 8601 period of days, weeks, months or years "
            f"such as P10D or P1M, got {show(value)}"
        )
        raise ValueError(msg)
    return value


Grouping = Annotated[Text, AfterValidator(_grouping)]
"""What makes one time of a cube: ``solar_day``, ``time``, ``id``, or an ISO 8601 period."""


class Mask(Model):
    """Pixels of a scene to treat as nodata, by the values of one of its assets."""

    asset: Text
    """Name of the asset with the values, such as `scl` or `qa_pixel`; it need not be a variable of
    the cube."""
    values: Annotated[tuple[ExactNumber, ...], Field(min_length=1)] | None = None
    """Values of masked pixels."""
    bits: Annotated[tuple[Text | int, ...], Field(min_length=1)] | None = None
    """Bits of masked pixels: names of fields of the item's `classification:bitfields`, such as
    `cloud_shadow`, or numbers of bits, counted from 0. A pixel with any of them is masked. Of a
    field of several bits, one class or value: `cloud_confidence=high`."""
    classes: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    """Names of the classes of masked pixels, as in the item's `classification:classes`."""
    dilate: Annotated[int, Field(ge=0, le=1000)] | None = None
    """Distance in pixels of the mask by which masked areas grow; 0 by default."""
    invert: bool | None = None
    """Whether the other pixels are masked instead, before masked areas grow."""

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if sum(each is not None for each in (self.values, self.bits, self.classes)) != 1:
            msg = "needs one of values, bits and classes"
            raise ValueError(msg)
        if self.asset == "data":
            # The asset that is read of a scene has this key in memory.
            msg = "asset: write 'DATA' for an asset called 'data'; names are found in any case"
            raise ValueError(msg)
        return self


def _one_or_several(value: object) -> str:
    return "several" if isinstance(value, list | tuple) else "one"


OneOrSeveral = Annotated[
    Annotated[Mask, Tag("one")] | Annotated[tuple[Mask, ...], Field(min_length=1), Tag("several")],
    Discriminator(_one_or_several),
]
"""A mask, or a list of them. A mistake in one is not also said to be no list."""


class SceneParams(Model):
    """The part of `open_params` that only stores of kind ``stac`` take, about values of scenes.

    All are None by default, so that fingerprints of other cubes do not contain them. Parameters of
    the search are part of the data id instead (`stacbuild.config.stac_ids`).
    """

    asset_names: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    """Names of the assets that become variables of the cube, each named so; the data id has them
    and those of masks."""
    groupby: Grouping | None = None
    """Items that are mosaicked to one time of the cube: those of a `solar_day` (the default for
    scenes), `time` (the default otherwise), `id`, or a period such as `P1M`."""
    duplicates: Literal["newest", "all"] | None = None
    """Which scenes of the same tile and acquisition to take: the `newest` processing (default), or
    `all`, the newest first."""
    mask: OneOrSeveral | None = None
    """Pixels that become nodata before scenes are mosaicked; of several masks, any of them."""
    apply_scaling: bool | None = None
    """Whether values are physical, by scale and offset of each item (default); false keeps the
    numbers of the files."""
    errors: Literal["fail", "skip"] | None = None
    """Whether a scene that cannot be read is an error (`fail`, the default), or is left out of the
    mosaic with a warning (`skip`)."""
    spatial_res: Length | None = None
    """Resolution of a cube without a grid_mapping, in metres, in the UTM zone of its area."""

    @model_validator(mode="after")
    def _assets(self) -> Self:
        names = self.asset_names or ()
        for name in names:
            if names.count(name) > 1:
                msg = f"asset_names: names {name!r} twice"
                raise ValueError(msg)
        if self.mask is not None and not names:
            msg = "mask: needs asset_names, the assets to mask"
            raise ValueError(msg)
        # The item of a single asset does not know its name.
        if self.masks and {*names, *(each.asset for each in self.masks)} == set(names[:1]):
            msg = f"mask: masks {names[0]!r} by itself; name another asset beside it in asset_names"
            raise ValueError(msg)
        return self

    @property
    def masks(self) -> tuple[Mask, ...]:
        """The masks, also if there is one or none."""
        if self.mask is None:
            return ()
        return self.mask if isinstance(self.mask, tuple) else (self.mask,)
