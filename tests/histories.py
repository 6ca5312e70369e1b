"""Random histories of a source and of the extractions from it, with the table that must result.

A source changes day by day. Now and then a bulk file is published or its API is read. These extractions are
merged later, in any order that keeps the order within each kind; some rows are rejected at first and replayed
later. `expected` computes the result from the words of the design alone: it uses neither runs nor tables, and
does not depend on the order of merging.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

FIRST_DAY = date(2024, 1, 1)
NAMES = "ab"

Row = tuple[int, str, str]


@dataclass(frozen=True)
class Extraction:
    """The rows of one extraction, in order: good ones, and ones that are rejected at first.

    `number` counts the extractions of its kind. `sweep` is the day of an API extraction that read
    everything and deletes what is missing.
    """

    source: str
    number: int
    good: Sequence[Row]
    bad: Sequence[Row]
    sweep: str = ""

    @property
    def rows(self) -> Sequence[Row]:
        return [*self.good, *self.bad]


@dataclass(frozen=True)
class Replay:
    """Stand for the replay of what an extraction had rejected."""

    of: Extraction


@dataclass
class Source:
    """Change from day to day, and remember the versions of every player."""

    dice: random.Random
    keys: int
    day: int = 0
    versions: dict[int, list[Row]] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)

    @property
    def today(self) -> str:
        return (FIRST_DAY + timedelta(days=self.day)).isoformat()

    def change(self) -> None:
        key = self.dice.randrange(self.keys)
        if key in self.versions and key not in self.deleted and self.dice.random() < 0.3:
            self.deleted.add(key)
        else:
            self.deleted.discard(key)
            self.versions.setdefault(key, []).append((key, self.dice.choice(NAMES), self.today))

    def rows(self) -> list[Row]:
        return [versions[-1] for key, versions in self.versions.items() if key not in self.deleted]

    def several_versions(self) -> list[Row]:
        """Return the last versions of every player, each player's in their order, the players mixed."""
        queues = [
            versions[-self.dice.randint(1, 3) :]
            for key, versions in self.versions.items()
            if key not in self.deleted
        ]
        return list(_mixed(self.dice, queues))


def tell(dice: random.Random) -> tuple[list[Extraction], list[Row]]:
    """Return the extractions of a history, and the source's rows at its end; few players, many ties."""
    source = Source(dice, keys=dice.randint(1, 3))
    told: list[Extraction] = []
    days = dice.randint(1, 4)
    for source.day in range(days):
        for _ in range(dice.randint(4, 28 // days)):
            what = dice.random()
            if what < 0.45:
                source.change()
            elif what < 0.7:
                told.append(_bulk(source, told))
            else:
                told.append(_update(source, told))
    return told, source.rows()


def _bulk(source: Source, told: Sequence[Extraction]) -> Extraction:
    rows = source.several_versions() if source.dice.random() < 0.5 else source.rows()
    return _extraction(source, told, "bulk", rows)


def _update(source: Source, told: Sequence[Extraction]) -> Extraction:
    before = [row[2] for other in told if other.source == "api" for row in other.good]
    if source.dice.random() < 0.5:
        since = max(before, default="")
        return _extraction(source, told, "api", [row for row in source.rows() if row[2] >= since])
    sweep = source.today if source.dice.random() < 0.6 else ""
    return _extraction(source, told, "api", source.rows(), sweep)


def _extraction(
    source: Source, told: Sequence[Extraction], kind: str, rows: Sequence[Row], sweep: str = ""
) -> Extraction:
    share = source.dice.choice([0, 0.4])
    bad = [row for row in rows if source.dice.random() < share]
    good = [row for row in rows if row not in bad]
    if kind == "api" or len({row[0] for row in good}) == len(good):
        source.dice.shuffle(good)
    return Extraction(kind, sum(other.source == kind for other in told), good, bad, sweep)


def merged_in_some_order(dice: random.Random, told: Sequence[Extraction]) -> list[Extraction | Replay]:
    """Return extractions and replays in an order to merge them, each kind in its own."""
    order: list[Extraction | Replay] = list(
        _mixed(dice, [[one for one in told if one.source == kind] for kind in ("bulk", "api")])
    )
    for extraction in [one for one in told if one.bad]:
        place = dice.randint(order.index(extraction) + 1, len(order))
        order.insert(place, Replay(extraction))
    return order


def expected(told: Iterable[Extraction]) -> list[Row]:
    """Return the rows that a table must hold once everything was merged and replayed."""
    told = list(told)
    sweeps = [one for one in told if one.sweep]
    versions = [
        (row, one, index) for one in told for index, row in enumerate(one.rows) if _lives(row, one, sweeps)
    ]
    # The newer day, then the API, then the later extraction, then the later row of a file.
    versions.sort(key=lambda found: (found[0][2], found[1].source == "api", found[1].number, found[2]))
    return sorted({row[0]: row for row, _, _ in versions}.values())


def _lives(row: Row, extraction: Extraction, sweeps: Sequence[Extraction]) -> bool:
    """Return True if no sweep has found that the source no longer has this row."""
    return not any(
        sweep.number > extraction.number if extraction.source == "api" else sweep.sweep >= row[2]
        for sweep in sweeps
        if row[0] not in {seen[0] for seen in sweep.rows}
    )


def _mixed(dice: random.Random, queues: Sequence[Sequence]) -> Iterator:
    """Yield from queues at random, each in its order."""
    left = [list(queue) for queue in queues if queue]
    while left:
        queue = dice.choice(left)
        yield queue.pop(0)
        left = [queue for queue in left if queue]
