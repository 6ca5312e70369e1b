"""What a notebook says reaches artefact, ledger and log masked, once, and in the order it was said."""

import base64
import gzip
import html
import json
import sys
from pathlib import Path
from urllib.parse import quote

import nbformat.v4 as v4
import pytest
import tiny
from executed import Executed, execute, row_of

from notebook_pipeline.connections import Connection
from notebook_pipeline.running import kernel_client
from notebook_pipeline.running.mime_types import PROGRESS, RESULT
from notebook_pipeline.running.run_lines import ProgressLine
from notebook_pipeline.running.run_notebook import run_notebook

PASSWORD = "p@ss w\"ör'd<&>/+%\\x-1"
CONN_ID = tiny.parameters('api_conn_id: str = "api"')
API = {
    "api": Connection(
        "api", "http", host="h", login="admin", password=PASSWORD, extra={"token": "tok-abcdef"}
    )
}

SETUP = """
import base64, html, json, os, sys, urllib.parse
from IPython.display import HTML, display
connection = json.loads(os.environ["AIRFLOW_CONN_API"])
password, token = connection["password"], connection["extra"]["token"]
"""
FORMS = {
    "plain": str,
    "repr": repr,
    "json": json.dumps,
    "html": html.escape,
    "url": lambda s: quote(s, safe=""),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "basic": lambda s: base64.b64encode(f"admin:{s}".encode()).decode(),
}
TELLS = {
    "prints": "print('x', password, token)\nprint(json.dumps(connection), file=sys.stderr)",
    "prints in pieces": "for letter in 'x' + password + token: print(letter, end='', flush=True)",
    "prints from a child": "import subprocess; subprocess.run(['echo', password, token])",
    "prints below Python": "os.write(1, (password + token).encode())",
    "shows": "display(password, HTML('<b>' + html.escape(password) + '</b>'), {'json': [connection]})",
    "evaluates": "connection",
    "changes a display": "shown = display('first', display_id=True); shown.update(password + token)",
    "shows rich data": "display({'application/json': {password: [token]}, 'text/plain': 'x'}, raw=True)",
    "raises": "raise ValueError(f'{password} is wrong, {token!r} too')",
    "raises deep": "def f(secret): raise KeyError(connection)\nf(password)",
    "returns": f"display({{{RESULT!r}: {{'a': password, 'b': [token]}}}}, raw=True)",
    "progresses": f"display({{{PROGRESS!r}: {{'done': password}}, 'text/plain': password}}, raw=True)",
    "encodes": "print(base64.b64encode(password.encode()).decode(), "
    "base64.b64encode(b'admin:' + password.encode()).decode(), urllib.parse.quote(password, safe=''), "
    "html.escape(password), json.dumps(password))",
    "dies saying": "print(password, flush=True); os._exit(3)",
    "dies in the middle": "print('x' + password + 'y' + password[:4], end='', flush=True); os._exit(3)",
}


def everything_said(home: Path, run: Executed) -> str:
    """Return all that is kept or told of a run, the ledger's files included."""
    kept = [
        path.read_bytes().decode("utf-8", "replace")
        for path in (home / "output").rglob("*")
        if path.is_file()
    ]
    return "\n".join([*kept, *run.lines, repr(run.finished), repr(run.row), json.dumps(run.notebook)])


@pytest.mark.parametrize("how", TELLS)
def test_a_secret_is_nowhere_however_it_is_told(home: Path, how: str) -> None:
    run = execute(home, CONN_ID, SETUP, TELLS[how], connections=API)
    said = everything_said(home, run)
    found = [form for form, write in FORMS.items() if write(PASSWORD).strip("\"'") in said]
    assert found == []
    assert "tok-abcdef" not in said
    # A kernel that exits at once may take its last words along.
    assert "***" in json.dumps(run.notebook) or "dies" in how
    assert run.finished.status == ("failed" if "raise" in how or "die" in how else "success")


def test_what_only_looked_like_a_secret_is_there_at_the_end_of_its_cell(home: Path) -> None:
    run = execute(home, CONN_ID, f"print('so {PASSWORD[:4]}', end='')", "print('next')", connections=API)
    assert run.printed == f"so {PASSWORD[:4]}next\n"
    assert f"    so {PASSWORD[:4]}" in run.lines


