"""A notebook is found by its name or path, and is called by its place below `notebooks/`."""

from pathlib import Path

import pytest
import tiny

from notebook_pipeline.errors import UsageError
from notebook_pipeline.running.notebook_files import find_notebook, language_of, notebook_name


def test_a_notebook_is_found_by_its_name_and_by_a_path(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tiny.write(home / "notebooks/team/n.ipynb")
    other = tiny.write(home / "elsewhere/n.ipynb")
    monkeypatch.chdir(home / "elsewhere")
    assert find_notebook("team/n") == find_notebook("team/n.ipynb") == find_notebook(here) == here
    assert find_notebook("n.ipynb") == find_notebook(other) == other
    assert (notebook_name(here), notebook_name(other)) == ("team/n", str(other))


@pytest.mark.parametrize("name", ["n", "team", "../elsewhere/n", "/n", "team/../team/n", ""])
def test_a_name_that_is_no_notebook_is_refused_with_those_that_are(home: Path, name: str) -> None:
    for path in ("notebooks/team/n", "notebooks/a", "notebooks/.ipynb_checkpoints/a", "elsewhere/n"):
        tiny.write(home / f"{path}.ipynb")
    with pytest.raises(UsageError) as refused:
        find_notebook(name)
    assert str(refused.value) == f"no notebook {name!r}; notebooks in {home / 'notebooks'}: a, team/n"


def test_the_language_is_that_of_the_kernel_and_python_if_none_is_named() -> None:
    assert language_of({}) == language_of({"kernelspec": {"name": "x"}}) == "python"
    assert language_of({"kernelspec": {"language": "Python"}}) == "python"
    assert language_of({"kernelspec": {"language": "R"}, "language_info": {"name": "python"}}) == "R"
    assert language_of({"kernelspec": None, "language_info": {"name": "julia"}}) == "julia"
