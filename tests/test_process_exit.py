"""A process ends quickly, and yet with everything said that was to be said."""

import subprocess
import sys


def ended(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_what_happens_at_an_exit_happens_first_and_nothing_is_taken_apart() -> None:
    process = ended("""
import atexit, sys
from notebook_pipeline.running.process_exit import QuickEnd
class Owner:
    def __del__(self): print("taken apart")
ending = QuickEnd()
atexit.register(print, "at exit")
owner = Owner()
print("done")
ending.code = 3
sys.exit(1)
""")
    assert (process.returncode, process.stdout.split("\n")) == (3, ["done", "at exit", ""])


def test_without_a_code_a_process_ends_as_ever() -> None:
    process = ended("""
from notebook_pipeline.running.process_exit import QuickEnd
ending = QuickEnd()
raise SystemExit("no")
""")
    assert (process.returncode, process.stdout, process.stderr) == (1, "", "no\n")
