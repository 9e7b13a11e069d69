"""The local hub in a process of its own: `serve_hub.py REPOSITORY FILE NAME` prints its address.

Beside whoever measures, in one process, it would share one interpreter lock with them. It ends when its stdin does.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "hub"))
from server import HubServer


def main() -> None:
    repository, file, name = sys.argv[1:4]
    with HubServer() as hub:
        hub.add_repo(repository, {name: Path(file)}, lfs={name})
        print(hub.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
