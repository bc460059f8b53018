"""Generate docs/reference from the code; called by scripts/docs."""

from __future__ import annotations

import sys
from pathlib import Path

from scripts import reference_api, reference_cli, reference_config

FOLDER = Path(__file__).parents[1] / "docs" / "reference"


def pages() -> dict[str, str]:
    """Return the generated pages by file name."""
    return {
        "configuration.md": reference_config.page(),
        "cli.md": reference_cli.page(),
        "api.md": reference_api.page(),
    }


def main() -> int:
    """Write the pages that differ, and print their paths."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
