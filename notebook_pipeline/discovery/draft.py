"""The draft of a declaration: columns, key, cursor, sources, rules and checks, with what is to be decided."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from notebook_pipeline.declare.column_types import is_text
from notebook_pipeline.discovery.key_candidates import KeyGuess, guess_cursor, guess_key
from notebook_pipeline.discovery.python_layout import Call, Item, call, literal, one_line, tuple_of
from notebook_pipeline.discovery.seen_table import SeenColumn, SeenTable
from notebook_pipeline.errors import UsageError

DECIDE = "Decide: "
_NEVER_NULL = "may one of these be null in other files? Then remove its NotNull and nullable=False"
_NO_OTHERS = "may there be other values? A row with one is rejected"


@dataclass(frozen=True)
class SourceDraft:
    """A source as it is declared: the name of the argument, its call, and what is to be decided about it."""

    argument: str
    declared: Call | None
    remarks: Sequence[str] = ()


@dataclass(frozen=True)
class Draft:
    """A declaration that waits for a person's decisions."""

    name: str
    origin: str
    table: SeenTable
    source: SourceDraft
    key: KeyGuess
    cursor: str
    days: Sequence[str] = field(default_factory=tuple)

    @property
    def required(self) -> set[str]:
        """Return the columns that must not be null: key and cursor, and if all rows were seen, all others."""
        needed = {*self.key.key, *filter(None, [self.cursor])}
        full = {column.name for column in self.table.columns if not column.has_nulls}
        return needed | full if self.table.is_whole else needed


def draft_of(
    name: str, origin: str, table: SeenTable, source: SourceDraft, cursor: str | None = None
) -> Draft:
    """Return the draft for a table; raise UsageError if no column of it can be the key."""
    key = guess_key(table.columns, name)
    if key is None:
        raise UsageError(
            f"{origin}: no column can be the key, because each is null in some row, or a number with a "
            "fraction, or nested; add a column that identifies rows"
        )
    guessed, days = guess_cursor(table.columns)
    return Draft(name, origin, table, source, key, guessed if cursor is None else cursor, days)


def columns(draft: Draft) -> Call:
    """Return the columns as a tuple."""
    return Call("", [_column(column, draft) for column in draft.table.columns])


def _column(column: SeenColumn, draft: Draft) -> Item:
    items = [Item(literal(column.name)), Item(type_code(column))]
    if column.name in draft.required:
        items.append(Item("False", "nullable"))
    if column.at != column.name:
        items.append(Item(literal(column.at), "at"))
    if column.seen.format:
        items.append(Item(literal(column.seen.format), "format"))
    return Item(Call("Column", items), comments=[DECIDE + remark for remark in column.seen.remarks])


def type_code(column: SeenColumn) -> str:
    """Return the type of a column as code."""
    kind = str(column.seen.type)
    if kind.startswith("timestamp"):
        return 'pa.timestamp("us", "UTC")'
    known = {
        "date32[day]": "pa.date32()",
        "time64[us]": 'pa.time64("us")',
        "extension<arrow.json>": "pa.json_()",
        "bool": "pa.bool_()",
        "float": "pa.float32()",
        "double": "pa.float64()",
        "halffloat": "pa.float16()",
    }
    return known.get(kind) or (f"pa.{kind}" if kind.endswith(")") else f"pa.{kind}()")


def key(draft: Draft) -> Item:
    """Return the key, with the other candidates."""
    found, rows = draft.key, f"the {draft.table.rows:,} rows seen"
    if not found.is_unique:
        said = f"in {rows} no one, two or three columns are unique; which columns identify a row?"
    elif found.others:
        said = f"is this the key? Also unique in {rows}: {', '.join(map(_named, found.others))}"
    else:
        said = f"is this the key? It is unique in {rows}"
    named = found.key[0] if len(found.key) == 1 else tuple(found.key)
    return Item(literal(named), "key", [DECIDE + said])


def _named(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


def cursor(draft: Draft) -> Item:
    """Return the cursor, or None with the candidates."""
    days = ", ".join(name for name in draft.days if name != draft.cursor)
    if draft.cursor:
        also = f"; other days and moments are: {days}" if days else ""
        return Item(
            literal(draft.cursor), "cursor", [f"{DECIDE}is this when a row last changed, by its name{also}?"]
        )
    which = f" such as {days}" if days else ""
    said = f"{DECIDE}does a column{which} say when a row last changed? Without one, the later load wins"
    return Item("None", "cursor", [said])


def rules(draft: Draft) -> Call:
    """Return the rules that all rows seen keep; if there are more rows, only those of key and cursor."""
    found = [Item(call("NotNull", name)) for name in _in_order(draft, draft.required)]
    if draft.table.is_whole and len(found) > len(draft.key.key):
        found[0] = replace(found[0], comments=[DECIDE + _NEVER_NULL])
    if draft.cursor:
        found.append(Item(call("NotInFuture", draft.cursor)))
    if draft.table.is_whole:
        found += [
            Item(_allowed(column), comments=[DECIDE + _NO_OTHERS]) for column in _with_few_values(draft)
        ]
    ranges = [
        f"Seen: {one_line(call('Range', column.name, low=column.low, high=column.high))}"
        for column in draft.table.columns
        if column.low is not None and column.high is not None and column.name not in draft.key.key
    ]
    return Call("", found, trailing=[DECIDE + "which numbers are possible?", *ranges] if ranges else [])


def checks(draft: Draft) -> Call:
    """Return the checks of the table."""
    named = draft.key.key[0] if len(draft.key.key) == 1 else tuple(draft.key.key)
    found = [Item(call("RowCount", low=1)), Item(call("Unique", named))]
    found += [Item(_every(call("NotNull", name))) for name in _in_order(draft, draft.required)]
    if not draft.table.is_whole:
        full = {column.name for column in draft.table.columns if not column.has_nulls} - draft.required
        found += [Item(_every(call("NotNull", name), "warn")) for name in _in_order(draft, full)]
    found += [Item(_every(_allowed(column), "warn")) for column in _with_few_values(draft)]
    if draft.cursor:
        found.append(Item(_every(call("NotInFuture", draft.cursor))))
    found += [
        Item(call("UsualRowCount", "drop", severity="warn")),
        Item(call("RejectedShare", max_percent=1.0, severity="warn")),
    ]
    fresh = f"{DECIDE}how old may the newest {draft.cursor} be? Then add Fresh(max_days=…)"
    return Call("", found, trailing=[fresh] if draft.cursor else [])


def _every(condition: Call, severity: str = "") -> Call:
    return Call("EveryRow", [Item(condition), *([Item(literal(severity))] if severity else [])])


def _allowed(column: SeenColumn) -> Call:
    return Call("AllowedValues", [Item(literal(column.name)), Item(tuple_of(column.values))])


def _with_few_values(draft: Draft) -> list[SeenColumn]:
    return [
        column
        for column in draft.table.columns
        if column.values and is_text(column.seen.type) and column.name not in draft.key.key
    ]


def _in_order(draft: Draft, names: set[str]) -> list[str]:
    return [column.name for column in draft.table.columns if column.name in names]
