"""poll(2) as macOS has it, for every Python process that finds this folder on its path.

bsd/kern/sys_generic.c of xnu makes a filter for what a caller asks to read or write, and none for `events=0`: the end
of such a descriptor is told to nobody.
"""

from __future__ import annotations

import select
from typing import Any

READ = select.POLLIN | select.POLLPRI | getattr(select, "POLLRDNORM", 0)
Real = select.poll


class Poll:
    def __init__(self) -> None:
        self._real, self._asked = Real(), dict[int, int]()

    def register(self, descriptor: Any, events: int = READ | select.POLLOUT) -> None:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        self._asked[number] = events
        if events & (READ | select.POLLOUT):
            self._real.register(number, events)

    modify = register

    def unregister(self, descriptor: Any) -> None:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        if self._asked.pop(number) & (READ | select.POLLOUT):
            self._real.unregister(number)

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        return self._real.poll(timeout)


select.poll = Poll
