"""Where things lie in the repository, and the folder of real inputs."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The repository's root."""

SHARED = Path(os.environ.get("STACBUILD_SHARED", ROOT.parent / "shared"))
"""Real inputs: an addition, which need not be there."""
