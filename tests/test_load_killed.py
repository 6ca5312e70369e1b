"""A load that is killed at any moment leaves nothing half done, and the next makes it good."""

import mmap
import multiprocessing
import os
import random
import signal
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import databases
import loads
import psutil
import pytest
import waiting
from seeds import fresh

from notebook_pipeline.contract.check_batch import Checked
from notebook_pipeline.steps.load_transaction import transaction
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.run_locks import is_held

pytestmark = pytest.mark.usefixtures("each_database")

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["notebook_pipeline.steps.load_transaction"])

BATCHES, ROWS = 12, 2_000
DAYS = [f"2024-01-{day:02}" for day in range(1, 11)]


class Phase(IntEnum):
    """How far a load is, in the order in which it comes to it."""

    STARTING = 0
    OPEN = 1
    COMMITTING = 2
    COMMITTED = 3
    FINISHED = 4


Moment = tuple[Phase, int]
"""A phase, and how many batches are merged."""
MOMENTS: list[Moment] = [
    *((Phase.OPEN, batches) for batches in range(BATCHES)),
    (Phase.COMMITTING, BATCHES),
    (Phase.COMMITTED, BATCHES),
    (Phase.FINISHED, BATCHES),
]


@dataclass
class Told:
    """Share a load's phase, and how many batches it has merged, with whoever is going to kill it.

    A load that has told `last` works on to where it would tell more, and waits there: how far it is when it
    is killed does not hang on who is faster.
    """

    file: Path
    last: Moment = (Phase.FINISHED, BATCHES)

    def __post_init__(self) -> None:
        if not self.file.exists():
            self.file.write_bytes(bytes(8))
        with self.file.open("r+b") as opened:
            self._memory = mmap.mmap(opened.fileno(), 8)

    def tell(self, phase: Phase, batches: int) -> None:
        if self.read() >= self.last:
            signal.pause()
        struct.pack_into("ii", self._memory, 0, phase, batches)

    def read(self) -> Moment:
        phase, batches = struct.unpack_from("ii", self._memory)
        return Phase(phase), batches


def file_of(seed: int) -> Iterator[Checked]:
    """Yield a bulk file: first in order of its keys, then in none, with repeated keys and rejected rows."""
    dice = random.Random(seed)  # noqa: S311
    for number in range(BATCHES):
        keys = range(number * ROWS, (number + 1) * ROWS)
        if number % 3 == 2:
            keys = [dice.randrange(BATCHES * ROWS) for _ in keys]
        rows = [(key, dice.choice("abc"), dice.choice(DAYS)) for key in keys]
        yield loads.checked(rows, [loads.rejected(rows[0], position=f"f.csv:{number}")])


