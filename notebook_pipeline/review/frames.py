"""The ledger as tables and figures for notebooks."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.ticker import StrMethodFormatter

from notebook_pipeline.connections import resolve
from notebook_pipeline.number_texts import counted
from notebook_pipeline.review import wording
from notebook_pipeline.review.queries import (
    Filters,
    Run,
    list_runs,
    open_ledger,
    read_checks,
    seconds,
)
from notebook_pipeline.review.trace import Trace, trace_row
from notebook_pipeline.review.wording import status, verdict
from notebook_pipeline.steps import plots
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.row_counts import ROW_COUNTS, short_name

# The palette of Okabe and Ito, for every kind of colour vision; hatches repeat the distinction.
_STYLES = {
    "inserted": ("#0072B2", ""),
    "updated": ("#E69F00", "//"),
    "unchanged": ("#BBBBBB", ""),
    "stale": ("#767676", ".."),
    "rejected": ("#D55E00", "xx"),
}


class LookBack(NamedTuple):
    """The runs of a dataset, what failed in them, and where one row comes from."""

    runs: Sequence[Run]
    failed: pd.DataFrame
    trace: Trace | None


def look_back(database_conn_id: str, dataset: str, *, days: float, key: str) -> LookBack:
    """Return the runs of a dataset in the last `days` days, and the origin of the row with this key."""
    with open_ledger(resolve(database_conn_id)) as database:
        runs = list_runs(database, Filters(dataset=dataset, days=days))
        return LookBack(runs, failed(database, runs), trace_row(database, dataset, key))


def ran(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one line per run, oldest first: what it ran and how it ended."""
    names = ("dag_id", "notebook", "dataset", "source", "try_number")
    lines = [[*(wording.shown(run[name]) for name in names), status(run)] for run in _oldest_first(runs)]
    return pd.DataFrame(lines, columns=[*names, "status"])


def changed(runs: Sequence[Run]) -> pd.DataFrame:
    """Return what became of the rows, one line per run that read and committed some."""
    wrote = [run for run in _oldest_first(runs) if run["committed_at"] and run["rows_read"] is not None]
    lines = [[run["notebook"], *(run[name] for name in ROW_COUNTS)] for run in wrote]
    return pd.DataFrame(lines, columns=["notebook", *map(short_name, ROW_COUNTS)])


def failed(database: Database, runs: Sequence[Run]) -> pd.DataFrame:
    """Return the failed runs with their errors, and the failed checks with what they measured."""
    lines: list[list[str | None]] = []
    for run in _oldest_first(runs):
        name = [run["notebook"], run["dataset"]]
        if status(run) in ("failed", "lost"):
            lines.append([*name, status(run), run["error"]])
        checks = [check for check in read_checks(database, run["run_id"]) if not check["passed"]]
        lines += [[*name, verdict(check), f"{check['check_name']}: {check['measured']}"] for check in checks]
    return pd.DataFrame(lines, columns=["notebook", "dataset", "what", "cause"])


def took(runs: Sequence[Run]) -> pd.DataFrame:
    """Return when each run started and how many seconds it took."""
    names = ("run_id", "notebook", "started_at")
    lines = [[*(run[name] for name in names), seconds(run)] for run in _oldest_first(runs)]
    return pd.DataFrame(lines, columns=["run", "notebook", "started", "seconds"])


def origin(trace: Trace | None) -> pd.DataFrame:
    """Return the origin of a row, one fact per line; an empty table if no run ever wrote the row."""
    facts = [(name, wording.shown(value)) for name, value in (wording.origin(trace) if trace else [])]
    return pd.DataFrame(facts, columns=["", "value"]).set_index("")


def plot_changed(runs: Sequence[Run]) -> plots.Picture:
    """Plot what became of the rows that each run read, for runs that committed some."""
    table = changed(runs)
    if table.empty:
        return plots.empty("No run has changed the data")
    new, updated = (sum(table[name].tolist()) for name in ("inserted", "updated"))
    sentence = f"{counted(len(table), 'run')} added {counted(new, 'row')} and changed {updated:,}"
    figure, [axes] = plots.new_figure(sentence, height=1.7 + 0.36 * len(table))
    left = pd.Series(0, index=table.index)
    for name, (colour, hatch) in _STYLES.items():
        rows = table[name].astype(int)
        axes.barh(table.index, rows, left=left, color=colour, hatch=hatch, edgecolor="white", label=name)
        left = left + rows
    axes.set_yticks(table.index, [f"{number + 1}. {name}" for number, name in enumerate(table["notebook"])])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set(xlabel="rows read", ylabel="run")
    axes.grid(axis="y", visible=False)
    figure.legend(loc="outside lower center", ncols=len(_STYLES), frameon=False)
    return plots.Picture(sentence, figure)


def _oldest_first(runs: Sequence[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: run["run_id"])
