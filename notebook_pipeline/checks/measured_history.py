"""What the checks of earlier runs measured."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from notebook_pipeline.checks.anomalies import Share
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.ledger import SOURCE_COUNT

KEPT_RUNS = 60
NULL = "null"
"""The name of the nulls among the counts of a column."""


@dataclass(frozen=True)
class Stored:
    """One result of an earlier run, with the scope and the loads that the run checked."""

    check_name: str
    loads: str
    scope: str
    number: float | None
    counts: Mapping[str, int]


@dataclass(frozen=True)
class History:
    """The results of a dataset's earlier runs, oldest first."""

    stored: Sequence[Stored] = ()

    def numbers(self, check_name: str) -> list[float]:
        """Return the numbers that a check measured, whatever the scope: they are of the whole table."""
        found = [stored.number for stored in self.stored if stored.check_name == check_name]
        return [number for number in found if number is not None]

    def shares(self, check_name: str, scope: str) -> list[Share]:
        """Return the shares of nulls that a check measured in one scope."""
        return [mix[NULL] for mix in self.mixes(check_name, scope)]

    def mixes(self, check_name: str, scope: str) -> list[dict[str, Share]]:
        """Return the shares by name that a check measured in one scope."""
        found = [one for one in self.stored if (one.check_name, one.scope) == (check_name, scope)]
        return [shares_of(one.counts) for one in found if one.counts]


def shares_of(counts: Mapping[str, int]) -> dict[str, Share]:
    """Return the share of each count in their sum."""
    rows = sum(counts.values())
    return {name: Share(100 * count / rows, rows) for name, count in counts.items()}


def read_history(
    database: Database, dataset: str, check_names: Sequence[str], loads: Sequence[str]
) -> History:
    """Return what the last runs that checked this dataset measured for the named checks.

    Of several runs that checked the same loads only the last counts, and of those that checked `loads` none:
    repeating a failed check must not make its value usual.
    """
    if not check_names:
        return History()
    marks = ", ".join("?" * len(check_names))
    found = database.query(
        f"""SELECT q.*, coalesce(p.parameters, '{{}}') AS parameters
        FROM quality_result q LEFT JOIN pipeline_run p ON p.run_id = q.run_id
        WHERE q.dataset = ? AND q.check_name IN ({marks}) AND q.run_id IN (
            SELECT DISTINCT run_id FROM quality_result
            WHERE dataset = ? AND check_name <> ? ORDER BY run_id DESC LIMIT ?)
        ORDER BY q.run_id""",
        [dataset, *check_names, dataset, SOURCE_COUNT, KEPT_RUNS],
    )
    others = [stored for stored in _stored(found.to_pylist()) if stored.loads != " ".join(loads)]
    return History(list({(one.loads, one.scope, one.check_name): one for one in others}.values()))


def _stored(rows: Iterable[Mapping]) -> Iterable[Stored]:
    for row in rows:
        given = json.loads(row["parameters"])
        yield Stored(
            row["check_name"],
            given.get("run_id") or row["run_id"],
            given.get("scope") or "table",
            row["measured_number"],
            json.loads(row["measured_counts"] or "{}"),
        )


def read_source_count(database: Database, dataset: str) -> tuple[str, int] | None:
    """Return the last run that asked the source for its number of rows, and the number; None if none did."""
    rows = database.execute(
        """SELECT run_id, expected FROM quality_result WHERE dataset = ? AND check_name = ?
        ORDER BY run_id DESC LIMIT 1""",
        [dataset, SOURCE_COUNT],
    )
    return (rows[0][0], int(rows[0][1])) if rows else None
