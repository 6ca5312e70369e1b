"""How values of declared types are recognised in SQLite, whose columns take values of any type."""

import pyarrow as pa

_CLASSES = {"INTEGER": "integer", "REAL": "real", "TEXT": "text", "BLOB": "blob"}
_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_TIME = "[0-9][0-9]:[0-9][0-9]:[0-9][0-9]." + "[0-9]" * 6


def unfit_value(name: str, sql_type: str, kind: pa.DataType) -> str:
    """Return the SQL condition that a value, which is not null, is not stored as one of a declared type."""
    conditions = [f"typeof({name}) <> '{_CLASSES[sql_type]}'"]
    if pa.types.is_boolean(kind):
        conditions.append(f"{name} NOT IN (0, 1)")
    elif pa.types.is_date(kind):
        # A day that no calendar has, such as February 30, is read as another one.
        conditions += [f"{name} NOT GLOB '{_DAY}'", f"date({name}) IS NOT {name}"]
    elif pa.types.is_timestamp(kind):
        conditions += [f"{name} NOT GLOB '{_DAY} {_TIME}'", f"datetime({name}) IS NOT substr({name}, 1, 19)"]
    elif pa.types.is_time(kind):
        conditions += [f"{name} NOT GLOB '{_TIME}'", f"time({name}) IS NOT substr({name}, 1, 8)"]
    elif isinstance(kind, pa.JsonType):
        conditions.append(f"NOT json_valid({name})")
    return " OR ".join(conditions)
