"""The declaration of one table: its columns, key, cursor, sources, row rules and checks."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property

import pyarrow as pa

from notebook_pipeline.declare.api_declarations import Rest
from notebook_pipeline.declare.arguments import Declaration
from notebook_pipeline.declare.child import Child
from notebook_pipeline.declare.column import MARKS, Column
from notebook_pipeline.declare.column_types import can_be_cursor, can_be_key, has_days
from notebook_pipeline.declare.dataset_names import refuse_name
from notebook_pipeline.declare.file_declaration import Files
from notebook_pipeline.declare.rule_values import mismatch
from notebook_pipeline.declare.rules_and_checks import Check, EveryRow, Fresh, Rule, UsualChanges, columns_of
from notebook_pipeline.errors import UsageError

_KEY_TYPES = "an integer, text, a bool, a day, a moment, a time or a decimal"
_CURSOR_TYPES = "a day (date32), a moment (timestamp with the zone UTC) or an integer"

# SQLite has at most 2,000 columns in a table.
MOST_COLUMNS = 2_000 - len(MARKS)


@dataclass(frozen=True)
class Dataset(Declaration):
    """One table of the analytics database, and where its rows come from.

    `columns` are in the table's order; docs/types.md describes their types. The key is one column or several,
    the cursor a day, a moment or an integer, and none of them may be null. A row with null in any other
    column that is not nullable is rejected. `children` are the datasets of rows that are nested in these.
    `ignored` columns may arrive and are dropped; any other unknown column is reported as drift.

    Raises UsageError if the declaration contradicts itself.
    """

    name: str
    columns: Sequence[Column]
    key: str | tuple[str, ...]
    cursor: str | None = None
    _: KW_ONLY
    files: Files = Files()
    api: Rest | None = None
    children: Sequence[Child] = ()
    rules: Sequence[Rule] = ()
    checks: Sequence[Check] = ()
    ignored: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ("columns", "children", "rules", "checks", "ignored"):
            given = getattr(self, name)
            if isinstance(given, Iterable) and not isinstance(given, str):
                object.__setattr__(self, name, tuple(given))
        super().__post_init__()
        refuse_name(self.name)
        self._check_columns()
        self._check_key_and_cursor()
        self._check_files()
        self._check_children()
        self._check_rules()

    @cached_property
    def schema(self) -> pa.Schema:
        """Return the columns as an Arrow schema."""
        return pa.schema([pa.field(column.name, column.type, column.nullable) for column in self.columns])

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the columns of the key, in its order."""
        return (self.key,) if isinstance(self.key, str) else self.key

    def column(self, name: str) -> Column:
        """Return the declaration of a column; raise KeyError if there is none of this name."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    def declared_cursor(self) -> str:
        """Return the cursor, or raise UsageError."""
        if not self.cursor:
            raise UsageError(f"dataset {self.name!r} has no cursor; declare one in datasets/{self.name}.py")
        return self.cursor

    def declared_api(self) -> Rest:
        """Return the declared API, or raise UsageError."""
        if self.api is None:
            raise UsageError(
                f"dataset {self.name!r} has no api; add api=Rest(...) to datasets/{self.name}.py"
            )
        return self.api

    def conn_id(self, parameter: str) -> str:
        """Return the connection that the declaration names for a run's parameter, or "" if it names none."""
        if parameter == "file_conn_id":
            return self.files.conn_id
        return self.api.conn_id if self.api and parameter == "api_conn_id" else ""

    def _check_columns(self) -> None:
        names = [column.name for column in self.columns]
        if not 0 < len(names) <= MOST_COLUMNS:
            raise UsageError(
                f"dataset {self.name!r} declares {len(names):,} columns; expected 1 to {MOST_COLUMNS:,}"
            )
        counts = Counter(map(str.lower, names))
        twice = [name for name in names if counts[name.lower()] > 1]
        if twice:
            raise UsageError(
                f"dataset {self.name!r} declares the columns {twice}; expected names that differ in more "
                "than upper and lower case"
            )
        both = sorted(set(names) & set(self.ignored))
        if both:
            raise UsageError(
                f"dataset {self.name!r} both declares and ignores the columns {both}; choose one"
            )

    def _check_key_and_cursor(self) -> None:
        named = {name for declared in (*self.rules, *self.checks) for name in columns_of(declared)}
        ordered = (*self.keys, *filter(None, [self.cursor]))
        unknown = {*ordered, *named} - set(self.schema.names)
        if unknown:
            raise UsageError(
                f"dataset {self.name!r} uses undeclared columns {sorted(unknown)}; it declares "
                f"{sorted(self.schema.names)}"
            )
        if not self.keys or len(set(self.keys)) < len(self.keys):
            raise UsageError(f"dataset {self.name!r} has the key {self.keys}; expected distinct columns")
        for name in self.keys:
            self._check_type(name, can_be_key(self.column(name).type), f"a key column must be {_KEY_TYPES}")
        if self.cursor:
            is_ordered = can_be_cursor(self.column(self.cursor).type)
            self._check_type(self.cursor, is_ordered, f"a cursor must be {_CURSOR_TYPES}")
        if self.api:
            self.api.refuse_cursor(self.name, self.column(self.cursor).type if self.cursor else None)

    def _check_type(self, name: str, fits: bool, expected: str) -> None:
        column = self.column(name)
        if column.nullable or not fits:
            null = "" if not column.nullable else ", which may be null"
            raise UsageError(
                f"dataset {self.name!r} declares {name} as {column.type}{null}; {expected}, "
                "with nullable=False"
            )

    def _check_files(self) -> None:
        for name in ("optional", "folders"):
            unknown = sorted({*getattr(self.files, name)} - {*self.schema.names})
            if unknown:
                raise UsageError(
                    f"dataset {self.name!r}: {name} of its files names {unknown}; "
                    f"it declares {sorted(self.schema.names)}"
                )
        needed = [name for name in self.files.optional if not self.schema.field(name).nullable]
        if needed:
            raise UsageError(
                f"dataset {self.name!r}: optional of its files names {needed}, which must not be null; "
                "declare them with nullable=True, or remove them from optional"
            )

    def _check_children(self) -> None:
        names = [child.dataset for child in self.children]
        if len(set(names)) < len(names) or self.name in names:
            raise UsageError(
                f"dataset {self.name!r} has the children {names}; expected different datasets, and not itself"
            )
        for child in self.children:
            columns = list(child.parent.values())
            unknown = sorted({*columns} - {*self.schema.names})
            if unknown:
                raise UsageError(
                    f"dataset {self.name!r}: parent of the child {child.dataset!r} names {unknown}; "
                    f"it declares {sorted(self.schema.names)}"
                )
            missing = [name for name in self.keys if name not in columns]
            if missing:
                raise UsageError(
                    f"dataset {self.name!r}: parent of the child {child.dataset!r} lacks {missing}; expected "
                    f"all columns of the key, {list(self.keys)}, so that each nested row names its parent"
                )

    def _check_rules(self) -> None:
        for declared in (*self.rules, *self.checks):
            condition = declared.condition if isinstance(declared, EveryRow) else declared
            for name in columns_of(declared):
                kind = self.column(name).type
                if expected := mismatch(condition, kind):
                    raise UsageError(
                        f"dataset {self.name!r}: {condition} does not fit {name}, which is declared as "
                        f"{kind}; expected {expected}"
                    )
            if isinstance(declared, Fresh | UsualChanges):
                self._check_has_days(declared)
        counts = Counter(check.name for check in self.checks)
        twice = [name for name, count in counts.items() if count > 1]
        if twice:
            raise UsageError(f"dataset {self.name!r} has several checks named {twice}; expected unique names")

    def _check_has_days(self, check: Fresh | UsualChanges) -> None:
        """Raise UsageError if the cursor does not say on which day a row changed."""
        what = type(check).__name__
        if not self.cursor:
            raise UsageError(
                f"dataset {self.name!r}: {what} needs the day of each row's last change, but no cursor is "
                f"declared; declare one, or leave {what} out"
            )
        kind = self.column(self.cursor).type
        if not has_days(kind):
            raise UsageError(
                f"dataset {self.name!r}: {what} needs the day of each row's last change, but the cursor "
                f"{self.cursor} is a number ({kind}); expected a day or a moment, or leave {what} out"
            )
