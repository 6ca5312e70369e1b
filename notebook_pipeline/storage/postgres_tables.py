"""What PostgreSQL reports of a table, and how a column of another type is converted."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from notebook_pipeline.storage.database import Database, quoted
from notebook_pipeline.storage.stored_table import StoredColumn, StoredTable

# How long a column that is to be added waits for those who use the table; they wait for it meanwhile.
LOCK_SECONDS = 10

_KINDS = {
    "r": "table",
    "v": "view",
    "m": "materialized view",
    "p": "partitioned table",
    "f": "foreign table",
    "S": "sequence",
    "c": "composite type",
}
# As PostgreSQL itself writes the types of stored_types.py.
_WRITTEN = {
    "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
}
_COLUMNS = """SELECT CAST(a.attname AS TEXT), format_type(a.atttypid, a.atttypmod), a.attnotnull,
        a.atthasdef OR a.attidentity <> '', CAST(a.attgenerated AS TEXT), CAST(a.attidentity AS TEXT),
        CASE WHEN a.attcollation = 0 THEN ''
            WHEN c.collname = 'default' AND (SELECT d.datcollate IN ('C', 'POSIX')
                AND coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') = 'c'
                FROM pg_database d WHERE d.datname = current_database()) THEN 'C'
            ELSE CAST(c.collname AS TEXT) END
    FROM pg_attribute a LEFT JOIN pg_collation c ON c.oid = a.attcollation
    WHERE a.attrelid = to_regclass(?) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
_KEYS = """SELECT CAST(i.indexrelid AS BIGINT), CAST(a.attname AS TEXT)
    FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k (attnum, position)
    LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0
    WHERE i.indrelid = to_regclass(?) AND i.indisunique AND i.indisvalid AND i.indimmediate
        AND i.indpred IS NULL AND k.position <= i.indnkeyatts ORDER BY 1, k.position"""
_ROW_SECURITY = "row-level security"
_INTERFERENCES = f"""SELECT 'trigger ' || tgname FROM pg_trigger
        WHERE tgrelid = to_regclass(?) AND NOT tgisinternal AND tgenabled <> 'D'
    UNION ALL SELECT 'rule ' || rulename FROM pg_rewrite
        WHERE ev_class = to_regclass(?) AND ev_type <> '1' AND ev_enabled <> 'D'
    UNION ALL SELECT '{_ROW_SECURITY}' FROM pg_class
        WHERE oid = to_regclass(?) AND row_security_active(oid)
    UNION ALL SELECT 'child table ' || CAST(inhrelid AS REGCLASS) FROM pg_inherits
        WHERE inhparent = to_regclass(?) ORDER BY 1"""

# The types that a column may be converted from, by the type that it is to have; %s is the column.
_CONVERSIONS = {
    "bigint": {"smallint": "%s", "integer": "%s"},
    "double precision": {"real": "%s", "smallint": "%s", "integer": "%s"},
    "text": {"character varying": "%s", "character": "%s", "text": "%s", "uuid": "CAST(%s AS TEXT)"},
    "day": {"date": "to_char(%s, 'YYYY-MM-DD')"},
    "time": {"time without time zone": "to_char(%s, 'HH24:MI:SS.US')"},
    "timestamp with time zone": {
        "timestamp without time zone": "%s AT TIME ZONE 'UTC'",
        "timestamp with time zone": "%s",
    },
    "timestamp without time zone": {"timestamp without time zone": "%s"},
    "jsonb": {"json": "CAST(%s AS JSONB)"},
}


