"""Measure commands as whole process trees: wall time, CPU time, peak memory.

CPU time is what the kernel accounts to a command and to every descendant that was waited for; if some were
not, because they were killed, it is the sum of the last samples of each process. Memory is sampled: the
proportional set size (PSS), in which a page shared by several processes counts once, summed over the command
and all its descendants. On a system without PSS it is the resident set size.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import psutil

SECONDS_BETWEEN_SAMPLES = 0.05
# Sampling takes time, too: at most this share of one core.
SAMPLING_SHARE = 0.1
_SHOWN = 4000


@dataclass(frozen=True)
class Measured:
    """The cost of one run; `steps` is what the program itself measured and printed as its last line."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    steps: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class _Started:
    process: subprocess.Popen
    output: BinaryIO
    errors: BinaryIO


def measure(command: Sequence[str | Path], *, environment: Mapping[str, str], folder: Path) -> Measured:
    """Run one command to its end and measure it; a command that fails ends the benchmark."""
    return measure_together([command], environment=environment, folder=folder)


def measure_together(
    commands: Sequence[Sequence[str | Path]], *, environment: Mapping[str, str], folder: Path
) -> Measured:
    """Start commands at the same time and measure them together, until the last one has ended."""
    os.sync()  # so that this run does not pay for what an earlier one left to be written to disk
    began = time.perf_counter()
    started = [_start(command, environment, folder) for command in commands]
    with _Sampler([each.process.pid for each in started]) as sampler:
        cpu_seconds = sum(_wait(each.process) for each in started)
        seconds = time.perf_counter() - began
    outputs = [_outcome(each) for each in started]
    cpu_seconds = max(cpu_seconds, sum(sampler.cpu_seconds.values()))
    return Measured(seconds, cpu_seconds, sampler.peak_bytes, _last_object(outputs[0]))


def memory_kind() -> str:
    """Return the kind of memory that is measured on this system: PSS or RSS."""
    return "PSS" if hasattr(psutil.Process().memory_full_info(), "pss") else "RSS"


class _Sampler(threading.Thread):
    """A thread that samples process trees during a `with` block."""

    def __init__(self, roots: Sequence[int]) -> None:
        super().__init__(name="memory", daemon=True)
        self.peak_bytes = 0
        self.cpu_seconds: dict[int, float] = {}
        self._roots = roots
        self._is_over = threading.Event()

    def __enter__(self) -> "_Sampler":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self.join()

    def run(self) -> None:
        """Sample until told to stop."""
        pause = 0.0
        while not self._is_over.wait(pause):
            began = time.perf_counter()
            self.peak_bytes = max(self.peak_bytes, sum(map(self._look, _tree(self._roots))))
            took = time.perf_counter() - began
            pause = max(SECONDS_BETWEEN_SAMPLES, took / SAMPLING_SHARE)

    def _look(self, process: psutil.Process) -> int:
        """Return the memory of a process, and note its CPU time."""
        try:
            spent, found = process.cpu_times(), process.memory_full_info()
        except psutil.Error:
            return 0  # the process has ended
        self.cpu_seconds[process.pid] = spent.user + spent.system
        return getattr(found, "pss", found.rss)


def _tree(roots: Sequence[int]) -> Iterator[psutil.Process]:
    for root in roots:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(root)
            yield from [process, *process.children(recursive=True)]


def _start(command: Sequence[str | Path], environment: Mapping[str, str], folder: Path) -> _Started:
    output, errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115  (see _outcome)
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environment, cwd=folder
    )
    return _Started(process, output, errors)


def _wait(process: subprocess.Popen) -> float:
    """Wait for a process; return its CPU seconds, including those of the children it waited for."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def _outcome(started: _Started) -> str:
    with started.output, started.errors:
        output, errors = _text(started.output), _text(started.errors)
    if started.process.returncode:
        command = " ".join(map(str, started.process.args))  # type: ignore[arg-type]
        sys.exit(
            f"{command}: exited with {started.process.returncode}; the measurement is invalid\n"
            f"{output[-_SHOWN:]}{errors[-_SHOWN:]}"
        )
    return output


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _last_object(output: str) -> Mapping[str, Any]:
    with suppress(ValueError, IndexError):
        found = json.loads(output.strip().splitlines()[-1])
        return found if isinstance(found, dict) else {}
    return {}
