"""The command line: it parses, calls and prints, and decides nothing.

A module a command. What a command needs is imported when it runs, so that ``--help`` answers at
once.
"""

from stacbuild.cli.program import main, run

__all__ = ["main", "run"]
