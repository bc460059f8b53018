"""A plain web server of a folder."""

from __future__ import annotations

from pathlib import Path

from tests.standins.server import LoopbackServer, Request, Response, html


class Folder(LoopbackServer):
    """A plain web server of a folder, as object stores are over https."""

    def __init__(self, root: Path, *, missing: int = 404, lists: bool = False) -> None:
        super().__init__()
        self.root, self.missing, self.lists = root, missing, lists

    def respond(self, request: Request) -> Response:
        path = self.root / request.path.strip("/")
        if path.is_file():
            return Response(200, path)
        if path.is_dir() and self.lists:
            links = "".join(f'<a href="{child.name}">{child.name}</a>' for child in path.iterdir())
            return Response(200, links.encode(), {"Content-Type": "text/html"})
        return html(self.missing, "nothing here")
