"""The row rules: which rows of a converted column break a rule, and for what reason."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta

import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import Mask, mask, pc
from notebook_pipeline.contract.cells import Breach, Cells
from notebook_pipeline.contract.scalars import shown
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.declare.row_conditions import (
    AllowedValues,
    Bound,
    NotInFuture,
    NotNull,
    Pattern,
    Range,
)
from notebook_pipeline.declare.rule_values import as_value
from notebook_pipeline.declare.rules_and_checks import Rule


def rules_of(dataset: Dataset) -> Sequence[Rule]:
    """Return the dataset's rules, with NotNull added for columns that are not nullable."""
    explicit = {rule.column for rule in dataset.rules if isinstance(rule, NotNull)}
    implied = [
        NotNull(field.name) for field in dataset.schema if not field.nullable and field.name not in explicit
    ]
    return (*implied, *dataset.rules)


def broken(rule: Rule, cells: Cells, today: date) -> list[Breach]:
    """Return the breaches of one rule in its column, an empty list if there are none."""
    match rule:
        case NotNull():
            return _not_null(cells)
        case AllowedValues(values=allowed):
            return _allowed_values(cells.values, allowed)
        case Pattern(expression=expression):
            return _pattern(cells.values, expression)
        case Range(low=low, high=high):
            return _below(cells.values, low) + _above(cells.values, high)
        case NotInFuture(days=days):
            return _after(cells.values, today + timedelta(days))


def _not_null(cells: Cells) -> list[Breach]:
    if not cells.values.null_count:
        return []
    bad = mask(cells.values.is_null())
    for breach in cells.breaches:  # a cell that does not convert is not missing
        bad &= ~breach.bad
    return _breach(bad, lambda index: "is missing")


def _allowed_values(values: pa.Array, allowed: Sequence[str | int]) -> list[Breach]:
    bad = pc.and_(pc.invert(pc.is_in(values, pa.array(allowed, values.type))), values.is_valid())
    listed = ", ".join(map(str, allowed))
    return _breach(mask(bad), lambda index: f"{shown(values[index].as_py())} is not one of {listed}")


def _pattern(values: pa.Array, expression: str) -> list[Breach]:
    bad = mask(pc.invert(pc.match_substring_regex(values, rf"\A(?:{expression})\z")))
    return _breach(bad, lambda index: f"{shown(values[index].as_py())} does not match {expression}")


def _below(values: pa.Array, low: Bound | None) -> list[Breach]:
    if low is None:
        return []
    bad = mask(pc.less(values, _scalar(low, values.type)))
    return _breach(bad, lambda index: f"{shown(values[index].as_py())} is below {low}")


def _above(values: pa.Array, high: Bound | None) -> list[Breach]:
    if high is None:
        return []
    bad = mask(pc.greater(values, _scalar(high, values.type)))
    return _breach(bad, lambda index: f"{shown(values[index].as_py())} is above {high}")


def _after(values: pa.Array, last: date) -> list[Breach]:
    """Return the breach of values after a day; a moment on that day is not after it."""
    if pa.types.is_date(values.type):
        bad = mask(pc.greater(values, pa.scalar(last)))
    else:
        end = datetime.combine(last + timedelta(1), time(), UTC if values.type.tz else None)
        bad = mask(pc.greater_equal(values, pa.scalar(end, values.type)))
    return _breach(bad, lambda index: f"{shown(values[index].as_py())} is after {last}")


def _scalar(bound: Bound, kind: pa.DataType) -> pa.Scalar:
    return pa.scalar(as_value(bound, kind), kind)


def _breach(bad: Mask, reason: Callable[[int], str]) -> list[Breach]:
    return [Breach(bad, reason)] if bad.any() else []
