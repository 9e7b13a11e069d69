"""What cannot be in memory together runs in groups that fit: who runs beside whom, and how they compare afterwards.

All groups have one candidate in common, the anchor. Within a group rows are compared directly, across groups by how
many times slower than the anchor each was in its own group: what slows a whole group, such as heat, falls out of that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from backends.base import Engine
    from speedtest_tui.core.race.plan import Order
    from speedtest_tui.core.race.prepare import Ready
    from speedtest_tui.core.race.row import Row

LIBRARY_BYTES: dict[Engine, int] = {"mlx": 400 << 20, "torch": 800 << 20, "cpu": 200 << 20}
"""Resident size of a child with its library imported and no model yet, rounded up from what was measured on Linux."""

WEIGHTS_FACTOR = 2.0
"""Weights may be read, converted (fp16 file to fp32) and kept: twice the file is the usual high-water mark."""

AVAILABLE_SHARE = 0.8
"""The rest is left to the system and to activations."""


def expected_bytes(engine: Engine, model_bytes: int) -> int:
    """An estimate of a child's peak memory from the size of its model's files."""
    return int(LIBRARY_BYTES[engine] + WEIGHTS_FACTOR * model_bytes)


class Need(NamedTuple):
    """What a candidate takes, as far as it is known.

    expected: bytes of memory, by the size of its files
    held, limit: bytes that it holds on the accelerator once it is loaded, freed buffers that it keeps included, and
        how many the device says that all processes may have there together; 0 before, and where there is none
    doubtful: whether it is less fit to be an anchor: a tiny built-in model, or one that runs in place of another
    """

    expected: int
    held: int = 0
    limit: int = 0
    doubtful: bool = False

    @classmethod
    def of(cls, ready: Ready) -> Need:
        """What is known before it is loaded."""
        doubtful = ready.spec.kind == "embedded" or bool(ready.warnings)
        return cls(expected_bytes(ready.engine, ready.location.bytes), doubtful=doubtful)


def crowded(needs: Collection[Need], available_bytes: int) -> str:
    """Why candidates cannot be in memory together, in words, or empty where they can."""
    if len(needs) < 2:
        return ""
    if (needed := sum(one.expected for one in needs)) > AVAILABLE_SHARE * available_bytes:
        free = f"{available_bytes / 1e9:.1f} GB are free"
        return f"all {len(needs)} models together need about {needed / 1e9:.1f} GB, {free}"
    seen = [one for one in needs if one.limit]
    held, limit = sum(one.held for one in seen), min((one.limit for one in seen), default=0)
    if len(seen) < 2 or held <= AVAILABLE_SHARE * limit:
        return ""
    return (
        f"{len(seen)} models together hold {held / 1e9:.1f} GB of the GPU's memory, "
        f"which works well up to {limit / 1e9:.1f} GB"
    )


class Groups:
    """Who is in memory together: all, or groups that fit, one after another, with the same anchor in each.

    Groups are made one at a time, the largest that still fit first, as what is loaded may prove larger than expected
    (`surplus`) or fail. The anchor is the one beside which most others fit; of several, one with real weights of its
    own, as heat slows it as it slows the others, which is not so of a model that is mostly overhead; of those the
    smallest. Where it fails, one that has all its runs takes its place.

    why: what does not fit, in words; empty while everything does
    """

    def __init__(self, needs: Mapping[int, Need], available_bytes: int, order: Order = "interleaved") -> None:
        self.needs = dict(needs)
        self.left = list(needs)
        self.why = "" if order == "sequential" else crowded(self.needs.values(), available_bytes)
        self.anchor: int | None = self._best(self.left, available_bytes) if self.why else None
        self._available = available_bytes
        self._alone = order == "sequential"

    def next(self, usable: Collection[int] = ()) -> tuple[int, ...]:
        """The next group; empty where all have had their turn.

        usable: those that have all their runs, one of which must be the anchor from the second group on
        """
        if self._alone or not self.why:
            group = self.left[:1] if self._alone else list(self.left)
        else:
            if self.anchor not in usable and self.anchor not in self.left:
                self.anchor = self._best(usable or self.left, self._available)
            group = [] if self.anchor is None else [self.anchor]
            for one in sorted(self.left, key=lambda one: -self._size(one)):
                if one not in group and self._fit(*group, one):
                    group.append(one)
            if self.left and not set(group) & set(self.left):
                group = [max(self.left, key=self._size)]
            group = group if self.left else []
        self.left = [one for one in self.left if one not in group]
        return tuple(sorted(group))

    def surplus(self, loaded: Sequence[int]) -> int | None:
        """Which of those that are loaded must wait for a later group, if any."""
        why = crowded([self.needs[one] for one in loaded if self.needs[one].limit], 1 << 62)
        if not why:
            return None
        self.why = self.why or why
        if self.anchor is None:
            self.anchor = self._best(loaded, 1 << 62)
        found = max((one for one in loaded if one != self.anchor), key=lambda one: self.needs[one].held)
        self.left.append(found)
        return found

    def other_anchor(self, usable: Collection[int], loaded: Sequence[int]) -> int | None:
        """Another anchor in place of one that failed, of those that have all their runs and fit beside `loaded`."""
        self.anchor = self._best([one for one in usable if self._fit(one, *loaded)], self._available)
        return self.anchor

    def planned(self) -> int:
        """How many groups there will be, if nothing proves larger than expected."""
        twin, count = copy(self), 0
        while twin.next(tuple(self.needs)):
            count += 1
        return count

    def _fit(self, *rows: int) -> bool:
        return not crowded([self.needs[one] for one in rows], self._available)

    def _size(self, row: int) -> int:
        return max(self.needs[row].held, self.needs[row].expected)

    def _best(self, rows: Collection[int], available_bytes: int) -> int | None:
        def badness(row: int) -> tuple[int, bool, int]:
            mine, others = self.needs[row], (need for one, need in self.needs.items() if one != row)
            return sum(bool(crowded((mine, need), available_bytes)) for need in others), mine.doubtful, self._size(row)

        return min(rows, key=badness, default=None)


# Afterwards.


def levelled(rows: Sequence[Row]) -> list[tuple[float, ...]]:
    """The runs of each row in its first group, at the level of the first group.

    A group's level is how much faster the anchor was there than in its own first group.
    """
    from statistics import median

    @cache
    def level(group: int) -> float:
        at = anchor_of(rows, group)
        return 1.0 if at is None else median(in_first_group(at)) / median(rows[at].runs_in(group))

    def in_first_group(at: int) -> tuple[float, ...]:
        if not rows[at].groups:
            return rows[at].runs_s
        group = rows[at].groups[0]
        return tuple(run * level(group) for run in rows[at].runs_in(group))

    return [in_first_group(at) for at in range(len(rows))]


def links(rows: Sequence[Row], one: int, other: int) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
    """Through which runs two rows compare, for `statistics.chained_ratio`: their own ones in a group that both were in,
    else of each and an anchor, by way of another one where it takes that. Empty where nothing connects them."""
    ways: dict[int, list[tuple[tuple[float, ...], tuple[float, ...]]]] = {one: []}
    for at in (queue := [one]):
        for to, row in enumerate(rows):
            common = sorted(set(row.groups) & set(rows[at].groups))
            if to not in ways and common:
                ways[to] = [*ways[at], (rows[at].runs_in(common[0]), row.runs_in(common[0]))]
                queue.append(to)
    return ways.get(other, [])


def anchor_of(rows: Sequence[Row], group: int) -> int | None:
    """Which row of an earlier group ran in this one as well, if any."""
    again = (at for at, row in enumerate(rows) if group in row.groups and row.groups[0] < group and all(row.runs_s))
    return next(again, None)


def grouped(rows: Sequence[Row], why: str, wanted: Order) -> tuple[tuple[Row, ...], Order, str]:
    """What came of groups: the rows, in which order they ran, and what is to be said of it.

    why: what did not fit into memory together
    """
    members: dict[int, list[str]] = {}
    for row in rows:
        for group in dict.fromkeys(row.groups):
            members.setdefault(group, []).append(row.label)
    if all(len(names) == 1 for names in members.values()):
        direct, note = tuple(replace(row, groups=()) for row in rows), f"ran one after another: {why}" if why else ""
        return direct, "sequential" if why else wanted, note
    if len(members) == 1:
        return tuple(replace(row, groups=()) for row in rows), wanted, ""
    anchors = {group: anchor_of(rows, group) for group in members}
    names = dict.fromkeys(rows[at].label for at in anchors.values() if at is not None)
    alone = [name for group, at in anchors.items() if at is None for name in members[group] if group != min(members)]
    count = len(members) if not names else 1 + sum(at is not None for at in anchors.values())
    common = f" with {' or '.join(names)} in {'both' if count == 2 else 'each'}" if names else ""
    notes = [f"ran in {count} groups{common}: {why}"]
    if names:
        notes.append(f"times of different groups are compared through {'it' if len(names) == 1 else 'these'}")
    if alone and names:
        notes.append(f"{', '.join(alone)} ran apart from that: compare with the others with care")
    elif alone:
        notes.append("no candidate ran in all of them: compare times of different groups with care")
    return tuple(rows), "grouped", "; ".join(notes)