def update_of(seed: int) -> Iterator[Checked]:
    """Yield what an API changed in a third of the rows."""
    dice = random.Random(seed)  # noqa: S311
    keys = sorted(dice.sample(range(BATCHES * ROWS), BATCHES * ROWS // 3))
    yield loads.checked([(key, dice.choice("abc"), dice.choice(DAYS)) for key in keys])


def load_file(folder: Path, seed: int, told: Told | None = None) -> None:
    """Load the file as a runner and its notebook do, telling how far it is."""
    tell = told.tell if told else lambda phase, batches: None
    merged = 0

    def count(rows: int, share: float | None) -> None:
        nonlocal merged
        merged += 1
        tell(Phase.OPEN, merged)

    with loads.open_database(folder) as database:
        ledger.settle_lost(database, folder)
        session, lock = loads.start(database, folder=folder)
        with transaction(session, loads.BULK, loads.ANY_NUMBER) as merge:
            tell(Phase.OPEN, 0)
            merge.merge(file_of(seed), count)
            merge.verify()
            tell(Phase.COMMITTING, merged)
        tell(Phase.COMMITTED, merged)
        ledger.finish_run(database, session.run_id, "success")
        assert lock
        lock.release()
        tell(Phase.FINISHED, merged)


def state(database: Database) -> dict[str, list[tuple]]:
    """Return what must be the same however often a load was killed."""
    return {
        "player": database.execute(
            "SELECT player_id, last_name, last_changed_date, _source FROM player ORDER BY 1"
        ),
        "watermark": database.execute("SELECT dataset, source, value FROM watermark ORDER BY 1, 2"),
    }


@dataclass
class Scene:
    """Hold a database before a load, and what it is before and after a load that nobody disturbs."""

    folder: Path
    before: dict[str, list[tuple]]
    after: dict[str, list[tuple]]
    seed: int


def prepared(folder: Path, seed: int, *, has_rows: bool) -> Scene:
    with loads.open_database(folder / "before") as database:
        if has_rows:
            loads.run(database, loads.BULK, *file_of(seed + 1))
            loads.run(database, loads.API, *update_of(seed + 2))
        before = state(database)
    databases.copy(folder / "before", folder / "after")
    load_file(folder / "after", seed)
    with loads.open_database(folder / "after") as database:
        after = state(database)
    assert before["player"] != after["player"]
    return Scene(folder / "before", before, after, seed)


def kill(scene: Scene, folder: Path, dice: random.Random, moment: Moment) -> None:
    """Kill a load at work after a moment, look at what it left, load again, and hold all to undisturbed."""
    databases.copy(scene.folder, folder)
    told, (phase, _) = Told(folder / "told"), moment
    process = FORKED.Process(target=_load_in_process, args=(folder, scene.seed, moment), daemon=True)
    process.start()
    waiting.until(lambda: told.read() >= moment, pause=0.0005)
    _dawdle(dice)
    _kill(process.pid or 0, told, folder)
    process.join()
    assert told.read() == moment
    with loads.open_database(folder) as database:
        waiting.until(lambda: not databases.others(database))
        assert databases.is_sound(database)
        found = state(database)
        if phase <= Phase.OPEN:
            assert found == scene.before
        elif phase == Phase.COMMITTING:
            assert found in (scene.before, scene.after)
        else:
            assert found == scene.after
    load_file(folder, scene.seed)
    _hold_to_undisturbed(scene, folder, phase)


def _hold_to_undisturbed(scene: Scene, folder: Path, phase: Phase) -> None:
    with loads.open_database(folder) as database:
        assert state(database) == scene.after
        last_two = database.execute("SELECT status, error FROM pipeline_run ORDER BY run_id DESC LIMIT 2")
        first = ("success", None) if phase == Phase.FINISHED else ("failed", "process lost")
        assert last_two[0] == ("success", None)
        # It may have closed its row and been killed before it could say so, or give up its lock.
        is_closed = phase == Phase.COMMITTED and last_two[1] == ("success", None)
        assert is_closed or last_two[1] == first
        unsound = database.execute(
            "SELECT run_id FROM pipeline_run WHERE committed_at IS NOT NULL AND rows_read <> "
            "rows_inserted + rows_updated + rows_unchanged + rows_stale + rows_rejected"
        )
        assert unsound == []
    locks = list(folder.rglob("*.lock"))
    assert len(locks) <= is_closed  # which `prune` sweeps
    assert not any(is_held(lock) for lock in locks)


def _load_in_process(folder: Path, seed: int, last: Moment) -> None:
    load_file(folder, seed, Told(folder / "told", last))


def _dawdle(dice: random.Random) -> None:
    """Let some moments pass, so that the kill does not always come right after a batch."""
    for _ in range(dice.randrange(20_000)):
        os.getpid()


def _kill(pid: int, told: Told, folder: Path) -> None:
    """Stop the process, see that nobody else can write where it has not committed, and kill it."""
    try:
        process = psutil.Process(pid)
        process.suspend()
        waiting.until(lambda: process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE))
    except psutil.NoSuchProcess:  # it was done already
        return
    if told.read()[0] == Phase.OPEN:
        with loads.open_at_once(folder) as database:
            assert loads.is_locked(database)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def kill_often(tmp_path: Path, seed: int, moments: Sequence[Moment], *, has_rows: bool) -> None:
    scene = prepared(tmp_path, seed, has_rows=has_rows)
    dice = random.Random(seed)  # noqa: S311
    for number, moment in enumerate(moments):
        kill(scene, tmp_path / str(number), dice, moment)


SCENES = pytest.mark.parametrize("has_rows", [False, True], ids=["first load", "load over rows of the API"])


@SCENES
def test_a_killed_load_is_made_good_by_the_next(tmp_path: Path, has_rows: bool) -> None:
    kill_often(tmp_path, 7, [MOMENTS[0], MOMENTS[7], *MOMENTS[BATCHES:-1]], has_rows=has_rows)


@pytest.mark.soak
@pytest.mark.parametrize("seed", fresh(1))
@SCENES
def test_loads_killed_three_times_at_each_moment_are_made_good_by_the_next(
    tmp_path: Path, has_rows: bool, seed: int
) -> None:
    kill_often(tmp_path, seed, MOMENTS * 3, has_rows=has_rows)