def test_a_secret_under_six_letters_is_warned_of(home: Path) -> None:
    run = execute(home, CONN_ID, "1", connections={"api": Connection("api", "http", password="abcde")})
    assert [line for line in run.lines if "too weak to be masked everywhere" in line]


def test_given_parameters_stand_in_their_cell_and_once_in_the_metadata(home: Path) -> None:
    declared = tiny.parameters('a: str = "x"\nb: int = 1\nc: float = 0.5')
    run = execute(home, declared, "print(repr(a), b, c)", parameters={"a": 'a "quoted\\" ö\n text', "b": -7})
    assert run.printed == "'a \"quoted\\\\\" ö\\n text' -7 0.5\n"
    assert run.about["parameters"] == {"a": 'a "quoted\\" ö\n text', "b": -7, "c": 0.5}
    assert "parameters" not in run.notebook["metadata"]["papermill"]
    assert [cell["metadata"]["tags"] for cell in run.notebook["cells"]] == [
        ["parameters"],
        ["injected-parameters"],
        [],
    ]
    assert json.loads(run.row["parameters"]) == run.about["parameters"]


def test_without_given_parameters_no_cell_is_added(home: Path) -> None:
    run = execute(home, tiny.parameters("a: int = 1"), "print(a)")
    assert len(run.notebook["cells"]) == 2


def test_an_executed_notebook_can_be_executed_again(home: Path) -> None:
    failed = execute(home, tiny.parameters("a: int = 1"), "print(a)\n1 / 0", parameters={"a": 2})
    (home / "notebooks" / "again.ipynb").write_bytes(Path(failed.finished.address).read_bytes())
    again = run_notebook("again", {"a": 3})
    cells = json.loads(Path(again.address).read_bytes())["cells"]
    assert ["".join(cell["source"]) for cell in cells[1:]] == [
        "a: int = 1",
        "# Parameters\na = 3\n",
        "print(a)\n1 / 0",
    ]


def test_an_executed_notebook_is_run_again_with_the_values_that_it_was_given(home: Path) -> None:
    cells = tiny.parameters("a: int = 1\nb: str = 'x'"), "print(a, b)"
    first = execute(home, *cells, parameters={"a": 7})
    again = run_notebook(first.finished.address, {})
    changed = run_notebook(first.finished.address, {"b": "y"})
    for finished, a, b in ((again, 7, "x"), (changed, 7, "y")):
        notebook = json.loads(Path(finished.address).read_bytes())
        assert notebook["cells"][2]["outputs"][0]["text"] == [f"{a} {b}\n"]
        assert notebook["metadata"]["notebook_pipeline"]["parameters"] == {"a": a, "b": b}
        assert json.loads(row_of(finished.run_id)["parameters"]) == {"a": a, "b": b}


def test_notebooks_of_one_name_in_two_folders_are_told_apart(home: Path) -> None:
    other = tiny.write(home / "elsewhere/n.ipynb", "print(2)")
    for folder in ("", "team/"):
        tiny.write(home / f"notebooks/{folder}n.ipynb", "print(1)")
    names = {name: row_of(run_notebook(name, {}).run_id)["notebook"] for name in ("n", "team/n", str(other))}
    assert names == {"n": "n", "team/n": "team/n", str(other): str(other)}
    latest = sorted(
        path.relative_to(home / "output/latest") for path in home.glob("output/latest/**/*.ipynb")
    )
    assert [str(path) for path in latest if "~" not in path.name] == ["n.ipynb", "team/n.ipynb"]
    assert len(latest) == 3


def test_a_stream_is_one_output_in_the_artefact_however_many_pieces_it_came_in(home: Path) -> None:
    lines = "for i in range(50): print(i, flush=True)"
    run = execute(home, f"import sys\n{lines}\nprint('e', file=sys.stderr, flush=True)\nprint('z')")
    assert [(output["name"], "".join(output["text"])) for output in run.notebook["cells"][0]["outputs"]] == [
        ("stdout", "".join(f"{i}\n" for i in range(50))),
        ("stderr", "e\n"),
        ("stdout", "z\n"),
    ]


