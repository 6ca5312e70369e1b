"""A notebook runs on the kernel that it asks for, or is refused before anything starts."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
from executed import row_of

from notebook_pipeline.errors import UsageError
from notebook_pipeline.running.run_notebook import run_notebook

# A kernel of a language that Python's tools know nothing of: it answers with what it was asked, in capitals.
SHOUT = """
import os
from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel


class Shout(Kernel):
    implementation = banner = "shout"
    implementation_version = "1"
    language_info = {"name": "R", "mimetype": "text/plain", "file_extension": ".R"}

    def do_execute(self, code, silent, store_history=True, user_expressions=None, allow_stdin=False):
        if code.startswith("die"):
            os._exit(3)
        text = code.upper() + os.environ["SHOUT_MARK"]
        self.send_response(self.iopub_socket, "stream", {"name": "stdout", "text": text})
        counted = {"execution_count": self.execution_count}
        if code.startswith("fail"):
            error = {"ename": "Failed", "evalue": code, "traceback": [code]}
            self.send_response(self.iopub_socket, "error", error)
            return {"status": "error", **counted, **error}
        return {"status": "ok", **counted, "payload": [], "user_expressions": {}}


IPKernelApp.launch_instance(kernel_class=Shout)
"""


@pytest.fixture
def installed(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a kernel `shout` of the language R."""
    (home / "shout.py").write_text(SHOUT)
    spec = home / "jupyter/kernels/shout/kernel.json"
    spec.parent.mkdir(parents=True)
    argv = ["env", sys.executable, str(home / "shout.py"), "-f", "{connection_file}"]
    about = {"argv": argv, "display_name": "Shout", "language": "R", "env": {"SHOUT_MARK": "!"}}
    spec.write_text(json.dumps(about))
    monkeypatch.setenv("JUPYTER_PATH", str(home / "jupyter"))
    return home


def write(home: Path, kernel: dict[str, str], *cells: Any) -> None:
    path = tiny.write(home / "notebooks/n.ipynb", *cells)
    notebook = json.loads(path.read_text())
    notebook["metadata"] = {"kernelspec": kernel}
    path.write_text(json.dumps(notebook))


def executed(address: str) -> dict[str, Any]:
    return json.loads(Path(address).read_text())


R = {"name": "shout", "language": "R", "display_name": "Shout"}


def test_an_installed_kernel_of_another_language_is_used(installed: Path) -> None:
    write(installed, R, tiny.parameters("a = 1"), "hello")
    finished = run_notebook("n", {"a": 2})
    notebook = executed(finished.address)
    printed = ["".join(cell["outputs"][0]["text"]) for cell in notebook["cells"]]
    assert printed == ["A = 1!", "# PARAMETERS\nA = 2\n!", "HELLO!"]
    assert (finished.status, notebook["metadata"]["language_info"]["name"]) == ("success", "R")
    assert notebook["metadata"]["kernelspec"] == R
    assert json.loads(row_of(finished.run_id)["parameters"]) == {"a": 2}


@pytest.mark.parametrize(
    ("cell", "error"), [("fail now", "Failed: fail now"), ("die", "the kernel died: exited with code 3")]
)
def test_a_failure_in_another_language_is_told(installed: Path, cell: str, error: str) -> None:
    write(installed, R, "hello", cell, "never")
    finished = run_notebook("n", {})
    assert (finished.status, finished.error) == ("failed", error)
    states = [cell["metadata"]["papermill"]["status"] for cell in executed(finished.address)["cells"][1:]]
    assert states == ["completed", "failed", "not run"]


def test_a_kernel_of_another_language_that_is_not_installed_is_refused(installed: Path) -> None:
    write(installed, R | {"name": "ir"}, "hello")
    expected = (
        "asks for the kernel 'ir' of the language R, which is not installed; installed kernels: .*shout"
    )
    with pytest.raises(UsageError, match=expected):
        run_notebook("n", {})
    assert not (installed / "output").exists()


def test_parameters_that_cannot_be_written_in_the_language_are_refused(installed: Path) -> None:
    write(installed, R | {"language": "cobol"}, "hello")
    with pytest.raises(UsageError, match="cannot write parameters in the language 'cobol'"):
        run_notebook("n", {"a": 1})


def test_a_python_notebook_whose_kernel_is_not_installed_runs_here_and_says_so(home: Path) -> None:
    write(home, {"name": "of-a-colleague", "language": "python"}, "import sys; print(sys.executable)")
    notebook = executed(run_notebook("n", {}).address)
    assert notebook["cells"][0]["outputs"][0]["text"] == [f"{sys.executable}\n"]
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
