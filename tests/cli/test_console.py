import io
import re
import threading

import pytest
from rich.console import Console

from stacbuild.cli.console import PlainReporter, TerminalReporter, aligned, print_table, size_text
from stacbuild.progress import duration
from stacbuild.safe_text import clean


class Clock:
    """Time that goes forward only when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def plain():
    stream, clock = io.StringIO(), Clock()
    return PlainReporter(stream, every=5, clock=clock), stream, clock


def test_control_characters_are_shown_and_not_obeyed():
    assert clean("a\x1b[31mred\x07\nb\u202ec\x00") == "a\\x1b[31mred\\x07 b\\u202ec\\x00"
    assert clean("Forêt 森 [bold]") == "Forêt 森 [bold]"


def test_duration_is_that_of_the_notebook():
    assert duration(24 * 60 + 48.4) == "0:24:48"


def test_plain_lines_are_begun_now_and_then_and_ended(plain):
    reporter, stream, clock = plain
    with reporter.task("france.zip", total=100_000_000, unit="bytes") as task:
        for _ in range(100):
            clock.now += 0.11
            task.advance(1_000_000)
    assert stream.getvalue().splitlines() == [
        "france.zip: begins",
        "france.zip: 46.0 MB of 100.0 MB (46%), 9.1 MB/s, 0:00:06 left",
        "france.zip: 92.0 MB of 100.0 MB (92%), 9.1 MB/s, 0:00:01 left",
        "france.zip: done, 100.0 MB in 0:00:11",
    ]


def test_one_item_is_no_items(plain):
    reporter, stream, _ = plain
    with reporter.task("files: describe", unit="items") as task:
        task.advance(1)
    assert "files: describe: done, 1 item in 0:00:00" in stream.getvalue()


def test_what_an_earlier_run_fetched_is_not_counted_as_speed(plain):
    reporter, stream, clock = plain
    with reporter.task("a", unit="bytes") as task:
        task.update(done=90_000_000, total=100_000_000)
        clock.now += 10
        task.advance(1_000_000)
    assert "a: 91.0 MB of 100.0 MB (91%), 100.0 kB/s, 0:01:30 left" in stream.getvalue()


def test_a_wait_shows_its_note(plain):
    reporter, stream, clock = plain
    with reporter.task("request 5", unit="polls") as task:
        clock.now += 6
        task.update(done=3, note="Queued\x1b")
    assert "request 5: 3 polls, Queued\\x1b" in stream.getvalue()


def test_a_failed_task_is_not_done(plain):
    reporter, stream, _ = plain
    with pytest.raises(KeyboardInterrupt), reporter.task("a"):
        raise KeyboardInterrupt
    assert stream.getvalue().splitlines() == ["a: begins", "a: stopped after 0:00:00"]


def test_lines_of_threads_stay_whole(plain):
    reporter, stream, clock = plain
    clock.now = 100.0

    def work(number: int) -> None:
        with reporter.task(f"task {number}", total=200, unit="chunks") as task:
            for _ in range(200):
                task.advance()
            reporter.warn(f"note {number}")
            assert task.done == 200

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = stream.getvalue().splitlines()
    assert sorted(line for line in lines if line.startswith("warning")) == [
        f"warning: note {n}" for n in range(8)
    ]
    assert sum(line.endswith("done, 200 chunks in 0:00:00") for line in lines) == 8
    assert len(lines) == 24


def test_a_terminal_shows_bars_and_keeps_what_is_finished():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, color_system=None)
    with TerminalReporter(console) as reporter:
        reporter.say("[bold]not markup[/bold]")
        with reporter.task("senf.zarr", total=4, unit="chunks") as task:
            task.advance(2)
            reporter.warn("slow")
            task.update(done=4)
        task.advance()  # a thread that was not told to stop yet
        with pytest.raises(ValueError, match="no"), reporter.task("gami.zarr"):
            raise ValueError("no")
    shown = stream.getvalue()
    assert "[bold]not markup[/bold]" in shown
    assert "of 4 chunks (" in shown
    assert "senf.zarr: done, 4 chunks in 0:00:00" in shown
    assert "warning: slow" in shown
    assert "gami.zarr: stopped after" in shown


def test_the_table_is_whole_where_there_is_no_terminal(capsys):
    message = "x" * 300 + "[red]\x1b[2J"
    print_table(("Dataset", "Status"), [("senf", "COMPLETED"), ("gami", message)])
    out, err = capsys.readouterr()
    assert out == ""
    assert "x" * 300 + "[red]\\x1b[2J" in err
    assert "\x1b" not in err
    assert err.isascii()


def test_progress_stays_on_one_line_of_a_terminal():
    stream, clock = io.StringIO(), Clock()
    console = Console(file=stream, force_terminal=True, width=80, height=24, get_time=clock)
    with TerminalReporter(console) as reporter:
        for label in ("a.zarr", "a_name_that_goes_on_and_on_" * 4 + ".zip"):
            with reporter.task(label, total=25_494_501_838, unit="bytes") as task:
                for note in ("", "503 from a.host.with.a.long.name.example, again in 30 s " * 2):
                    task.update(done=3_000_000_000)
                    task.advance(5_000_000_000)
                    task.update(note=note)
                    reporter._progress.refresh()
    shown = stream.getvalue()
    # More than one line would be moved up over.
    assert "\x1b[1A" not in shown
    bars = [line for line in re.split(r"[\r\n]", shown) if "of 25.5 GB" in line]
    assert len(bars) >= 4
    for bar in bars:
        assert len(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", bar)) <= 80
    assert "503 from a.host" in shown


def test_a_list_is_aligned_and_never_wrapped():
    rows = [("a", "-", "Zarr"), ("dir/b\x1b.tif", "3.5 MB", "GeoTIFF"), ("森", "12 bytes", "")]
    assert list(aligned(rows)) == [
        f"{'a':13}         -  Zarr",
        "dir/b\\x1b.tif    3.5 MB  GeoTIFF",
        f"森{'':11}  12 bytes",
    ]
    (_, long) = aligned([("a", "1 MB", "Zarr"), ("n" * 300, "1 MB", "Zarr")])
    assert long == "n" * 300 + "  1 MB  Zarr"
    assert list(aligned([])) == []
    assert (size_text(None), size_text(0), size_text(25_494_501_838)) == ("-", "0 bytes", "25.5 GB")
