"""Run a kernel beneath a process that watches its runner.

Usage: `python -m notebook_pipeline.running.kernel_supervisor SCRATCH own MODULE[,MODULE]… ARGUMENT…` for this
interpreter's own kernel, which loads the modules while the runner still gets ready, so that the cells that
import them need not wait; `… SCRATCH installed COMMAND…` for the kernel of another interpreter or language.

Standard input is a pipe whose other end the runner alone holds. When the runner is gone, however it went,
the pipe ends; then the kernel, whatever it started and its scratch folder go at once. A thread in the kernel
could not do it: it does not run while the kernel is busy in a library that keeps the interpreter's lock.
"""

import sys
from pathlib import Path

# As Jupyter's own launcher does: a file beside the notebooks must not stand in for a module.
if sys.path[0] == "" or Path(sys.path[0]) == Path.cwd():
    del sys.path[0]

import ctypes
import gc
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
from notebook_pipeline.running.process_exit import QuickEnd

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Start the kernel, watch over it, and end as it ends."""
    scratch, which = sys.argv.pop(1), sys.argv.pop(1)
    watch = os.getpid()
    kernel = os.fork()
    if kernel == 0:
        _end_with(watch)
        if which == "installed":
            _become(sys.argv[1:])
        _become_kernel(sys.argv.pop(1).split(","))
        return
    # Signals go to the whole group and are meant for the kernel.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    alone = threading.Event()
    threading.Thread(target=_end_with_runner, args=(kernel, scratch, alone), daemon=True).start()
    _, status = os.waitpid(kernel, 0)
    if alone.is_set():
        # The other thread ends everything, this process too, when it has cleaned up.
        signal.pause()
    _end_as(os.waitstatus_to_exitcode(status))


def _end_with(watch: int) -> None:
    """Let the system end this process with the one that forked it, which may be gone already.

    Jupyter's own watch begins late, and waits for ever where orphans get another parent than process 1.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != watch:
        os._exit(1)


def _become(command: list[str]) -> NoReturn:
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


def _become_kernel(modules: Sequence[str]) -> None:
    # IPython lets go of what the cells made; of circles, too, what was left open is then closed.
    ending = QuickEnd(gc.collect)
    _close_input()
    # Jupyter's own watch, now over the process between: elsewhere than on Linux there is no other.
    os.environ["JPY_PARENT_PID"] = str(os.getppid())
    preload.load(modules)
    # No debugger is attached here, so that the kernel need not load one.
    with preload.without(["debugpy"]):
        from ipykernel import debugger  # noqa: F401

    from notebook_pipeline.running.kernel_app import NumberedKernelApp

    # Nothing of this becomes garbage, so nobody need look through it again.
    gc.freeze()
    NumberedKernelApp.launch_instance()
    # It flushes once more through the thread that publishes, which Jupyter would end first, to wait for ever.
    control = NumberedKernelApp.instance().control_thread
    control.stop()
    control.join()
    ending.code = 0


def _end_with_runner(kernel: int, scratch: str, alone: threading.Event) -> None:
    while os.read(0, 1):
        pass
    alone.set()
    with suppress(ProcessLookupError):  # it has ended at this moment
        os.kill(kernel, signal.SIGKILL)
    end_leftovers(os.environ.get(RUN_ID, ""))
    shutil.rmtree(scratch, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def _end_as(code: int) -> None:
    """Exit with the kernel's own code, or by the signal that ended it."""
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(OSError):
            # SIGKILL needs no handler and takes none.
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main()
