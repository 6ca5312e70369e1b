"""The notebooks: their committed outputs against a fresh run, and the rules that keep them readable."""

import ast
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from notebook_pipeline import settings
from sample.make_notebooks import ORDER, fixed_surroundings

FOLDER = settings.CHECKOUT / "notebooks"
CELLS, LINES = 20, 60


def cells(name: str, kind: str) -> list[nbformat.NotebookNode]:
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def test_every_notebook_is_remade_and_tested() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(ORDER), (
        "name it in sample/make_notebooks.py"
    )


def test_committed_outputs_are_those_of_a_fresh_run() -> None:
    with fixed_surroundings() as environment:
        run = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "--nbval",
                "--nbval-current-env",
                "-p",
                "no:cacheprovider",
                "-q",
                *(str(FOLDER / f"{name}.ipynb") for name in ORDER),
            ],
            env=environment,
            cwd=settings.CHECKOUT,
            capture_output=True,
            text=True,
        )
    assert run.returncode == 0, (
        f"{run.stdout[-6000:]}{run.stderr[-2000:]}\n"
        "A notebook's committed outputs differ from those of a fresh run. If the new ones are right, run "
        "`make notebooks` and commit the result; if not, mend the code."
    )


@pytest.mark.parametrize("name", ORDER)
def test_a_notebook_reads_at_one_glance(name: str) -> None:
    code = cells(name, "code")
    text = cells(name, "markdown")
    lines = sum(len(cell.source.splitlines()) for cell in code)
    assert len(code) + len(text) <= CELLS + 2, (
        f"{name}: move steps into the package, or cut the notebook in two"
    )
    assert lines <= LINES, f"{name}: {lines} lines of code; move behaviour into the package"


@pytest.mark.parametrize("name", ORDER)
def test_a_notebook_defines_nothing(name: str) -> None:
    for cell in cells(name, "code"):
        defined = [
            node
            for node in ast.walk(ast.parse(cell.source))
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        ]
        assert not defined, (
            f"{name}, cell {cell.id}: move {defined[0].name} into the package and test it there"
        )


@pytest.mark.parametrize("name", ORDER)
def test_a_notebook_says_what_each_cell_does(name: str) -> None:
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    assert notebook.cells[0].source.startswith("# "), f"{name}: begin with a title"
    for before, cell in zip(notebook.cells, notebook.cells[1:], strict=False):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown", (
                f"{name}, cell {cell.id}: put one imperative sentence before it"
            )


@pytest.mark.parametrize("name", ORDER)
def test_a_notebook_has_one_parameters_cell_and_all_outputs(name: str) -> None:
    code = cells(name, "code")
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1, f"{name}: tag exactly one cell `parameters`"
    assert any(cell.outputs for cell in code), f"{name}: run `make notebooks` and commit the outputs"


@pytest.mark.parametrize("name", ORDER)
def test_outputs_name_no_place_and_no_failure(name: str) -> None:
    for cell in cells(name, "code"):
        for output in cell.outputs:
            assert output.output_type != "error", f"{name}, cell {cell.id}: failed; run `make notebooks`"
            for sign in (str(Path.home()), str(settings.CHECKOUT), "/tmp/", "127.0.0.1:"):  # noqa: S108
                assert sign not in str(output), f"{name}, cell {cell.id}: shows {sign}, other machines do not"
