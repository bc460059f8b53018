"""Several small cubes of remote scenes at the same time: each waits for its own requests.

A cube of a site has few pixels and many requests: a search, headers, and a window of each scene. So
several such datasets are harvested and built at a time, each in a thread with a share of the
memory. A cube that may need more than its share is built alone, with all of it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from contextvars import copy_context
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

from stacbuild import progress
from stacbuild.config import GridMapping
from stacbuild.planning.resolve import Resolver

if TYPE_CHECKING:
    from stacbuild.config import Config, Dataset, SourceVariable
    from stacbuild.planning.estimate import Estimate
    from stacbuild.planning.job import Job
    from stacbuild.progress import Reporter, Task, Unit

MOST = 4
"""Most datasets that are harvested and built at the same time."""

# Seconds that an interrupted run waits for its datasets to record what is finished.
_LAST_SECONDS = 5

_T = TypeVar("_T")

Admit = Callable[["Job", "Estimate"], AbstractContextManager["Job"]]
"""Yields a job, with the memory that it may use, once there is room for it."""

Run = Callable[[Resolver, "Dataset", Admit], _T]
"""Plans, harvests and builds a dataset; an error is part of the result."""


class StoppedError(BaseException):
    """The run was interrupted; not an `Exception`, which would be the failure of one dataset."""


def of_remote_scenes(config: Config, datasets: Sequence[Dataset]) -> list[Dataset]:
    """Return the datasets that may be built at the same time; empty for fewer than two.

    Those are cubes of scenes of remote STAC catalogs, computed in threads, without code of the
    user's and without netCDF, whose libraries do not allow for several threads.
    """
    if config.general.dask_scheduler != "threads":
        return []
    chosen = [dataset for dataset in datasets if _is_remote(config, dataset)]
    return chosen if len(chosen) > 1 else []


def _is_remote(config: Config, dataset: Dataset) -> bool:
    if dataset.format_id == "netcdf":
        return False
    return all(
        config.store(each.store).has_scenes
        and config.store(each.store).folder is None
        and each.custom_processing is None
        for each in _sources(config, dataset)
    )


def _sources(config: Config, dataset: Dataset) -> list[SourceVariable]:
    """Return the sources of a dataset, and the one whose grid it is on."""
    grid = config.grid_of(dataset)
    others = () if isinstance(grid, GridMapping) or grid is dataset else grid.variables[:1]
    return [*dataset.variables, *others]


@dataclass(frozen=True)
class _Turn(Generic[_T]):
    """A dataset, and what it waits for.

    Parameters
    ----------
    before
        Datasets that share a source with it.
    reached
        Set once the first dataset of each of its servers is harvested, or failed.
    harvested
        To be set once this one is.
    """

    dataset: Dataset
    before: Sequence[Future[_T]]
    reached: Sequence[threading.Event]
    harvested: threading.Event


class Together(Generic[_T]):
    """Runs datasets at the same time, at most `MOST`.

    Parameters
    ----------
    resolver
        Of the whole run.
    run
        What is done with each dataset.
    """

    def __init__(self, resolver: Resolver, run: Run[_T]) -> None:
        self._run = run
        self._memory = resolver.memory
        self._slots = _Slots(MOST)
        self._stopped = threading.Event()
        # A reader of the catalog is used by one thread at a time.
        self._resolvers: SimpleQueue[Resolver] = SimpleQueue()
        for _ in range(MOST):
            catalog = resolver.catalog.sibling()
            self._resolvers.put(replace(resolver, catalog=catalog, share=MOST))
        self._config = resolver.config

    def results(self, datasets: Sequence[Dataset]) -> dict[str, _T]:
        """Return the result of each dataset by its identifier.

        Those that share a source are run one after the other, so that it is harvested once. The
        first of each server is harvested before the others, so that a server that does not respond
        is given up once.
        """
        harvests: dict[tuple[str, str], Future[_T]] = {}
        reached: dict[str, threading.Event] = {}
        found: dict[str, Future[_T]] = {}
        count = len(datasets)
        with progress.task("cubes", total=count, unit="cubes") as task, _lent_threads() as threads:
            for dataset in datasets:
                keys = [(each.store, each.data_id) for each in _sources(self._config, dataset)]
                before = [harvests[key] for key in keys if key in harvests]
                servers = self._servers(dataset)
                known = [reached[each] for each in servers if each in reached]
                turn = _Turn(dataset, before, known, threading.Event())
                reached |= {each: turn.harvested for each in servers if each not in reached}
                context = copy_context()
                future = threads.submit(context.run, self._one, turn, task)
                found[dataset.identifier] = future
                harvests |= dict.fromkeys(keys, future)
            try:
                return {name: future.result() for name, future in found.items()}
            except BaseException:
                # An interrupt, since an error is a result.
                self._stopped.set()
                self._slots.close()
                for future in found.values():
                    future.cancel()
                wait(found.values(), timeout=_LAST_SECONDS)
                raise

    def _servers(self, dataset: Dataset) -> set[str]:
        stores = {each.store for each in _sources(self._config, dataset)}
        return {server for store in stores for server in self._config.store(store).servers}

    def _one(self, turn: _Turn[_T], task: Task) -> _T:
        wait(turn.before)
        for each in turn.reached:
            each.wait()
        if self._stopped.is_set():
            turn.harvested.set()
            raise StoppedError
        resolver = self._resolvers.get()

        def admit(job: Job, expected: Estimate) -> AbstractContextManager[Job]:
            turn.harvested.set()
            return self._admit(job, expected)

        try:
            reporter = _OfDataset(progress.current(), turn.dataset.identifier, self._stopped)
            with progress.reported_to(reporter):
                return self._run(resolver, turn.dataset, admit)
        finally:
            turn.harvested.set()
            self._resolvers.put(resolver)
            task.advance()

    @contextmanager
    def _admit(self, job: Job, expected: Estimate) -> Iterator[Job]:
        small = sum(each.nbytes for each in expected.variables) <= job.memory
        with self._slots.taken(1 if small else MOST):
            yield job if small else replace(job, memory=self._memory)


class _Slots:
    """Room for some jobs at a time, in the order in which they ask."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()
        self._closed = False

    @contextmanager
    def taken(self, count: int) -> Iterator[None]:
        """Take so many slots in the context, once they are free; StoppedError once closed."""
        me = object()
        with self._changed:
            self._waiting.append(me)
            self._changed.wait_for(
                lambda: self._closed or (self._waiting[0] is me and self._free >= count)
            )
            self._waiting.remove(me)
            if self._closed:
                raise StoppedError
            self._free -= count
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += count
                self._changed.notify_all()

    def close(self) -> None:
        """Let nobody in any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class _OfDataset:
    """A reporter whose tasks are named by their dataset, and end when the run is stopped."""

    def __init__(self, reporter: Reporter, name: str, stopped: threading.Event) -> None:
        self._reporter = reporter
        self._name = name
        self._stopped = stopped

    def say(self, message: str) -> None:
        self._reporter.say(message)

    def warn(self, message: str) -> None:
        self._reporter.warn(message)

    @contextmanager
    def task(
        self, label: str, *, total: float | None = None, unit: Unit = "items"
    ) -> Iterator[_Stoppable]:
        if not label.startswith(self._name):
            label = f"{self._name}: {label.rpartition(': ')[2]}"
        with self._reporter.task(label, total=total, unit=unit) as task:
            yield _Stoppable(task, self._stopped)


class _Stoppable:
    """A task that raises `StoppedError` once the run is stopped."""

    def __init__(self, task: Task, stopped: threading.Event) -> None:
        self._task = task
        self._stopped = stopped

    def advance(self, amount: float = 1) -> None:
        self._check()
        self._task.advance(amount)

    def update(
        self, *, done: float | None = None, total: float | None = None, note: str | None = None
    ) -> None:
        self._check()
        self._task.update(done=done, total=total, note=note)

    def _check(self) -> None:
        if self._stopped.is_set():
            raise StoppedError


# Threads are kept for the next run, as those of `stacbuild.building.compute`.
_idle: list[ThreadPoolExecutor] = []


@contextmanager
def _lent_threads() -> Iterator[ThreadPoolExecutor]:
    threads = _idle.pop() if _idle else ThreadPoolExecutor(MOST, thread_name_prefix="dataset")
    try:
        yield threads
    except BaseException:
        threads.shutdown(wait=False, cancel_futures=True)
        raise
    _idle.append(threads)
