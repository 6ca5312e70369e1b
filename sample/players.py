"""Fictional players: the same for the same seed, on every machine and with every library version."""

# pyarrow creates its compute functions at run time, so a type checker cannot see them.
# pyright: reportAttributeAccessIssue=false

import hashlib
from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SCHEMA = pa.schema(
    [
        pa.field("player_id", pa.int64(), nullable=False),
        pa.field("gsis_id", pa.string()),
        pa.field("first_name", pa.string(), nullable=False),
        pa.field("last_name", pa.string(), nullable=False),
        pa.field("position", pa.string(), nullable=False),
        pa.field("last_changed_date", pa.date32(), nullable=False),
    ]
)
"""The players as the source has them; `datasets/player.py` declares which columns are stored."""

SEED = 20240901
COUNT = 20_000
FIRST_PLAYER_ID = 1001

BULK_DAY = date(2024, 8, 31)
"""The day on which the bulk file was extracted: the newest `last_changed_date` in it."""
SAMPLE_TODAY = date(2024, 9, 24)
"""The sample's current day: NOTEBOOK_PIPELINE_TODAY wherever outputs must not change with the date."""
WEEKS = ("202401", "202402", "202403")

_DAYS_OF_HISTORY = 400
_GSIS_NUMBERS = 10_000_000
_NO_GSIS_PERCENT = 3
_BOUNDARY_PERCENT = 5
_POSITION_PERCENT = {"QB": 11, "RB": 22, "WR": 35, "TE": 17, "K": 7, "DEF": 8}
_POSITIONS = tuple(_POSITION_PERCENT)
_MOVES = {"QB": "WR", "RB": "WR", "WR": "RB", "TE": "WR", "K": "K", "DEF": "DEF"}

_FIRST_HEAD = (
    "Bre Cal Dov Dé El Fen Gar Hal Is Jor Kel Lan Mar Né Or Per Quin Ras Ser Tav Ul Ves Wil Yan Zo Ö"
)
_FIRST_TAIL = "ric vun dan lor mas nek ris ton van wyn zel bert dric dé fen iel ko lias món ñan"
_LAST_PREFIX = ("",) * 17 + ("O'", "D'", "Mc")
_LAST_HEAD = (
    "Arn Bel Bram Cor Dren Esk Fal Grön Hask Ild Jarn Kest Lun Mør Nav Osk Pell Quar Rund Šar Tarn Ulv Vant "
    "Wex Yor Zell Brix Cald Dwer Frell"
)
_LAST_TAIL = (
    "aby ador elin emon engard eque erby estad iano içal ifort ighast inde ock olmé omar orenne oska owen "
    "und urst üller yard ynne"
)


def players(count: int = COUNT, seed: int = SEED) -> pa.Table:
    """Return `count` players in the source's schema, in order of id, as they were on BULK_DAY.

    A player depends only on the seed and the id: a larger count only adds players.
    """
    ids = _ids(count)
    position = _position(ids, seed)
    columns = [
        _integers(ids.astype(np.int64)),
        _gsis_id(ids, seed, position),
        _joined(
            _pick(ids, seed, "first head", _FIRST_HEAD.split()),
            _pick(ids, seed, "first tail", _FIRST_TAIL.split()),
        ),
        _last_name(ids, seed),
        _texts(_POSITIONS).take(_integers(position)),
        _days(BULK_DAY, _days_ago(ids, seed)),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def changed_players(count: int = COUNT, seed: int = SEED, *, changed: int = 320, new: int = 36) -> pa.Table:
    """Return the same players as they are on SAMPLE_TODAY: `changed` of them changed, `new` ones at the end.

    A change is a new position, a longer last name, a `gsis_id` that was missing, or only a newer day. A few
    changes have BULK_DAY itself: they were made after the extract, on the same day.
    """
    everyone = players(count + new, seed)
    ids = _ids(count + new)
    turned = _changed_mask(ids, seed, count, changed)
    fresh = ids >= FIRST_PLAYER_ID + count
    columns = {name: everyone[name].combine_chunks() for name in everyone.schema.names}
    columns |= _changes(columns, ids, seed, turned)
    newer = _days(SAMPLE_TODAY, _days_ago_since_bulk(ids, seed, fresh))
    columns["last_changed_date"] = pc.if_else(_mask(turned | fresh), newer, columns["last_changed_date"])
    return pa.Table.from_arrays(list(columns.values()), schema=SCHEMA)


def performances(player_ids: Sequence[int], seed: int = SEED) -> list[list[dict[str, object]]]:
    """Return for each player the weekly performances that the API nests in it: at most one per week."""
    ids = np.asarray(player_ids, dtype=np.uint64)
    weeks = _below(ids, seed, "weeks played", len(WEEKS) + 1)
    tenths = np.stack([_below(ids, seed, f"points {week}", 350) for week in WEEKS], axis=1)
    return [
        [_performance(player_id, week, int(tenths[row][week])) for week in range(weeks[row])]
        for row, player_id in enumerate(player_ids)
    ]


def _performance(player_id: int, week: int, tenths: int) -> dict[str, object]:
    return {
        "performance_id": player_id * 10 + week + 1,
        "week_number": WEEKS[week],
        "fantasy_points": tenths / 10,
        "last_changed_date": (BULK_DAY + timedelta(days=7 * (week + 1))).isoformat(),
    }


def _ids(count: int) -> np.ndarray:
    return np.arange(FIRST_PLAYER_ID, FIRST_PLAYER_ID + count, dtype=np.uint64)


def _bits(ids: np.ndarray, seed: int, purpose: str) -> np.ndarray:
    """Return 64 well-mixed bits for each id (splitmix64), independent for each purpose.

    The generators of numpy may give other numbers in another version; this arithmetic cannot.
    """
    start = hashlib.blake2b(f"{seed} {purpose}".encode(), digest_size=8).digest()
    mixed = ids * np.uint64(0x9E3779B97F4A7C15) + np.uint64(int.from_bytes(start, "little"))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _below(ids: np.ndarray, seed: int, purpose: str, limit: int) -> np.ndarray:
    return (_bits(ids, seed, purpose) % np.uint64(limit)).astype(np.int64)


# Arrow arrays are created from buffers: `pa.array` and `pa.scalar` import pandas, which would double the time
# that the sample API takes to start.


def _integers(numbers: np.ndarray) -> pa.Array:
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers)])


