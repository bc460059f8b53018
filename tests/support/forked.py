"""Runs of the command as children of one process that has imported all it needs.

So a run takes a fraction of a second until its work begins, and many can be killed: at a time, or
at the n-th renaming of a file, which is where what others see changes.

As a program it reads one run a line from stdin (JSON) and answers with one line. It has no threads
of its own, so that its children are as new processes are.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code, or the signal as a negative number."""

    code: int
    stdout: str
    stderr: str
    seconds: float
    renamed: tuple[str, ...]
    failed: str = ""


class Runs:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(
        self,
        *words: object,
        kill_after: float | None = None,
        kill_at: int | None = None,
        late: bool = False,
        fail_at: int | None = None,
        within: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Ended:
        """Run ``stacbuild WORDS`` in the present folder and environment, and *env* besides.

        Kill it by SIGKILL after *kill_after* seconds, or instead of its renaming number *kill_at*
        (from 1 on; right after it if *late*). Or let its attempt number *fail_at* to open a file
        for writing, to make a folder or to rename something below *within* fail as on a full disk;
        ``Ended.failed`` names what failed.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {
            "words": [str(word) for word in words],
            "kill_after": kill_after,
            "kill_at": kill_at,
            "late": late,
            "fail_at": fail_at,
            "within": str(within),
            "env": {**os.environ, **(env or {})},
            "cwd": str(Path.cwd()),
        }
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        assert "Traceback" not in answer["stderr"], answer["stderr"]
        return Ended(**answer | {"renamed": tuple(answer["renamed"])})


def without_syncing() -> None:
    """Let this process not wait for the disk: only a loss of power could tell, and no test has one.

    A build waits for it some thirty times, which is a fifth of a small one. Tests of the waiting
    itself put their own function in its place.
    """
    os.fsync = _unsynced


def _unsynced(file: int) -> None:
    # An error for what is no open file, as from the function itself.
    os.fstat(file)


@contextlib.contextmanager
def forked_runs() -> Iterator[Runs]:
    words = [sys.executable, "-m", "tests.support.forked"]
    with subprocess.Popen(
        words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Runs(process)
        finally:
            process.kill()


def _serve() -> None:
    import PIL.Image
    import pystac
    import rasterio  # noqa: F401
    import rich._emoji_codes  # noqa: F401
    import s3fs  # noqa: F401
    import stackstac  # noqa: F401

    import stacbuild
    from stacbuild.profiles import Profiles

    for found in pkgutil.walk_packages(stacbuild.__path__, "stacbuild."):
        importlib.import_module(found.name)
    without_syncing()
    # These import more when they are first used.
    item = pystac.Item("a", None, None, datetime(2020, 1, 1, tzinfo=UTC), {})
    pystac.Item.from_dict(item.to_dict())
    PIL.Image.preinit()
    Profiles.load()
    assert threading.active_count() == 1
    # What is here is for good: a child that looked for what is not would copy it.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        print(json.dumps(_run(**json.loads(line))), flush=True)


def _run(
    words: list[str],
    kill_after: float | None,
    kill_at: int | None,
    late: bool,
    fail_at: int | None,
    within: str,
    env: dict[str, str],
    cwd: str,
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.monotonic()
        child = os.fork()
        if child == 0:
            os.environ.clear()
            os.environ.update(env)
            os.chdir(cwd)
            if fail_at is not None:
                _fail(folder / "failed", fail_at, within)
            _be(words, folder, kill_at, late)
        pidfd = os.pidfd_open(child)
        ended, _, _ = select.select([pidfd], [], [], 600 if kill_after is None else kill_after)
        os.close(pidfd)
        if not ended:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        return {
            "code": os.waitstatus_to_exitcode(status),
            "stdout": (folder / "out").read_text() if (folder / "out").exists() else "",
            "stderr": (folder / "err").read_text() if (folder / "err").exists() else "",
            "seconds": time.monotonic() - start,
            "renamed": (folder / "renamed").read_text().splitlines()
            if (folder / "renamed").exists()
            else [],
            "failed": (folder / "failed").read_text() if (folder / "failed").exists() else "",
        }


def _be(words: list[str], folder: Path, kill_at: int | None, late: bool) -> None:
    """Become ``stacbuild WORDS``; never returns."""
    code = 1
    try:
        for number, path in ((0, Path(os.devnull)), (1, folder / "out"), (2, folder / "err")):
            opened = os.open(path, os.O_RDWR | os.O_CREAT)
            os.dup2(opened, number)
        _watch(folder / "renamed", kill_at, late)
        sys.argv = ["stacbuild", *words]
        from stacbuild.cli import main

        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _fail(log: Path, fail_at: int, within: str) -> None:
    """Let one attempt to change something below a folder fail, by an audit hook of Python's."""
    lock = threading.Lock()
    count = 0

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal count
        if event == "open":
            path, _, flags = args
            if not flags & (os.O_WRONLY | os.O_RDWR):
                return
        elif event == "os.rename":
            path = args[1]
        elif event == "os.mkdir":
            path = args[0]
        else:
            return
        if isinstance(path, int) or not os.fsdecode(path).startswith(within):
            return
        with lock:
            count += 1
            failing = count == fail_at
        if failing:
            log.write_text(f"{event} {os.fsdecode(path)}")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fsdecode(path))

    sys.addaudithook(hook)


def _watch(log: Path, kill_at: int | None, late: bool) -> None:
    """Count the renamings, and kill this process at one."""
    lock = threading.Lock()
    count = 0

    def watched(function: Any) -> Any:
        def instead(source: Any, target: Any, **options: Any) -> None:
            nonlocal count
            with lock:
                count += 1
                if count == kill_at and not late:
                    os.kill(os.getpid(), signal.SIGKILL)
                function(source, target, **options)
                with log.open("a") as file:
                    file.write(f"{target}\n")
                if count == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        return instead

    os.rename, os.replace = watched(os.rename), watched(os.replace)


if __name__ == "__main__":
    _serve()
