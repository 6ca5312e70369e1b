"""Programs that were started are gone at the end, with all that they started."""

import subprocess
import sys
from pathlib import Path

import pytest
import waiting

from sample import child_processes

STUBBORN = """
import pathlib, signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1]).touch()
grandchild.wait()
"""
POLITE = """
import pathlib, sys, time
try:
    pathlib.Path(sys.argv[1]).touch()
    time.sleep(600)
except KeyboardInterrupt:
    pathlib.Path(sys.argv[1]).write_text("cleared up")
"""


def test_a_program_may_clear_up(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with child_processes.child([sys.executable, "-c", POLITE, str(mark)]) as process:
        waiting.until_there(mark)
    assert process.returncode == 0
    assert mark.read_text() == "cleared up"


def test_a_program_may_clear_up_although_its_starter_is_deaf(tmp_path: Path) -> None:
    """A shell's background jobs ignore interrupts, and so does what they start."""
    mark = tmp_path / "mark"
    script = (
        "import pathlib, signal, sys; sys.path.insert(0, sys.argv[2]); import waiting\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from sample import child_processes\n"
        f"with child_processes.child([sys.executable, '-c', {POLITE!r}, sys.argv[1]]):\n"
        "    waiting.until_there(pathlib.Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", script, str(mark), str(Path(__file__).parent)], check=True)
    assert mark.read_text() == "cleared up"


def test_one_that_does_not_end_is_killed_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_processes, "GRACE_SECONDS", 0.2)
    mark = tmp_path / "mark"
    with child_processes.child([sys.executable, "-c", STUBBORN, str(mark)]) as process:
        waiting.until_there(mark)
        processes = waiting.family(process.pid)
    assert len(processes) == 2
    assert waiting.left_of(processes) == []


def test_a_terminated_program_clears_up(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    script = (
        "from sample import child_processes; import sys\n"
        "child_processes.end_on_signals()\n"
        f"with child_processes.child([sys.executable, '-c', {POLITE!r}, sys.argv[1]]) as process:\n"
        "    process.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(mark)]) as program:
        waiting.until_there(mark)
        processes = waiting.family(program.pid)
        program.terminate()
        assert program.wait() == 128 + 15
    assert waiting.left_of(processes) == []
    assert mark.read_text() == "cleared up"
