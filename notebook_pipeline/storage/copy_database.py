"""Copy all that an analytics database holds into another, empty one: from SQLite to PostgreSQL, or back.

Usage: python -m notebook_pipeline.storage.copy_database FROM TO

FROM and TO are connection ids, read from AIRFLOW_CONN_….
Nothing may write to FROM meanwhile; it stays as it is. Exits with 2, and says why, where that cannot be.
"""

import sys
from collections.abc import Iterable, Iterator

import pyarrow as pa

from notebook_pipeline.connections import resolve
from notebook_pipeline.declare import Dataset
from notebook_pipeline.declare.catalogue import load_all
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database, Value, quoted
from notebook_pipeline.storage.tables import bookkeeping, create_table, create_tables

ROWS_AT_ONCE = 250_000


def main() -> int:
    """Copy between the two databases that the command line names; return the exit status."""
    try:
        if len(sys.argv) != 3:
            raise UsageError(f"{len(sys.argv) - 1} connection ids were given; give two: FROM TO")
        with connect(resolve(sys.argv[1]), read_only=True) as source, connect(resolve(sys.argv[2])) as target:
            for table, rows in copy_all(source, target).items():
                print(f"{table:<16}{rows:>12,} rows")
    except PipelineError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def copy_all(source: Database, target: Database) -> dict[str, int]:
    """Copy every table in one transaction of the target; return the number of rows of each.

    Raises UsageError where a run is at work in the source, where the target has any, or where a table's
    declaration cannot be used.
    """
    running = source.execute("SELECT run_id FROM pipeline_run WHERE status = 'running' LIMIT 1")
    if running:
        raise UsageError(
            f"{source.name}: run {running[0][0]} is running; let it end, or run one to settle it"
        )
    datasets = _stored_datasets(source)
    create_tables(target)
    if target.execute("SELECT 1 FROM pipeline_run LIMIT 1"):
        raise UsageError(f"{target.name}: holds runs already; give a new database")
    for dataset in datasets:
        create_table(target, dataset)
    with target.transaction():
        copied = {table: _copy(source, target, table, [_in_order(source, table)]) for table in bookkeeping()}
        for dataset in datasets:
            copied[dataset.name] = _copy(source, target, dataset.name, _by_key(source, dataset))
        return copied


def _stored_datasets(source: Database) -> list[Dataset]:
    """Return the declared datasets that have a table; raise UsageError if one of a bad declaration has."""
    declared, there = load_all(), source.relations()
    bad = [problem for name, problem in declared.problems.items() if name in there]
    if bad:
        raise UsageError(f"{bad[0]}. Its table cannot be copied without it; nothing was copied")
    return [dataset for name, dataset in declared.datasets.items() if name in there]


def _copy(source: Database, target: Database, table: str, batches: Iterable[pa.Table]) -> int:
    for rows in batches:
        target.append(table, rows)
    counts = [one.execute(f"SELECT count(*) FROM {quoted(table)}")[0][0] for one in (source, target)]
    if counts[0] != counts[1]:
        raise PipelineError(
            f"{table}: {counts[0]:,} rows at the source, {counts[1]:,} copied; nothing was. See that nobody "
            "writes to it, and copy again"
        )
    return counts[1]


def _in_order(source: Database, table: str) -> pa.Table:
    """Return a bookkeeping table; the order of the rejected rows is that in which they came."""
    order = "ORDER BY rowid" if table == "rejected_row" else ""
    return source.query(f"SELECT {_columns(source, table)} FROM {table} {order}")


def _by_key(source: Database, dataset: Dataset) -> Iterator[pa.Table]:
    """Yield a dataset's rows in the order of their keys, so many at a time that memory stays small."""
    key, after, values = quoted(dataset.key), "", list[Value]()
    columns = _columns(source, dataset.name)
    while True:
        select = f"SELECT {columns} FROM {quoted(dataset.name)} {after} ORDER BY {key} LIMIT {ROWS_AT_ONCE}"
        rows = source.query(select, values)
        if not rows.num_rows:
            return
        yield rows
        after, values = f"WHERE {key} > ?", [rows.column(dataset.key)[-1].as_py()]


def _columns(source: Database, table: str) -> str:
    return ", ".join(quoted(name) for name in source.columns(table))


if __name__ == "__main__":
    sys.exit(main())
