"""The check of a received batch against its dataset: good rows as they are stored, the rest with reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import pyarrow as pa

from notebook_pipeline.contract import kept_rows, received_fields
from notebook_pipeline.contract.arrow_functions import Mask
from notebook_pipeline.contract.batch import Malformed, RawBatch
from notebook_pipeline.contract.cells import Breach, Cells
from notebook_pipeline.contract.deletion_markers import has_markers, readable_keys, split_markers
from notebook_pipeline.contract.neutral_types import stored_type
from notebook_pipeline.contract.row_rules import broken, rules_of
from notebook_pipeline.contract.scalars import shown
from notebook_pipeline.declare.dataset import Dataset


@dataclass(frozen=True)
class Rejected:
    """One row that broke the contract: its position, the row as received (JSON), and every reason."""

    position: str
    row: str
    reasons: Sequence[str]


@dataclass(frozen=True)
class NestedRows:
    """The rows of one child that were nested in the good rows of a batch.

    `good` are in stored types, with the values of their parents; `parents` has the number of each one's
    parent in that batch. `stated` are the numbers of the parents that had a list, even an empty one;
    `unclear` are those of which a nested row has no key that can be read. `present` are the keys of rejected
    rows, with `present_in` as the numbers of their parents. `read` is the number of all rows.
    """

    good: pa.RecordBatch
    parents: pa.Array
    stated: pa.Array
    unclear: pa.Array
    present: pa.RecordBatch
    present_in: pa.Array
    rejected: Sequence[Rejected]
    read: int


@dataclass(frozen=True)
class Checked:
    """A checked batch: `good` rows in stored types and `rejected` rows; `read` is the number of all rows.

    `marked` are the keys of rows that the source has marked as deleted. `rejected` may be shorter than
    `rejected_count` if the caller asked for fewer. `share` is the fraction of the whole source, 0 to 1, that
    has been read, if known. `objects` are the rows as received, without those that are no objects, and
    `is_good` which of them are good; both are None unless the dataset has children or columns were given.
    `children` are the rows nested in the good ones, by the names of their datasets.
    """

    good: pa.RecordBatch
    rejected: Sequence[Rejected]
    read: int
    share: float | None = None
    marked: pa.RecordBatch | None = None
    objects: RawBatch | None = None
    is_good: Mask | None = None
    children: Mapping[str, NestedRows] = field(default_factory=dict)

    @property
    def rejected_count(self) -> int:
        """Return the number of all rejected rows, including those left out of `rejected`."""
        return self.read - self.good.num_rows - (len(self.marked) if self.marked else 0)


def stored_schema(dataset: Dataset) -> pa.Schema:
    """Return the schema of good rows, in neutral stored types."""
    return pa.schema([field.with_type(stored_type(field.type)) for field in dataset.schema])


def check_batch(
    raw: RawBatch,
    dataset: Dataset,
    today: date,
    *,
    keep: int | None = None,
    given: Mapping[str, pa.Array] | None = None,
) -> Checked:
    """Split a batch into good rows and rejected rows with all their reasons.

    At most `keep` rejected rows are returned (None: every one); all are counted. Columns that are `given`, in
    stored types, are not looked for in the rows, which must then be objects or columns.
    """
    if has_markers(raw):
        return _check_with_markers(raw, dataset, today, keep=keep)
    rejected = [_malformed(row) for row in raw.malformed[:keep]]
    objects, others = _objects(raw)
    rejected += [_not_an_object(raw, row) for row in others[:keep]]
    columns = received_fields.convert(objects, dataset, given or {})
    breaches = _breaches(columns, dataset, today)
    good = pa.RecordBatch.from_arrays(
        [columns[name].stored for name in dataset.schema.names], schema=stored_schema(dataset)
    )
    bad = np.zeros(len(objects.received), bool)
    if breaches:
        bad = np.logical_or.reduce([breach.bad for breach in breaches])
        good = good.filter(pa.array(~bad))
        failed = np.flatnonzero(bad)[: None if keep is None else max(0, keep - len(rejected))]
        rejected += _rejected(objects, failed.tolist(), breaches)
    found = Checked(good, rejected[:keep], len(raw), raw.share)
    return replace(found, objects=objects, is_good=~bad) if dataset.children or given else found


def _check_with_markers(raw: RawBatch, dataset: Dataset, today: date, *, keep: int | None) -> Checked:
    rows, marked = split_markers(raw)
    checked = check_batch(rows, dataset, today, keep=keep)
    keys, valid = readable_keys(marked, dataset)
    reason = f"marked as deleted, without a valid {', '.join(dataset.keys)}"
    bad = Breach(~valid, lambda index: reason)
    rejected = [*checked.rejected, *_rejected(marked, np.flatnonzero(~valid).tolist(), [bad])]
    return replace(checked, rejected=rejected[:keep], read=len(raw), marked=keys)


def _breaches(columns: Mapping[str, Cells], dataset: Dataset, today: date) -> list[Breach]:
    """Return every breach in the batch, in the order of columns, with the column's name in its reason."""
    found = [
        (name, breach) for name, cells in columns.items() for breach in cells.breaches if breach.bad.any()
    ]
    for rule in rules_of(dataset):
        found += [(rule.column, breach) for breach in broken(rule, columns[rule.column], today)]
    order = dataset.schema.names
    return [_named(name, breach) for name, breach in sorted(found, key=lambda pair: order.index(pair[0]))]


def _named(column: str, breach: Breach) -> Breach:
    return Breach(breach.bad, lambda index: f"{column}: {breach.reason(index)}")


def _rejected(raw: RawBatch, rows: Sequence[int], breaches: Sequence[Breach]) -> list[Rejected]:
    return [
        Rejected(raw.position(row), text, [breach.reason(row) for breach in breaches if breach.bad[row]])
        for row, text in zip(rows, kept_rows.spell(raw, rows), strict=True)
    ]


def _malformed(row: Malformed) -> Rejected:
    return Rejected(row.position, kept_rows.to_json(row.content), [row.reason])


def _not_an_object(raw: RawBatch, row: int) -> Rejected:
    value = raw.received[row]
    return Rejected(raw.position(row), kept_rows.to_json(value), [f"{shown(value)} is not a JSON object"])


def _objects(raw: RawBatch) -> tuple[RawBatch, list[int]]:
    """Return the JSON objects of a batch, and the indexes of its other JSON values."""
    if raw.columns is not None or set(map(type, raw.received)) <= {dict}:
        return raw, []
    values = raw.received
    kept = [index for index, value in enumerate(values) if isinstance(value, dict)]
    others = [index for index, value in enumerate(values) if not isinstance(value, dict)]
    return replace(
        raw,
        received=[values[index] for index in kept],
        position=lambda row: raw.position(kept[row]),
        deletions=None if raw.deletions is None else raw.deletions.take(pa.array(kept, pa.int64())),
    ), others
