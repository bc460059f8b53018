"""Files that nobody fetched stay where deliveries of the CLMS go."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from stacbuild.errors import ConflictError
from stacbuild.sources.clms.delivery import Delivery
from tests.support.clms import Run


@pytest.mark.parametrize(
    ("place", "content"),
    [
        ("delivery.zip", "mine"),
        ("delivery.zip.part", "mine"),
        ("task.json", "{}"),
        ("task.json", "mine"),
        ("complete.json", '{"tiles": []}'),
        ("tiles/notes.txt", "mine"),
    ],
)
def test_a_file_where_tiles_of_the_clms_go(
    run: Run,
    delivery: Delivery,
    tmp_path: Path,
    place: str,
    content: str,
) -> None:
    path = delivery.folder / place
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(ConflictError, match="move it away") as raised:
        run()
    assert str(path) in str(raised.value)
    assert path.read_text() == content
    shutil.move(path, tmp_path / "mine")
    assert len(run()) == 2
    assert "unpacking" not in json.loads((delivery.folder / "complete.json").read_text())
