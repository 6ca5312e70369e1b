"""The benchmark's own parts: what it measures, how it compares, how it keeps its page."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from benchmarks import measure
from benchmarks.measure import Measured
from benchmarks.race import Result, environment
from benchmarks.report import Goal, Section, write

MEGABYTE = 2**20
GRANDCHILD = "held = b'x' * (60 << 20); print('ready', flush=True); input()"
# Ends when it was looked at while everything was there: what is sampled does not hang on who is faster.
CHILD = f"""
import os, pathlib, subprocess, sys, time
held = b'x' * (60 << 20)
inner = subprocess.Popen([sys.executable, "-c", {GRANDCHILD!r}], stdin=-1, stdout=-1)
inner.stdout.readline()
began = time.process_time()
while time.process_time() - began < 0.5:
    pass
pathlib.Path(f"held-{{os.getpid()}}").touch()
while not pathlib.Path("seen").exists():
    time.sleep(0.01)
inner.communicate(b"\\n")
print('{{"step": 1.5}}')
"""

SHORT_LIVED = """
import resource, subprocess, sys
for _ in range(10):
    subprocess.run([sys.executable, "-c", "pass"], check=True)
spent = resource.getrusage(resource.RUSAGE_CHILDREN)
print('{"spent": %f}' % (spent.ru_utime + spent.ru_stime))
"""


Run = Callable[..., Measured]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what measures commands, and has them see when a sample was taken while all of them held all."""
    tree = measure._tree

    def run(*commands: str) -> Measured:
        def watched(roots: Sequence[int]) -> Iterator[psutil.Process]:
            all_hold = len(list(tmp_path.glob("held-*"))) == len(commands)
            yield from tree(roots)
            if all_hold:
                (tmp_path / "seen").touch()

        monkeypatch.setattr(measure, "_tree", watched)
        programs = [[sys.executable, "-c", command] for command in commands]
        return measure.measure_together(programs, environment=environment(Path("/nowhere")), folder=tmp_path)

    return run


def test_a_command_is_measured_with_its_descendants(run: Run):
    measured = run(CHILD)

    assert measured.steps == {"step": 1.5}
    assert measured.cpu_seconds >= 0.5
    assert measured.seconds >= 0.5
    assert 120 * MEGABYTE < measured.peak_bytes < 400 * MEGABYTE


def test_the_time_of_descendants_counts_however_short_they_live(run: Run):
    measured = run(SHORT_LIVED)

    assert measured.cpu_seconds > measured.steps["spent"]


def test_commands_that_run_at_once_are_measured_together(run: Run):
    measured = run(CHILD, CHILD)

    assert measured.cpu_seconds >= 1.0
    assert measured.peak_bytes > 240 * MEGABYTE


def test_a_command_that_fails_ends_the_benchmark_in_its_own_words(run: Run):
    with pytest.raises(SystemExit, match=r"(?s)exited with 3.*no such table"):
        run("import sys; print('no such table', file=sys.stderr); sys.exit(3)")


def test_ratios_are_taken_within_each_turn():
    mine = Result("mine", [Measured(seconds, 0, 0, {"step": 1.0}) for seconds in (1.0, 20.0, 3.0)])
    theirs = Result("theirs", [Measured(seconds, 0, 0, {"step": 4.0}) for seconds in (2.0, 40.0, 3.0)])

    assert mine.over(theirs) == 0.5
    assert mine.over(theirs, step="step") == 0.25
    assert mine.seconds == 3.0


@pytest.mark.parametrize(
    ("goal", "row"),
    [
        (Goal("time", 1.2, 1.25), ["time", "≤ 1.25 ×", "1.20 ×", "yes"]),
        (Goal("time", 1.3, 1.25), ["time", "≤ 1.25 ×", "1.30 ×", "**no**"]),
        (Goal("speed", 4, 3, at_least=True), ["speed", "≥ 3.00 ×", "4.00 ×", "yes"]),
        (Goal("memory", 812.4, 700, "MB"), ["memory", "≤ 700 MB", "812 MB", "**no**"]),
    ],
)
def test_a_goal_stands_beside_its_figure(goal: Goal, row: list[str]):
    assert goal.row == row


def test_a_section_takes_the_place_of_its_earlier_self_and_leaves_the_others(tmp_path: Path):
    page = tmp_path / "benchmarks.md"
    write([Section("One", "first words"), Section("Two", "other words")], page)
    write([Section("One", "new words", [Goal("time", 1, 2)])], page)

    text = page.read_text()
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# Benchmarks",
        "## One",
        "## Two",
    ]
    assert "first words" not in text
    assert text.index("new words") < text.index("| time |") < text.index("other words")


def test_measuring_calls_nobody_and_knows_no_connection_of_the_caller(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DATABASE", "sqlite:///real.db")
    monkeypatch.setenv("NOTEBOOK_PIPELINE_HOME", "/elsewhere")

    variables = environment(Path("/nowhere"))

    assert variables["RUNTIME__DLTHUB_TELEMETRY"] == "false"
    assert variables["NOTEBOOK_PIPELINE_OUTPUT"] == "/nowhere"
    assert not {"AIRFLOW_CONN_ANALYTICS_DATABASE", "NOTEBOOK_PIPELINE_HOME"} & variables.keys()
