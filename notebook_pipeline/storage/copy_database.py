"""Copy a whole analytics database into an empty one, from SQLite to PostgreSQL or back.

Usage: python -m notebook_pipeline.storage.copy_database FROM TO

FROM and TO are connection ids, read from AIRFLOW_CONN_….
FROM is not changed, and nothing may write to it meanwhile. Exits with 2 and a message on an error.
"""

import sys
from collections.abc import Iterable, Iterator

import pyarrow as pa

from notebook_pipeline.connections import resolve
from notebook_pipeline.contract.columns import from_column
from notebook_pipeline.contract.neutral_types import stored_type
from notebook_pipeline.declare import Dataset
from notebook_pipeline.declare.catalogue import get, load_all
from notebook_pipeline.declare.column import MARKS
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.copied_keys import rewrite_recorded_keys
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
        rewrite_recorded_keys(target, datasets)
        for dataset in datasets:
            copied[dataset.name] = _copy(source, target, dataset.name, _converted(source, target, dataset))
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
        if not target.append(table, rows):
            _append_by_staging(target, table, rows)
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


def _converted(source: Database, target: Database, dataset: Dataset) -> Iterator[pa.Table]:
    """Yield a dataset's rows as the target stores them, in the order of their keys."""
    for rows in _by_key(source, dataset):
        marks = [rows.column(mark).cast(pa.string()) for mark in MARKS]
        encoded = target.encoded(rows.select(dataset.schema.names))
        yield pa.table([*encoded.columns, *marks], names=[*encoded.schema.names, *MARKS])


def _by_key(source: Database, dataset: Dataset) -> Iterator[pa.RecordBatch]:
    """Yield a dataset's rows in neutral types by their keys, ROWS_AT_ONCE at a time to limit memory."""
    key, after, values = ", ".join(map(quoted, dataset.keys)), "", list[Value]()
    columns = ", ".join(map(quoted, (*dataset.schema.names, *MARKS)))
    while True:
        select = f"SELECT {columns} FROM {quoted(dataset.name)} {after} ORDER BY {key} LIMIT {ROWS_AT_ONCE}"
        rows = _neutral(dataset, source.query(select, values))
        if not rows.num_rows:
            return
        yield rows
        bound = [source.bound(rows.column(name)[-1].as_py()) for name in dataset.keys]
        after, values = (
            f"WHERE ({key}) > ({', '.join(sql for sql, _ in bound)})",
            [value for _, value in bound],
        )


def _neutral(dataset: Dataset, stored: pa.Table) -> pa.RecordBatch:
    """Return stored rows in neutral types; raise PipelineError if a value does not fit its declared type."""
    columns = [_neutral_column(dataset, field, stored.column(field.name)) for field in dataset.schema]
    marks = [_one_array(stored.column(mark)) for mark in MARKS]
    return pa.RecordBatch.from_arrays([*columns, *marks], [*dataset.schema.names, *MARKS])


def _neutral_column(dataset: Dataset, field: pa.Field, stored: pa.ChunkedArray) -> pa.Array:
    column = _one_array(stored)
    if column.null_count == len(column):
        # SQLite gives a column of nulls any type.
        return pa.nulls(len(column), stored_type(field.type))
    if pa.types.is_boolean(field.type):
        return column.cast(pa.bool_())
    cells = from_column(column, field.type)
    wrong = [(breach, int(breach.bad.argmax())) for breach in cells.breaches if breach.bad.any()]
    if wrong:
        breach, row = wrong[0]
        raise PipelineError(
            f"{dataset.name}: column {field.name} is declared as {field.type}, but a stored value "
            f"{breach.reason(row)}; the copy was rolled back. Correct the value and copy again"
        )
    return cells.stored


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    joined = column.combine_chunks()
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def _append_by_staging(target: Database, table: str, rows: pa.Table) -> None:
    """Append rows through a temporary table, for columns that the engine does not take as they are."""
    dataset = get(table)
    fields = [*dataset.schema, *(pa.field(mark, pa.string()) for mark in MARKS)]
    columns = [f"{quoted(field.name)} {target.staged_type(field.type)}" for field in fields]
    values = [target.from_staged(quoted(field.name), field.type) for field in fields]
    target.execute(f"CREATE TEMP TABLE _copied ({', '.join(columns)})")
    target.append("_copied", rows)
    names = ", ".join(quoted(field.name) for field in fields)
    target.execute(f"INSERT INTO {quoted(table)} ({names}) SELECT {', '.join(values)} FROM _copied")
    target.execute("DROP TABLE _copied")


def _columns(source: Database, table: str) -> str:
    return ", ".join(quoted(name) for name in source.columns(table))


if __name__ == "__main__":
    sys.exit(main())
