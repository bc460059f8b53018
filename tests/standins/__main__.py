"""``python -m tests.standins DIR``: make the data, serve them until SIGTERM or SIGINT.

Writes under DIR: ``sources/`` (the data; kept and used again if complete and for the same box),
``endpoints.json``, ``endpoints.env``, ``clms-credentials.json`` and ``scs2_config.yml`` with its
modules. Prints one line ``ready …`` when all is there.
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from tests.standins.data import DEMO_BOX, load_or_make
from tests.standins.demo import demo_config, earlier_ports, serve, write_endpoints


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.standins", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument(
        "--box",
        type=lambda text: tuple(map(float, text.split(","))),
        default=DEMO_BOX,
        metavar="W,S,E,N",
        help="degrees: where the sources hold values (--box=W,S,E,N)",
    )
    arguments = parser.parse_args()
    directory = arguments.directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    data = load_or_make(directory / "sources", arguments.box)
    # Blocked before any thread starts, so that only sigwait() takes them; until here the default
    # action is the right one.
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    with serve(data, directory, earlier_ports(directory)) as servers:
        write_endpoints(directory, data, servers.endpoints)
        demo_config(directory, servers.endpoints)
        print("ready", directory / "endpoints.json", flush=True)
        signal.sigwait(stop)


if __name__ == "__main__":
    main()
