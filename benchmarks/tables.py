"""The table that every contender fills: same columns, same primary key, same durability."""

SETTINGS = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL")
PLAYER_TABLE = """CREATE TABLE player (
    player_id INTEGER PRIMARY KEY NOT NULL,
    gsis_id TEXT,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    position TEXT NOT NULL,
    last_changed_date TEXT NOT NULL
)"""
