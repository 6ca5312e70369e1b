"""Know kernels: start one with this very interpreter, hand it what it needs, leave nothing of it behind."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_core.utils import ensure_event_loop, run_sync

from notebook_pipeline import settings
from notebook_pipeline.connections import Connection, variable
from notebook_pipeline.running.leftover_processes import end_leftovers
from notebook_pipeline.running.message_numbers import NumberedKernelClient
from notebook_pipeline.running.mime_types import RUN_ID
from notebook_pipeline.running.scratch import Scratch
from notebook_pipeline.secrets.kernel_environment import inherited

SHUTDOWN_SECONDS = 60.0
# After so long, whoever watches is told what is waited for.
_PATIENT_SECONDS = 5.0

# What goes wrong is told by the run itself, in its own words; Jupyter would tell it again.
log = logging.getLogger("notebook_pipeline.running.kernel")
log.addHandler(logging.NullHandler())
log.propagate = False


def environment(connections: Iterable[Connection], run_id: str) -> dict[str, str]:
    """Return what a kernel gets to see: this environment without Airflow or secrets, and the run's part."""
    return (
        inherited()
        | {variable(connection.conn_id): connection.to_json() for connection in connections}
        | {
            "NOTEBOOK_PIPELINE_HOME": str(settings.home()),
            "NOTEBOOK_PIPELINE_OUTPUT": settings.output_url() or str(settings.output()),
            RUN_ID: run_id,
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        }
    )


class Kernel:
    """Hold one kernel and its files; as a context manager, end it without a trace.

    It runs in a process group of its own and speaks over sockets in a folder for its owner alone, so that
    kernels neither collide over ports nor hear each other. `spec` names another kernel than this
    interpreter's own, which loads `modules` before it is ready.
    """

    def __init__(
        self,
        *,
        environment: dict[str, str],
        folder: Path,
        modules: Iterable[str] = (),
        spec: KernelSpec | None = None,
    ) -> None:
        self._scratch = Scratch()
        scratch = self._scratch.path
        self._log = scratch / "log"
        self._read, self._lifeline = os.pipe()
        self._group: int | None = None
        self.manager = _Manager(
            transport="ipc", connection_file=str(scratch / "k.json"), autorestart=False, log=log
        )
        self.manager.client_factory = NumberedKernelClient
        self.is_own = spec is None
        what = spec.argv if spec else [",".join(modules), *_ARGUMENTS]
        command = [sys.executable, "-m", "notebook_pipeline.running.kernel_supervisor", str(scratch)]
        self.manager.spec = KernelSpec(
            argv=[*command, "own" if self.is_own else "installed", *what],
            display_name=spec.display_name if spec else "Python 3",
            language=spec.language if spec else "python",
            env=spec.env if spec else {},
            resource_dir=spec.resource_dir if spec else "",
        )
        # Given here, Jupyter need not search every installed package for another kind of provisioner.
        self._provisioner = LocalProvisioner(
            kernel_id=scratch.name, kernel_spec=self.manager.spec, parent=self.manager
        )
        self.manager.provisioner = self._provisioner
        self._environment = environment | {"IPYTHONDIR": str(scratch / "ipython")}
        self._folder = folder

    def __enter__(self) -> "Kernel":
        """Start the process; it becomes ready while the caller does something else."""
        try:
            with self._log.open("wb") as output:
                streams = {"stdin": self._read, "stdout": output, "stderr": output}
                start = run_sync(self.manager.start_kernel)
                start(**streams, cwd=str(self._folder), env=self._environment)
            self._group = self._provisioner.pgid
        except BaseException:
            self._clean()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error:
            # It may be busy, and would not hear a request to end.
            self.kill()
        self.close()

    def kill(self) -> None:
        """End the kernel and whatever it started at once, from any thread or signal handler."""
        if self._group:
            with suppress(ProcessLookupError):
                os.killpg(self._group, signal.SIGKILL)

    def close(
        self, seconds: float = SHUTDOWN_SECONDS, say: Callable[[str], object] = lambda line: None
    ) -> bool:
        """Ask the kernel to end, wait for its threads and exit handlers, then end it and all it started.

        Returns False if it had not ended by itself after so many seconds. Closing twice does nothing.
        """
        if self._group is None:
            return True
        process = self._process
        ended = True
        if process and process.poll() is None:
            run_sync(self.manager.request_shutdown)()
            ended = _has_ended(process, min(seconds, _PATIENT_SECONDS))
            if not ended:
                say(f"waiting up to {seconds:g} s for threads and exit handlers of the notebook")
                ended = _has_ended(process, seconds - _PATIENT_SECONDS)
        self.kill()
        if process:
            process.wait()
        self._group = None
        left = end_leftovers(self._environment.get(RUN_ID, ""))
        if left:
            say(f"ended processes that the notebook had left running: {', '.join(left)}")
        self._clean()
        return ended

    def cause_of_death(self) -> str:
        """Say how the process ended, with the last of what it said outside of any cell."""
        process = self._process
        code = process.poll() if process else None
        if code is None:
            return "the kernel does not answer"
        return f"the kernel died: {_exit_in_words(code)}{self._last_words()}"

    @property
    def _process(self) -> subprocess.Popen[bytes] | None:
        return self._provisioner.process

    def _last_words(self) -> str:
        with suppress(OSError):
            lines = self._log.read_text(errors="replace").strip().splitlines()[-5:]
            if lines:
                return "; it said: " + " / ".join(lines)
        return ""

    def _clean(self) -> None:
        self._provisioner.process = None
        run_sync(self.manager.cleanup_resources)()
        for end in (self._read, self._lifeline):
            os.close(end)
        self._scratch.remove()
        _close_event_loop()


def _has_ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    with suppress(subprocess.TimeoutExpired):
        process.wait(max(seconds, 0))
        return True
    return False


def _close_event_loop() -> None:
    """Close this thread's loop, and first cancel what still listens to a kernel that is gone."""
    loop = ensure_event_loop()
    listening = asyncio.all_tasks(loop)
    for task in listening:
        task.cancel()
    if listening:
        loop.run_until_complete(asyncio.wait(listening))
    loop.close()


_ARGUMENTS = (
    *("-f", "{connection_file}"),
    "--HistoryManager.hist_file=:memory:",
)


class _Manager(AsyncKernelManager):
    """Start our own command; a kernelspec that somebody installed as `python3` has no say here."""

    spec: Any = None

    @property
    def kernel_spec(self) -> KernelSpec | None:
        return self.spec


def _exit_in_words(code: int) -> str:
    if code == -signal.SIGKILL:
        return "killed by SIGKILL, as the system does when memory runs out"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exited with code {code}"
