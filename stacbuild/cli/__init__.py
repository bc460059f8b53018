"""The command line: a thin layer that parses arguments, calls the library and prints results.

There is one module per command. The modules that a command needs are imported when it runs, so that
``--help`` is fast.
"""

from stacbuild.cli.program import main, run

__all__ = ["main", "run"]
