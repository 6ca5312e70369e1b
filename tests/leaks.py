"""A notebook that leaks the secrets of a connection in every way, and a search for them in what it leaves."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import tiny

DAG = "secrets"
RUN_ID = "manual__2024-03-01T10:00:00+00:00"
RUN = f"dags/{DAG}/dagRuns/{RUN_ID}"

# Each half is told from anything else also where a form or a line break has torn it from the other.
STORED = {"password": 'Kleehuber"<ö&/ %\\Dachsbauer', "token": "Mausefalle-+=?-Regenwurm"}
IN_ENVIRONMENT = {"password": "Siebenstern'<é>#@:Walnussbaum", "token": "Tannenhaeher_$_Quellmoos"}
HALVES = ("Kleehuber", "Dachsbauer", "Mausefalle", "Regenwurm")
HALVES += ("Siebenstern", "Walnussbaum", "Tannenhaeher", "Quellmoos")
MASKED = "\n".join(["***"] * 18)
ERRORS = {
    "return": None,
    "raise": f"ValueError: {MASKED}",
    "crash": "the kernel died: exited with code 3; last output: *** / *** / *** / *** / ***",
}

_FORMS = """
import base64, html, json, logging, os, subprocess, sys, warnings
from urllib.parse import quote, quote_plus
from IPython.display import HTML, JSON, Markdown, display
from notebook_pipeline.connections import resolve
vault = resolve(vault_conn_id)
secrets = {"password": vault.password, "token": vault.extra["token"]}
encode = lambda text: base64.b64encode(text.encode()).decode()
forms = {
    f"{name} {form}": text
    for name, secret in secrets.items()
    for form, text in {
        "plain": secret,
        "json": json.dumps(secret)[1:-1],
        "json utf-8": json.dumps(secret, ensure_ascii=False)[1:-1],
        "html": html.escape(secret),
        "url": quote(secret, safe=""),
        "form": quote_plus(secret),
        "base64": encode(secret),
        "login and password": encode(f"{vault.login}:{secret}"),
        "repr": repr(secret)[1:-1],
    }.items()
}
print("names:", sorted(name for name in os.environ if "AIRFLOW" in name))
"""
_PRINT = """
for name, text in forms.items():
    print(f"{name}: {text}.")
    print(f"{name}: {text}.", file=sys.stderr)
"""
_SPLIT = """
for name, text in forms.items():
    for cut in (1, len(text) // 2, len(text) - 1):
        sys.stdout.write(f"{name} cut: {text[:cut]}")
        sys.stdout.flush()
        sys.stdout.write(f"{text[cut:]}.\\n")
        sys.stdout.flush()
"""
_SHOW = """
everything = "\\n".join(forms.values())
display(HTML(html.escape(everything)), JSON(forms), Markdown(everything), metadata={"note": everything})
display({"text/plain": everything, "application/json": {text: forms for text in forms.values()}}, raw=True)
warnings.warn(everything)
logging.error(everything)
subprocess.run(["sh", "-c", "printenv TOLD; printenv TOLD >&2"], env=os.environ | {"TOLD": everything})
forms
"""
_RESULT = "import json\nfrom IPython.display import display\n" + (
    "display({'application/vnd.notebook-pipeline.result+json': {'verdict': 'told', 'forms': forms}, "
    "'text/plain': str(forms)}, raw=True)"
)
_END = """
if way == "raise":
    get_ipython().run_line_magic("xmode", "Verbose")
    raise ValueError(everything)
if way == "crash":
    os.write(2, everything.encode())
    os._exit(3)
"""
_DAG = """
from airflow.sdk import DAG

from notebook_pipeline.airflow import NotebookOperator

with DAG({dag!r}, is_paused_upon_creation=False):
    for vault in ("stored", "in_environment"):
        for way in {ways!r}:
            given = {{"way": way, "vault_conn_id": vault}}
            NotebookOperator(task_id=f"{{vault}}_{{way}}", input_nb="leaky", parameters=given)
        rendered = {{"way": f"{{{{{{{{ conn.{{vault}}.password }}}}}}}}", "vault_conn_id": vault}}
        NotebookOperator(task_id=f"{{vault}}_rendered", input_nb="leaky", parameters=rendered)
"""


def write(home: Path) -> str:
    """Write the notebook, and return the DAG's file with a task for each connection and way out."""
    declared = tiny.parameters('way: str = ""\nvault_conn_id: str = "stored"')
    cells = (_FORMS, _PRINT, _SPLIT, _SHOW, _RESULT, _END)
    tiny.write(home / "notebooks" / "leaky.ipynb", declared, *cells)
    return _DAG.format(dag=DAG, ways=[*ERRORS])


def connection(secrets: dict[str, str]) -> dict[str, str]:
    """Return a connection with these secrets, as Airflow's REST API and its variables have it."""
    extra = json.dumps({"token": secrets["token"], "path": "/nowhere"})
    return {"conn_type": "http", "login": "admin", "password": secrets["password"], "extra": extra}


def printed(artefact: Path) -> list[str]:
    """Return each line that an executed notebook printed."""
    outputs = [
        output for cell in json.loads(artefact.read_bytes())["cells"] for output in cell.get("outputs", [])
    ]
    texts = ["".join(output["text"]) for output in outputs if output["output_type"] == "stream"]
    return [line for text in texts for line in text.splitlines()]


def found(home: Path) -> list[str]:
    """Return each file below a folder that holds a part of a secret, and the part."""
    files = sorted(path for path in home.rglob("*") if path.is_file() and not path.is_symlink())
    assert {"airflow.db", "analytics_database.db", "scheduler.log"} <= {path.name for path in files}
    return [f"{path.relative_to(home)}: {part!r}" for path in files for part in _parts_in(path.read_bytes())]


def _parts_in(content: bytes) -> Iterator[bytes]:
    return (part for half in HALVES for part in _shapes(half) if part in content)


def _shapes(half: str) -> Iterator[bytes]:
    """Yield a half as it is, and the middle of its base64 at each of the three places it can have."""
    yield half.encode()
    for before in range(3):
        yield base64.b64encode(b"~" * before + half.encode())[4:-4]