class PostgresTables:
    """The tables of a PostgreSQL database."""

    clustered = ""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, table: str) -> StoredTable | None:
        """Return what PostgreSQL holds under a name, or None."""
        execute, name = self._database.execute, quoted(table)
        found = execute("SELECT CAST(relkind AS TEXT) FROM pg_class WHERE oid = to_regclass(?)", [name])
        if not found:
            return None
        columns = tuple(
            StoredColumn(
                column,
                f'{kind} COLLATE "{collation}"' if collation not in ("", "C") else kind,
                not not_null,
                default,
                not generated and identity != "a",
            )
            for column, kind, not_null, default, generated, identity, collation in execute(_COLUMNS, [name])
        )
        interferences = execute(_INTERFERENCES, [name] * 4)
        return StoredTable(
            _KINDS.get(found[0][0], "relation"),
            columns,
            _keys(self._database, name),
            tuple(interference for (interference,) in interferences),
        )

    def keeps(self, stored: str, kind: pa.DataType, *, is_key: bool = False) -> bool:
        """Return True if a column of the type `stored` gives back every value of a declared type."""
        # The order of texts counts in keys alone; two other collations than the default cannot be compared.
        plain = stored if is_key else stored.removesuffix(' COLLATE "default"')
        expected = _written(self._database.sql_type(kind))
        return (
            plain == expected
            or (plain, expected) == ("character varying", "text")
            or (plain == "numeric" and expected.startswith("numeric("))
        )

    def without(self, table: str, interference: str) -> str:
        """Return the statement that removes a trigger, a rule, a policy or a child table."""
        name = interference.split(" ", 1)[1]
        if interference.startswith(("trigger ", "rule ")):
            return f"DROP {interference.split(' ')[0].upper()} {quoted(name)} ON {quoted(table)}"
        if interference == _ROW_SECURITY:
            return f"ALTER TABLE {quoted(table)} DISABLE ROW LEVEL SECURITY"
        return f"ALTER TABLE {name.removeprefix('table ')} NO INHERIT {quoted(table)}"

    def with_other_key(self, table: str, columns: str) -> str:
        """Return the statement that makes columns the primary key in place of the present one."""
        dropped = f"DROP CONSTRAINT IF EXISTS {quoted(f'{table}_pkey')}"
        return f"ALTER TABLE {quoted(table)} {dropped}, ADD PRIMARY KEY ({columns})"

    def with_type(self, table: str, column: StoredColumn, kind: pa.DataType) -> str:
        """Return the statement that converts a column, which must lose nothing, to a declared type."""
        wanted = self._database.sql_type(kind)
        known = conversion(column.type, wanted, kind)
        value = known or "CAST(%s AS " + wanted.split(" COLLATE ")[0] + ")"
        name = quoted(column.name)
        return f"ALTER TABLE {quoted(table)} ALTER COLUMN {name} TYPE {wanted} USING {value % name}"

    def converts(self, column: StoredColumn, kind: pa.DataType) -> bool:
        """Return True if the statement of `with_type` loses nothing."""
        return conversion(column.type, self._database.sql_type(kind), kind) is not None

    def unfit(self, column: StoredColumn, kind: pa.DataType) -> str:
        """Return the SQL condition that a value is not one of a declared type, or "" if every value is."""
        name, is_text = quoted(column.name), column.type.startswith(("text", "character"))
        if pa.types.is_date(kind):
            is_day = f"CAST({name} AS TEXT) ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}$'"
            in_calendar = f"{name} BETWEEN '0001-01-01' AND '9999-12-31'"
            return f"NOT ({is_day} AND {in_calendar})" if is_text else f"NOT ({in_calendar})"
        if pa.types.is_time(kind) and is_text:
            return f"{name} !~ '^[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}[.][0-9]{{6}}$'"
        if pa.types.is_timestamp(kind):
            return f"NOT isfinite({name})"
        if pa.types.is_floating(kind) and column.type in {"real", "double precision"}:
            return f"{name} IN ('NaN', 'Infinity', '-Infinity')"
        if pa.types.is_decimal(kind) and column.type == "numeric":
            return f"{name} IS DISTINCT FROM round({name}, {kind.scale}) OR {name} = 'NaN'"
        return ""

    def hold(self, table: str) -> None:
        """Keep others from changing a table until the transaction ends."""
        with self._short_wait():
            self._database.execute(f"LOCK TABLE {quoted(table)} IN ACCESS EXCLUSIVE MODE")

    def with_null(self, table: str, column: str) -> str:
        """Return the statement that lets a column be null."""
        return f"ALTER TABLE {quoted(table)} ALTER COLUMN {quoted(column)} DROP NOT NULL"

    def without_expression(self, table: str, column: str) -> str:
        """Return the statement that lets values be written to a column that the engine computes."""
        stored = self.read(table)
        found = stored and stored.column(column)
        # An identity is computed by default, too, once it is no longer ALWAYS; a generated column is not.
        change = "SET GENERATED BY DEFAULT" if found and found.has_default else "DROP EXPRESSION"
        return f"ALTER TABLE {quoted(table)} ALTER COLUMN {quoted(column)} {change}"

    def add_column(self, table: str, definition: str) -> None:
        """Add a column inside the transaction; fail if the table stays in use for LOCK_SECONDS."""
        with self._short_wait():
            self._database.execute(f"ALTER TABLE {quoted(table)} ADD COLUMN {definition}")

    @contextmanager
    def _short_wait(self) -> Iterator[None]:
        """Let statements wait for LOCK_SECONDS only: what asks for the table meanwhile waits behind them."""
        [[before]] = self._database.execute("SELECT current_setting('lock_timeout')")
        self._set_lock_timeout(f"{LOCK_SECONDS}s")
        yield
        self._set_lock_timeout(before)

    def _set_lock_timeout(self, value: str) -> None:
        self._database.execute("SELECT set_config('lock_timeout', ?, true)", [value])


def conversion(stored: str, wanted: str, kind: pa.DataType) -> str | None:
    """Return the SQL that converts a value, which is `%s`, without a loss, or None if none is known."""
    base = stored.split(" COLLATE ")[0]
    if "(" in base:
        first, rest = base.split("(", 1)
        base = first + rest.split(")", 1)[1]
    form = "day" if pa.types.is_date(kind) else "time" if pa.types.is_time(kind) else _written(wanted)
    return _CONVERSIONS.get(form, {}).get(base)


def _written(wanted: str) -> str:
    """Return a type of stored_types.py as PostgreSQL writes it."""
    plain = wanted.split(" COLLATE ")[0].lower().replace(", ", ",")
    return _WRITTEN.get(plain, plain)


def _keys(database: Database, table: str) -> tuple[tuple[str, ...], ...]:
    """Return the columns of each unique index that compares columns, not expressions."""
    keys: dict[int, list[str | None]] = {}
    for index, column in database.execute(_KEYS, [table]):
        keys.setdefault(index, []).append(column)
    return tuple(tuple(filter(None, key)) for key in keys.values() if None not in key)


def has_json(database: Database, table: str) -> bool:
    """Return True if a table has a column of the type jsonb."""
    [[found]] = database.execute(
        """SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass(?) AND NOT attisdropped
        AND atttypid = to_regtype('jsonb')""",
        [quoted(table)],
    )
    return bool(found)
