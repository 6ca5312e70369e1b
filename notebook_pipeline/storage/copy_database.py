"""Copy a whole analytics database into an empty one, from SQLite to PostgreSQL or back.

Usage: python -m notebook_pipeline.storage.copy_database FROM TO

FROM and TO are connection ids, read from AIRFLOW_CONN_….
FROM is not changed, and nothing may write to it meanwhile. Exits with 2 and a message on an error.
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
    """Copy between the two databases given on the command line; return the exit status."""
    try:
        if len(sys.argv) != 3:
            raise UsageError(f"expected two connection ids, FROM and TO, got {len(sys.argv) - 1}")
        with connect(resolve(sys.argv[1]), read_only=True) as source, connect(resolve(sys.argv[2])) as target:
            for table, rows in copy_all(source, target).items():
                print(f"{table:<16}{rows:>12,} rows")
    except PipelineError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def copy_all(source: Database, target: Database) -> dict[str, int]:
    """Copy every table in one transaction of the target; return the number of rows of each.

    Raises UsageError if the source has a running run, the target has any run, or a table's declaration is
    invalid.
    """
    running = source.execute("SELECT run_id FROM pipeline_run WHERE status = 'running' LIMIT 1")
    if running:
        raise UsageError(
            f"{source.name}: run {running[0][0]} is `running`; wait until it ends, or if its process is "
            "lost, start any other run, which closes it"
        )
    datasets = _stored_datasets(source)
    create_tables(target)
    if target.execute("SELECT 1 FROM pipeline_run LIMIT 1"):
        raise UsageError(f"{target.name}: the database already has runs; copy into a new one")
    for dataset in datasets:
        create_table(target, dataset)
    with target.transaction():
        copied = {
            table: _copy(source, target, table, [_in_order(source, table)]) for table in _to_copy(source)
        }
        for dataset in datasets:
            copied[dataset.name] = _copy(source, target, dataset.name, _by_key(source, dataset))
        return copied


def _stored_datasets(source: Database) -> list[Dataset]:
    """Return the declared datasets that have a table; raise UsageError if one has an invalid declaration."""
    declared, there = load_all(), source.relations()
    bad = [problem for name, problem in declared.problems.items() if name in there]
    if bad:
        raise UsageError(f"{bad[0]}. Its table cannot be copied without a declaration; nothing was copied")
    return [dataset for name, dataset in declared.datasets.items() if name in there]


def _to_copy(source: Database) -> list[str]:
    """Return the bookkeeping tables to copy; an older database lacks some, and each has its own steps."""
    return [table for table in bookkeeping() if table in source.relations() and table != "schema_version"]


def _copy(source: Database, target: Database, table: str, batches: Iterable[pa.Table]) -> int:
    for rows in batches:
        target.append(table, rows)
    counts = [one.execute(f"SELECT count(*) FROM {quoted(table)}")[0][0] for one in (source, target)]
    if counts[0] != counts[1]:
        raise PipelineError(
            f"{table}: the source has {counts[0]:,} rows, but {counts[1]:,} were copied; the copy was rolled "
            "back. Stop all writers to the source and copy again"
        )
    return counts[1]


def _in_order(source: Database, table: str) -> pa.Table:
    """Return a bookkeeping table, with rejected rows in the order in which they were stored."""
    order = "ORDER BY rowid" if table == "rejected_row" else ""
    return source.query(f"SELECT {_columns(source, table)} FROM {table} {order}")


def _by_key(source: Database, dataset: Dataset) -> Iterator[pa.Table]:
    """Yield a dataset's rows in the order of their keys, ROWS_AT_ONCE at a time to limit memory."""
    key, after, values = ", ".join(map(quoted, dataset.keys)), "", list[Value]()
    marks = ", ".join("?" * len(dataset.keys))
    columns = _columns(source, dataset.name)
    while True:
        select = f"SELECT {columns} FROM {quoted(dataset.name)} {after} ORDER BY {key} LIMIT {ROWS_AT_ONCE}"
        rows = source.query(select, values)
        if not rows.num_rows:
            return
        yield rows
        last = [rows.column(name)[-1].as_py() for name in dataset.keys]
        after, values = f"WHERE ({key}) > ({marks})", last


def _columns(source: Database, table: str) -> str:
    return ", ".join(quoted(name) for name in source.columns(table))


if __name__ == "__main__":
    sys.exit(main())
