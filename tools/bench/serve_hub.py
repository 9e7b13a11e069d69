"""The local hub in a process of its own: `serve_hub.py REPOSITORY FILE NAME BALLAST` prints its address.

Beside whoever measures, in one process, it would share one interpreter lock with them. It removes the file BALLAST
whenever it is asked for something (see `caches_hub.ballast`), and ends when its stdin does.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "hub"))
from server import HubServer


def main() -> None:
    repository, file, name, ballast = sys.argv[1:5]
    with HubServer() as hub:
        note = hub.record.begin

        def begin(request: object) -> object:
            Path(ballast).unlink(missing_ok=True)
            return note(request)

        hub.record.begin = begin
        hub.add_repo(repository, {name: Path(file)}, lfs={name})
        print(hub.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
