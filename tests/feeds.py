"""Feed a table day by day as a source would, with anomalies on some days that the next corrects."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
from declared import PLAYER

from notebook_pipeline import checks
from notebook_pipeline.checks import Report
from notebook_pipeline.connections import Connection
from notebook_pipeline.contract.check_batch import stored_schema
from notebook_pipeline.declare.rules_and_checks import UsualChanges, UsualMix, UsualNulls, UsualRowCount
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.tables import create_table, create_tables

# Only what compares with history, so that many days pass in little time.
FED = replace(
    PLAYER,
    checks=tuple(
        check
        for check in PLAYER.checks
        if isinstance(check, UsualRowCount | UsualChanges | UsualNulls | UsualMix)
    ),
)
POSITIONS = ("QB", "RB", "WR", "TE", "K", "DEF")
ANOMALIES = ("drop in volume", "stuck feed", "burst of nulls", "shifted mix")
MIX = (11, 22, 35, 17, 7, 8)
NULL_SHARE = 0.11
DAYS = 60

Row = dict[str, Any]


class Feed:
    """Change some players every day, fewer on weekends, and add a few new ones; how many, the seed decides.

    An anomaly in rows reaches `reach` of the table's rows, or with None what the feed sends on that day.
    """

    def __init__(
        self, database: Database, seed: int, *, rows: int = 4000, reach: float | None = None
    ) -> None:
        self.database = database
        self.random = Random(seed)  # noqa: S311
        self.reach = reach
        self.size = rows
        self.per_day = rows * self.random.uniform(0.015, 0.04)
        self.noise = self.random.uniform(0.1, 0.4)
        self.weekend = self.random.uniform(0.3, 1.0)
        self.growth = self.random.uniform(0.0, 0.004)
        self.day = date(2024, 1, 1)
        self.runs = 0
        self.owed: list[Row] = []
        self.load([self._player(key, back=self.random.randrange(2, 400)) for key in range(1, rows + 1)])

    def next_day(self, anomaly: str | None = None) -> None:
        """Advance by a day and load the changes of the day that has ended, with rows owed from earlier."""
        self.day += timedelta(1)
        if not anomaly and not self.owed and self.random.random() < 0.03:  # a day on which nothing ran
            self.owed = self._changes()
            self.day += timedelta(1)
        rows = [*self.owed, *self._changes()]
        self.owed = []
        if anomaly == "stuck feed":
            rows, self.owed = [], rows
        elif anomaly in ("burst of nulls", "shifted mix"):
            rows = self._spoil(rows, anomaly)
        self.load(rows)
        if anomaly == "drop in volume":
            self._drop(self.random.uniform(0.05, 0.5))

    def load(self, rows: Sequence[Row]) -> None:
        """Write rows as one committed load."""
        run_id = self._start("api_incremental_update", {"dataset": "player"})
        with self.database.transaction():
            last = {row["player_id"]: row for row in rows}
            table = pa.Table.from_pylist(list(last.values()), stored_schema(PLAYER))
            marks = [pa.repeat(pa.scalar(mark), table.num_rows) for mark in (run_id, "api")]
            table = table.append_column("_run_id", marks[0]).append_column("_source", marks[1])
            self._delete(table["player_id"].to_pylist())
            self.database.append("player", table)
            counts = {"rows_read": len(rows), "rows_updated": len(rows), "rows_rejected": 0}
            ledger.commit_run(self.database, run_id, counts)

    def check(self, scope: Any) -> Report:
        """Run all checks as the day's run, and keep their results."""
        run_id = self._start("data_quality", {"dataset": "player", "scope": scope})
        report = checks.run_checks(self.database, FED, scope=scope, today=self.day)
        checks.save(self.database, run_id, report)
        return report

    def _start(self, notebook: str, parameters: Row) -> str:
        self.runs += 1
        run_id = f"240101-000000{self.runs:06}fe"
        ledger.start_run(
            self.database,
            run_id=run_id,
            dag_id="manual",
            dag_run_id=run_id,
            task_id=notebook,
            notebook=notebook,
            notebook_sha256="",
            parameters=parameters,
            artifact=None,
        )
        return run_id

    def _changes(self) -> list[Row]:
        expected = self.per_day * (self.weekend if self.day.weekday() in (0, 6) else 1)
        changed = round(expected * self.random.lognormvariate(0, self.noise))
        new = round(self.size * self.growth * self.random.uniform(0.5, 1.5))
        keys = [
            *self.random.sample(range(1, self.size + 1), changed),
            *range(self.size + 1, self.size + new + 1),
        ]
        self.size += new
        return [self._player(key) for key in keys]

    def _player(self, key: int, back: int = 1) -> Row:
        """Return a player as the source knows him: position and gsis_id stay, one change in twenty apart."""
        lasting = Random(key if self.random.random() < 0.95 else self.random.random())  # noqa: S311
        return {
            "player_id": key,
            "gsis_id": None if lasting.random() < NULL_SHARE else f"00-{key:07}",
            "first_name": "Ada",
            "last_name": "Łopez",
            "position": lasting.choices(POSITIONS, MIX)[0],
            "last_changed_date": (self.day - timedelta(back)).isoformat(),
        }

    def _spoil(self, rows: list[Row], anomaly: str) -> list[Row]:
        """Return the rows of a day with an anomaly in half of them or more; the right ones are owed."""
        if self.reach is not None:
            rows = [
                self._player(key)
                for key in self.random.sample(range(1, self.size + 1), int(self.size * self.reach))
            ]
        share = self.random.uniform(0.5, 1.0)
        wrong = (
            {"gsis_id": None} if anomaly == "burst of nulls" else {"position": self.random.choice(POSITIONS)}
        )
        self.owed = rows
        return [{**row, **wrong} if self.random.random() < share else row for row in rows]

    def _drop(self, share: float) -> None:
        keys = self.random.sample(range(1, self.size + 1), int(self.size * share))
        self._delete(keys)
        self.owed = [self._player(key) for key in keys]

    def _delete(self, keys: Sequence[int]) -> None:
        self.database.execute(
            "DELETE FROM player WHERE player_id IN (SELECT value FROM json_each(?))", [json.dumps(keys)]
        )


@contextmanager
def feed(folder: Path, seed: int, *, reach: float | None = None) -> Iterator[Feed]:
    """Yield a feed into a new database."""
    with connect(Connection("analytics_database", "sqlite", host=str(folder / f"{seed}.db"))) as database:
        create_tables(database)
        create_table(database, PLAYER)
        database.execute("PRAGMA synchronous = OFF")
        yield Feed(database, seed, reach=reach)


def planted_days(seed: int) -> dict[int, str]:
    """Return on which of 60 days which anomaly is planted: each once, all after the first fortnight."""
    random = Random(-seed)  # noqa: S311
    days = [random.randrange(start, start + 8) for start in (16, 28, 40, 52)]
    return dict(zip(days, random.sample(ANOMALIES, 4), strict=True))