@pytest.mark.parametrize("wait", [True, False])
def test_clearing_an_output_clears_it(home: Path, wait: bool) -> None:
    loop = f"for i in range(3): clear_output(wait={wait}); print(i, flush=True)"
    assert execute(home, f"from IPython.display import clear_output\n{loop}").printed == "2\n"


def test_each_cell_is_a_line_and_prints_come_before_it(home: Path) -> None:
    run = execute(
        home, "# Load\n\nReads it.", "print('one'); print('two', end='')", "## Check", "", "1 / 0", "2"
    )
    lines = [line for line in run.lines if not line.startswith("run ")]
    assert lines[:2] == ["    one", "    two"]
    assert lines[2].startswith("[1/3] Load: done in ")
    assert any("ZeroDivisionError: division by zero" in line for line in lines[3:-1])
    assert lines[-1].startswith("[2/3] Check: failed after ")


def test_what_cells_left_open_is_closed_at_the_end(home: Path) -> None:
    opened = "import gzip\nplain, packed = open('plain', 'w'), gzip.open('packed', 'wt')"
    circle = "class Circle: pass\nc = Circle()\nc.self, c.file = c, open('circle', 'w')\nc.file.write('c')"
    execute(home, opened, "plain.write('a')\npacked.write('b')", circle)
    folder = home / "notebooks"
    assert (folder / "plain").read_text() == "a"
    assert gzip.decompress((folder / "packed").read_bytes()) == b"b"
    assert (folder / "circle").read_text() == "c"


def test_what_cells_import_of_this_package_is_there_before_the_first(home: Path) -> None:
    asks = "import sys\nprint('notebook_pipeline.steps.progress' in sys.modules)"
    assert execute(home, asks, "from notebook_pipeline.steps.progress import Progress").printed == "True\n"
    assert execute(home, asks).printed == "False\n"


def test_the_progress_of_a_long_step_is_reported(home: Path) -> None:
    code = (
        "from notebook_pipeline.steps import progress\nprogress.SECONDS_BETWEEN = 0\n"
        "shown = progress.Progress('rows', 4)\nshown.advance(1)\nshown.close()"
    )
    run = execute(home, code, progress_seconds=0)
    lines = [line for line in run.lines if isinstance(line, ProgressLine)]
    assert [line.share for line in lines] == [0, 0.25, 0.25]
    assert lines[-1] == "    1 rows"
    (output,) = run.notebook["cells"][0]["outputs"]
    assert "".join(output["data"]["text/plain"]) == "1 rows"


def test_no_output_is_lost_however_fast_a_cell_shows_them(home: Path) -> None:
    shows = "for n in range(10_000): display({'text/plain': str(n)}, raw=True)"
    run = execute(home, f"{tiny.says(rows=2)}\n{shows}\n{tiny.says(rows=3)}")
    (cell,) = run.notebook["cells"]
    assert ["".join(output["data"]["text/plain"]) for output in cell["outputs"][1:-1]] == [
        str(n) for n in range(10_000)
    ]
    assert (run.finished.status, run.finished.result) == ("success", {"rows": 3})


LOSE = """
from ipykernel.kernelapp import IPKernelApp
class Losing:
    def __init__(self, socket): self.socket = socket
    def __getattr__(self, name): return getattr(self.socket, name)
    def send_multipart(self, frames, *args, **options):
        if b"lose " + b"me" not in b"".join(frames): self.socket.send_multipart(frames, *args, **options)
numbered = IPKernelApp.instance().iopub_thread.socket
numbered._socket = Losing(numbered._socket)
"""


def test_a_lost_output_fails_its_cell(home: Path) -> None:
    run = execute(home, LOSE, "from IPython.display import display\ndisplay('lose ' + 'me', 'kept')", "1")
    assert run.finished.status == "failed"
    assert run.finished.error == "the kernel lost 1 message, so outputs of this cell are missing"
    assert run.states == ["completed", "failed", "not run"]


