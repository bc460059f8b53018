"""Items whose files cannot be described: all are listed, or they are left out of the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stacbuild import progress
from stacbuild.errors import Failures, NoKeysError, StacbuildError
from stacbuild.safe_text import clean
from stacbuild.stac.extensions import UNREAD
from stacbuild.troubles import UNREADABLE, Troubles

if TYPE_CHECKING:
    from stacbuild.sources.stac.found import Found
    from stacbuild.sources.stac.one_asset import Described, Job


@dataclass(frozen=True)
class Problem:
    """An asset of an item that cannot be described."""

    item_id: str
    found: Found
    asset: str
    error: StacbuildError
    file: str = ""

    @property
    def name(self) -> str:
        """The provider's id of the item, and the asset."""
        return f"item {clean(self.found.id)}, asset {self.asset}"

    @property
    def named(self) -> StacbuildError:
        """The error, which begins with the name."""
        return type(self.error)(f"{self.name}: {self.error}")

    @property
    def reason(self) -> str:
        """The message, without paths of this machine."""
        message = str(self.error).removeprefix(f"{self.found.id}: ")
        if self.file and "://" not in self.file:
            message = message.replace(self.file, Path(self.file).name)
        return message


@dataclass
class Unread:
    """What cannot be described of a data id.

    Parameters
    ----------
    skip
        Whether such items are left out. Otherwise they are an error.
    gather
        Whether others are described after one that cannot be.
    """

    skip: bool
    gather: bool
    problems: list[Problem] = field(default_factory=list)
    troubles: Troubles = field(default_factory=Troubles)

    @contextmanager
    def of(self, job: Job) -> Iterator[None]:
        """Keep what is raised because the file of an asset cannot be read, if it is gathered.

        Raises
        ------
        StacbuildError
            Anything else; also if servers fail too often.
        """
        try:
            yield
        except UNREADABLE as error:
            # Without keys, no other file of the store can be read either.
            if not self.gather or isinstance(error, NoKeysError):
                raise
            self.troubles.add(error)
            asset = job.name or job.data.key
            self.problems.append(Problem(job.item_id, job.found, asset, error, job.data.read))
            if self.troubles.too_many:
                self.fail()

    @property
    def item_ids(self) -> set[str]:
        """The ids of our items that cannot be made."""
        return {each.item_id for each in self.problems}

    def fail(self) -> None:
        """Raise `Failures` with all that was found, if anything was."""
        if self.problems:
            raise Failures([(each.name, each.named) for each in self._sorted()])

    def _sorted(self) -> list[Problem]:
        return sorted(self.problems, key=lambda each: (each.found.id, each.asset))

    def settle(self, described: list[Described]) -> None:
        """Record what is left out in the first item, with a warning for each.

        Raises
        ------
        Failures
            It may not be left out, or nothing else is there.
        """
        if not self.problems:
            return
        if not self.skip or not described:
            self.fail()
        skipped: list[dict[str, Any]] = []
        for each in self._sorted():
            skipped.append({"item": each.item_id, "asset": each.asset, "reason": each.reason})
            progress.warn(
                f"{clean(each.found.id)}: left out, since asset {each.asset} cannot be read: "
                f"{each.reason}"
            )
        described[0].item.properties[UNREAD] = skipped
