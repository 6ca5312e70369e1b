"""Run a kernel as the child of a process that ends it when its runner is gone.

Usage: `python -m notebook_pipeline.running.kernel_supervisor SCRATCH own MODULE[,MODULE]… ARGUMENT…` for this
interpreter's own kernel, which imports the modules while the runner is still starting, so that cells need not
wait for them; `… SCRATCH installed COMMAND…` for the kernel of another interpreter or language.

Standard input is a pipe whose other end only the runner has open. When the runner ends, for whatever reason,
the pipe is closed; then the kernel and everything it started are killed, and its scratch folder is removed.
A thread in the kernel could not do this: it does not run while a library holds the interpreter lock.
"""

import sys
from pathlib import Path

# As in Jupyter's own launcher: a file beside the notebooks must not shadow a module.
if sys.path[0] == "" or Path(sys.path[0]) == Path.cwd():
    del sys.path[0]

import ctypes
import os
import resource
import shutil
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from notebook_pipeline.running import preload
from notebook_pipeline.running.leftover_processes import end_leftovers
from notebook_pipeline.running.mime_types import RUN_ID

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Start the kernel, wait for it, and exit as it exits."""
    scratch, which = sys.argv.pop(1), sys.argv.pop(1)
    supervisor = os.getpid()
    kernel = os.fork()
    if kernel == 0:
        _end_with_parent(supervisor)
        if which == "installed":
            _exec_installed(sys.argv[1:])
        _run_own_kernel(sys.argv.pop(1).split(","))
        return
    # Signals reach the whole group; only the kernel handles them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    orphaned = threading.Event()
    threading.Thread(target=_end_with_runner, args=(kernel, scratch, orphaned), daemon=True).start()
    _, status = os.waitpid(kernel, 0)
    if orphaned.is_set():
        # The other thread is cleaning up, and then kills the whole group, including this process.
        signal.pause()
    _end_as(os.waitstatus_to_exitcode(status))


def _end_with_parent(supervisor: int) -> None:
    """Have the system kill this process when its parent ends; exit if it has ended already.

    Jupyter's own check starts late, and never fires if orphans get another parent than process 1.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        sys.exit(1)


def _exec_installed(command: list[str]) -> NoReturn:
    _close_input()
    os.environ["JPY_PARENT_PID"] = str(os.getppid())
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


def _close_input() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _run_own_kernel(modules: Sequence[str]) -> None:
    _close_input()
    # Jupyter's own check, here of the supervisor: the only one on systems other than Linux.
    os.environ["JPY_PARENT_PID"] = str(os.getppid())
    preload.load(modules)

    from notebook_pipeline.running.kernel_app import NumberedKernelApp

    NumberedKernelApp.launch_instance()
    # It flushes through the publishing thread; Jupyter would end that one first and then wait for ever.
    control = NumberedKernelApp.instance().control_thread
    control.stop()
    control.join()


def _end_with_runner(kernel: int, scratch: str, orphaned: threading.Event) -> None:
    while os.read(0, 1):
        pass
    orphaned.set()
    with suppress(ProcessLookupError):  # it has just ended
        os.kill(kernel, signal.SIGKILL)
    end_leftovers(os.environ.get(RUN_ID, ""))
    shutil.rmtree(scratch, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def _end_as(code: int) -> None:
    """Exit with the kernel's exit code, or by the signal that killed it."""
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(OSError):
            # SIGKILL has no handler to reset.
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    main()
