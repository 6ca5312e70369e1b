"""Write measured values as text, and read those that earlier runs have stored back as numbers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from notebook_pipeline.database import Database

SOURCE_COUNT = "source_count"
"""The result under which an update stores, as expected, how many rows the source says it has."""
KEPT_RUNS = 60

_BETWEEN = " · "


@dataclass(frozen=True)
class Stored:
    """Hold one result of an earlier run; `scope` is the one that the run was given."""

    run_id: str
    check_name: str
    measured: str
    scope: str


@dataclass(frozen=True)
class History:
    """Hold the results of a dataset's earlier runs, oldest first."""

    stored: Sequence[Stored] = ()

    def numbers(self, check_name: str, scope: str | None = None) -> list[float]:
        """Return a check's measured numbers; of one scope only, where a scope is given."""
        texts = [stored.measured for stored in self._of(check_name, scope)]
        return [number for number in map(read_number, texts) if number is not None]

    def shares(self, check_name: str, scope: str | None = None) -> list[dict[str, float]]:
        """Return a check's measured shares, in percent by name."""
        found = [read_shares(stored.measured) for stored in self._of(check_name, scope)]
        return [shares for shares in found if shares]

    def _of(self, check_name: str, scope: str | None) -> Iterable[Stored]:
        return (
            stored
            for stored in self.stored
            if stored.check_name == check_name and scope in (None, stored.scope)
        )


def read_history(database: Database, dataset: str) -> History:
    """Return what the last runs that checked this dataset have measured."""
    rows = database.execute(
        """SELECT q.run_id, q.check_name, q.measured, json_extract(p.parameters, '$.scope')
        FROM quality_result q LEFT JOIN pipeline_run p ON p.run_id = q.run_id
        WHERE q.dataset = ? AND q.measured IS NOT NULL AND q.run_id IN (
            SELECT DISTINCT run_id FROM quality_result
            WHERE dataset = ? AND check_name <> ? ORDER BY run_id DESC LIMIT ?)
        ORDER BY q.run_id""",
        [dataset, dataset, SOURCE_COUNT, KEPT_RUNS],
    )
    return History(
        [Stored(run_id, name, measured, scope or "table") for run_id, name, measured, scope in rows]
    )


def read_source_count(database: Database, dataset: str) -> tuple[str, int] | None:
    """Return which run last asked the source for its number of rows, and the answer; None if none did."""
    rows = database.execute(
        """SELECT run_id, expected FROM quality_result WHERE dataset = ? AND check_name = ?
        ORDER BY run_id DESC LIMIT 1""",
        [dataset, SOURCE_COUNT],
    )
    number = read_number(rows[0][1]) if rows else None
    return None if number is None else (rows[0][0], int(number))


def write_rows(count: float) -> str:
    """Return a number of rows as text."""
    return f"{count:,.0f} row" if count == 1 else f"{count:,.0f} rows"


def write_percent(percent: float) -> str:
    """Return a share as text, to a hundredth of a point."""
    return f"{percent:.2f} %"


def write_shares(shares: Mapping[str, float]) -> str:
    """Return several shares, each with its name, as one text."""
    return _BETWEEN.join(f"{name} {write_percent(share)}" for name, share in shares.items())


def read_number(text: str | None) -> float | None:
    """Return the number that a measured text begins with, or None."""
    try:
        return float((text or "").split(" ")[0].replace(",", ""))
    except ValueError:
        return None


def read_shares(text: str) -> dict[str, float]:
    """Return the shares that `write_shares` wrote, or none where the text is something else."""
    shares = {}
    for part in text.split(_BETWEEN):
        name, _, percent = part.removesuffix(" %").rpartition(" ")
        number = read_number(percent)
        if not name or number is None or not part.endswith(" %"):
            return {}
        shares[name] = number
    return shares
