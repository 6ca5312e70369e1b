"""Measured values as text, and those that earlier runs have stored, read back as numbers."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from notebook_pipeline.checks.anomalies import Share
from notebook_pipeline.storage.database import Database

SOURCE_COUNT = "source_count"
"""The name of the result in which an update stores, as `expected`, the source's own number of rows."""
KEPT_RUNS = 60

_BETWEEN = " · "


@dataclass(frozen=True)
class Stored:
    """One result of an earlier run, with the scope and the loads that the run checked."""

    run_id: str
    loads: str
    check_name: str
    measured: str
    scope: str


@dataclass(frozen=True)
class History:
    """The results of a dataset's earlier runs, oldest first."""

    stored: Sequence[Stored] = ()

    def counts(self, check_name: str) -> list[float]:
        """Return the numbers that a check measured, whatever the scope: they are of the whole table."""
        found = [read_number(stored.measured) for stored in self._of(check_name)]
        return [number for number in found if number is not None]

    def shares(self, check_name: str, scope: str) -> list[Share]:
        """Return the shares that a check measured in one scope."""
        found = [read_share(stored.measured) for stored in self._of(check_name, scope)]
        return [share for share in found if share]

    def mixes(self, check_name: str, scope: str) -> list[dict[str, Share]]:
        """Return the shares by name that a check measured in one scope."""
        found = [read_mix(stored.measured) for stored in self._of(check_name, scope)]
        return [mix for mix in found if mix]

    def _of(self, check_name: str, scope: str | None = None) -> Iterable[Stored]:
        return (
            stored
            for stored in self.stored
            if stored.check_name == check_name and scope in (None, stored.scope)
        )


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
        f"""SELECT q.run_id, q.check_name, q.measured, coalesce(p.parameters, '{{}}') AS parameters
        FROM quality_result q LEFT JOIN pipeline_run p ON p.run_id = q.run_id
        WHERE q.dataset = ? AND q.check_name IN ({marks}) AND q.measured IS NOT NULL AND q.run_id IN (
            SELECT DISTINCT run_id FROM quality_result
            WHERE dataset = ? AND check_name <> ? ORDER BY run_id DESC LIMIT ?)
        ORDER BY q.run_id""",
        [dataset, *check_names, dataset, SOURCE_COUNT, KEPT_RUNS],
    )
    stored = map(_stored, found.to_pylist())
    others = {(one.loads, one.scope, one.check_name): one for one in stored if one.loads != " ".join(loads)}
    return History(list(others.values()))


def _stored(row: dict[str, str]) -> Stored:
    given = json.loads(row["parameters"])
    loads, scope = given.get("run_id") or row["run_id"], given.get("scope") or "table"
    return Stored(row["run_id"], loads, row["check_name"], row["measured"], scope)


def read_source_count(database: Database, dataset: str) -> tuple[str, int] | None:
    """Return the last run that asked the source for its number of rows, and the number; None if none did."""
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
    """Return a share as text with two decimals."""
    return f"{percent:.2f} %"


def write_share(share: Share) -> str:
    """Return a share and its number of rows as text."""
    return f"{write_percent(share.percent)} of {write_rows(share.rows)}"


def write_mix(mix: Mapping[str, Share]) -> str:
    """Return named shares of the same rows as one text."""
    shares = _BETWEEN.join(f"{name} {write_percent(share.percent)}" for name, share in mix.items())
    return f"{shares} of {write_rows(next(iter(mix.values())).rows)}"


def read_number(text: str | None) -> float | None:
    """Return the number at the beginning of a text, or None if there is none."""
    try:
        return float((text or "").split(" ")[0].replace(",", ""))
    except ValueError:
        return None


def read_share(text: str) -> Share | None:
    """Return the share that `write_share` wrote, or None if the text has another form."""
    percent, _, whole = text.rpartition(" % of ")
    share, rows = read_number(percent), read_number(whole)
    return None if share is None or rows is None else Share(share, int(rows))


def read_mix(text: str) -> dict[str, Share]:
    """Return the shares that `write_mix` wrote, or {} if the text has another form."""
    shares, _, whole = text.rpartition(" of ")
    parts = [part.removesuffix(" %").rpartition(" ") for part in shares.split(_BETWEEN)]
    found = {name: read_share(f"{percent} % of {whole}") for name, _, percent in parts}
    return {name: share for name, share in found.items() if name and share}