def _mask(mask: np.ndarray) -> pa.Array:
    return pa.Array.from_buffers(
        pa.bool_(), len(mask), [None, pa.py_buffer(np.packbits(mask, bitorder="little"))]
    )


def _texts(texts: Sequence[str]) -> pa.StringArray:
    encoded = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))


def _text(text: str) -> pa.Scalar:
    return _texts((text,))[0]


def _joined(*parts: pa.Array | pa.Scalar) -> pa.Array:
    return pc.binary_join_element_wise(*parts, _text(""))


def _pick(ids: np.ndarray, seed: int, purpose: str, choices: Sequence[str]) -> pa.Array:
    return _texts(choices).take(_integers(_below(ids, seed, purpose, len(choices))))


def _position(ids: np.ndarray, seed: int) -> np.ndarray:
    """Return the index of each player's position in _POSITIONS."""
    mix = np.repeat(np.arange(len(_POSITIONS)), list(_POSITION_PERCENT.values()))
    return mix[_below(ids, seed, "position", 100)]


def _gsis_id(ids: np.ndarray, seed: int, position: np.ndarray) -> pa.Array:
    unknown = _below(ids, seed, "gsis", 100) < _NO_GSIS_PERCENT
    without = unknown | (position == _POSITIONS.index("DEF"))
    return pc.if_else(_mask(without), pa.nulls(1, pa.string())[0], _gsis_number(ids))


def _gsis_number(ids: np.ndarray) -> pa.Array:
    """Return texts such as 00-0012345, unique among the first ten million players."""
    # 7654321 and ten million are coprime.
    numbers = (ids * np.uint64(7_654_321) % np.uint64(_GSIS_NUMBERS)).astype(np.int64)
    return _joined(_text("00-"), pc.utf8_lpad(_integers(numbers).cast(pa.string()), 7, "0"))


def _last_name(ids: np.ndarray, seed: int) -> pa.Array:
    return _joined(
        _pick(ids, seed, "last prefix", _LAST_PREFIX),
        _pick(ids, seed, "last head", _LAST_HEAD.split()),
        _pick(ids, seed, "last tail", _LAST_TAIL.split()),
    )


def _days(until: date, ago: np.ndarray) -> pa.Array:
    last = (until - date(1970, 1, 1)).days
    return _integers(last - ago).cast(pa.int32()).cast(pa.date32())


def _days_ago(ids: np.ndarray, seed: int) -> np.ndarray:
    """Return how many days before BULK_DAY each player last changed: mostly few (a product of two draws)."""
    first = _below(ids, seed, "age one", _DAYS_OF_HISTORY)
    return first * _below(ids, seed, "age two", _DAYS_OF_HISTORY) // _DAYS_OF_HISTORY


def _days_ago_since_bulk(ids: np.ndarray, seed: int, fresh: np.ndarray) -> np.ndarray:
    span = (SAMPLE_TODAY - BULK_DAY).days
    ago = 1 + _below(ids, seed, "change day", span - 1)
    on_bulk_day = (_below(ids, seed, "boundary", 100) < _BOUNDARY_PERCENT) & ~fresh
    return np.where(on_bulk_day, span, ago)


def _changed_mask(ids: np.ndarray, seed: int, count: int, changed: int) -> np.ndarray:
    mask = np.zeros(len(ids), dtype=bool)
    order = np.argsort(_bits(ids[:count], seed, "who changes"), kind="stable")
    mask[order[:changed]] = True
    return mask


def _changes(
    columns: dict[str, pa.Array], ids: np.ndarray, seed: int, turned: np.ndarray
) -> dict[str, pa.Array]:
    """Return the changed columns; each player of `turned` differs in at most one of them."""
    kind = np.where(turned, _below(ids, seed, "kind of change", 4), -1)
    position = _position(ids, seed)
    longer = _joined(columns["last_name"], _text("-"), _pick(ids, seed, "second", _LAST_HEAD.split()))
    moved = _texts([_MOVES[name] for name in _POSITIONS]).take(_integers(position))
    found = (kind == 2) & (position != _POSITIONS.index("DEF"))
    return {
        "gsis_id": pc.if_else(_mask(found), _gsis_number(ids), columns["gsis_id"]),
        "last_name": pc.if_else(_mask(kind == 0), longer, columns["last_name"]),
        "position": pc.if_else(_mask(kind == 1), moved, columns["position"]),
    }