def test_a_kernel_that_never_says_that_all_outputs_are_sent_is_not_waited_for(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_client, "SILENT_SECONDS", 1)
    lose_idle = LOSE.replace('b"lose " + b"me"', 'b"id" + b"le"')
    run = execute(home, lose_idle, "1")
    assert run.finished.status == "failed"
    assert "has not confirmed that all outputs were sent" in str(run.finished.error)


@pytest.mark.parametrize(
    ("cell", "error"),
    [
        ("%run broken.py", "ZeroDivisionError: division by zero"),
        ("%run exits.py 3", "SystemExit: 3"),
        ("%%capture\n1/0", "ZeroDivisionError: division by zero"),
        (
            "try:\n    1/0\nexcept Exception:\n    get_ipython().showtraceback()",
            "ZeroDivisionError: division by zero",
        ),
        ("%run exits.py 0", None),
    ],
)
def test_a_cell_that_shows_an_error_fails(home: Path, cell: str, error: str | None) -> None:
    (home / "notebooks/broken.py").write_text("1/0")
    (home / "notebooks/exits.py").write_text("import sys; sys.exit(int(sys.argv[1]))")
    run = execute(home, cell, "1")
    assert (run.finished.status, run.finished.error) == ("failed" if error else "success", error)
    assert run.states == (["failed", "not run"] if error else ["completed", "completed"])
    tagged = v4.new_code_cell(cell, metadata={"tags": ["raises-exception"]})
    assert execute(home, tagged).finished.status == "success"


def test_the_last_result_wins_and_what_is_no_object_fails_the_run(home: Path) -> None:
    run = execute(home, tiny.says(rows=1), tiny.says(rows=2, verdict="good"))
    assert run.finished.result == run.about["result"] == {"rows": 2, "verdict": "good"}
    wrong = execute(home, f"from IPython.display import display\ndisplay({{{RESULT!r}: [1]}}, raw=True)")
    assert wrong.finished.error == "the notebook's result is [1]; expected a JSON object"
    assert wrong.row["status"] == "failed"


def test_a_cell_tagged_for_it_is_skipped_and_one_that_may_raise_does_not_fail_the_run(home: Path) -> None:
    skipped = v4.new_code_cell("1 / 0", metadata={"tags": ["skip-execution"]})
    raising = v4.new_code_cell("1 / 0", metadata={"tags": ["raises-exception"]})
    run = execute(home, skipped, raising, "print('end')")
    assert run.finished.status == "success"
    assert run.printed == "end\n"


def test_a_notebook_runs_where_jupyterlab_would_run_it_with_this_interpreter(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = home / "jupyter/kernels/python3/kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["/bin/false"], "display_name": "mine", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(home / "jupyter"))
    startup = home / "ipython/profile_default/startup/00.py"
    startup.parent.mkdir(parents=True)
    startup.write_text("somebody = 'was here'")
    monkeypatch.setenv("IPYTHONDIR", str(home / "ipython"))
    monkeypatch.setenv("PYTHONSTARTUP", str(startup))
    run = execute(home, "import os, sys\nprint(sys.executable, os.getcwd(), 'somebody' in globals())")
    assert run.printed == f"{sys.executable} {home / 'notebooks'} False\n"
    assert run.notebook["metadata"]["language_info"]["name"] == "python"


@pytest.mark.parametrize(
    ("code", "retryable"),
    [
        ("raise ValueError('x')", True),
        ("from notebook_pipeline.errors import PipelineError as E\nraise E('x')", True),
        ("from notebook_pipeline.errors import DataRefused as E\nraise E('x')", False),
        ("from notebook_pipeline.errors import DataRefused as E\nclass F(E): ...\nraise F('x')", False),
        ("from notebook_pipeline.errors import UsageError as E\nraise E('x')", False),
        ("class DataRefused(Exception): ...\nraise DataRefused('another of that name')", True),
    ],
)
def test_a_retry_is_useless_after_a_refusal_by_its_type(home: Path, code: str, retryable: bool) -> None:
    run = execute(home, code)
    assert (run.finished.status, run.finished.retryable) == ("failed", retryable)
