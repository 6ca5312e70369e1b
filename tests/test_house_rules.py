"""Rules of the house that no module owns: what the README promises, what is pinned, what points where."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
WALK = (ROOT / "docs/how_a_row_travels.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# The rooms from the ground up: each imports only from those before it.
ROOMS = [
    "errors",
    "number_texts",
    "settings",
    "declare",
    "secret_values",
    "connections",
    "outputs",
    "contract",
    "storage",
    "secrets",
    "sources",
    "discovery",
    "running",
    "steps",
    "checks",
    "review",
    "airflow",
    "sample",
    "commands",
    "__main__",
    "benchmarks",
]

# Tables and fields of the source that the project reads; `team_name` is one of Airflow's own words, too.
OF_THE_SOURCE = [
    *("performances?", "leagues?", "teams", "team_player", "team_week", "weekly_scores"),
    *("gsis_id", "first_name", "last_name", "last_changed_date", "performance_id"),
    *("week_number", "fantasy_points", "league_id", "league_name", "scoring_type", "league_size", "team_id"),
    *(r"(?:ppr|half_ppr|std)_\d+_max_points",),
]


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def requirement_names() -> list[str]:
    groups = [PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"].values()]
    written = [requirement for group in groups for requirement in group if isinstance(requirement, str)]
    return [re.split(r"[\[=<>~ ]", requirement)[0] for requirement in written]


@pytest.mark.parametrize("name", sorted(set(requirement_names())))
def test_the_readme_says_what_a_dependency_is_for(name: str) -> None:
    assert f"`{name}`" in README, f"add `{name}` to the README's list, with what it is for, or do without it"


def test_every_make_target_of_the_pages_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = [page.read_text() for page in tracked("*.md")]
    named = {name for page in pages for name in re.findall(r"`make ([a-z]+)", page)}
    assert named <= targets, f"the pages name {sorted(named - targets)}, which the Makefile does not have"


def test_every_link_of_the_pages_leads_somewhere() -> None:
    for page in tracked("*.md"):
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name} links to {link}, which is not there"


def test_every_anchor_of_the_pages_is_a_heading() -> None:
    for page in tracked("*.md"):
        for link, anchor in re.findall(r"\]\(([^)#:]*)#([^)]*)\)", page.read_text()):
            target = page.parent / link if link else page
            assert anchor in anchors(target), f"{page.name} links to {link}#{anchor}, which has no heading"


def anchors(page: Path) -> set[str]:
    """Return the anchors that a code host gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_walk_of_a_row_names_files_that_exist() -> None:
    named = set(re.findall(r"`([a-z_/]+\.py)`", WALK))
    there = {
        name for name in named if any((ROOT / base / name).is_file() for base in ("", "notebook_pipeline"))
    }
    assert named == there, f"how_a_row_travels.md names {sorted(named - there)}: follow the moved files"


def test_a_walk_enters_at_most_ten_files_and_none_twice() -> None:
    walks = [re.findall(r"^\d+\. `([^`]+)`", section, re.MULTILINE) for section in WALK.split("\n## ")]
    assert [len(walk) for walk in walks if walk] == [10, 6, 6]
    for walk in walks:
        assert len(set(walk)) == len(walk), f"{walk} enters a file twice"


@pytest.mark.parametrize("lock", tracked("requirements/*.txt", "environment.yml"), ids=lambda path: path.name)
def test_a_lock_names_no_registry(lock: Path) -> None:
    found = re.findall(r"https?://\S+|--(?:extra-)?index-url\S*|--find-links\S*", lock.read_text())
    assert not found, f"{lock.name} names {found[0]}; run `make lock`, which leaves addresses out"


@pytest.mark.parametrize(
    "path", tracked("notebook_pipeline/*.py", "sample/*.py", "dags/*.py"), ids=lambda path: path.stem
)
def test_a_module_stays_readable(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines < 250, f"{path.name} has {lines} lines; cut it along what it knows"


@pytest.mark.parametrize(
    "path",
    tracked("notebook_pipeline/*.py", "sample/*.py", "benchmarks/*.py"),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_a_room_imports_only_from_those_before_it(path: Path) -> None:
    here = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
    for module in imports(path):
        there = room(module)
        assert ROOMS.index(there) <= ROOMS.index(here), (
            f"{path.name} is in {here} and imports {module}, of a later room: hand in what it needs, or "
            "move the few lines concerned to the room where they belong"
        )


@pytest.mark.parametrize(
    "path", tracked("notebook_pipeline/**"), ids=lambda path: str(path.relative_to(ROOT))
)
def test_the_engine_names_no_table_of_the_project(path: Path) -> None:
    found = re.search(rf"player|\b(?:{'|'.join(OF_THE_SOURCE)})\b", path.read_text(), re.IGNORECASE)
    assert not found, f"{path.name} names {found[0]!r}; let the declaration in datasets/ say it"


def test_no_two_files_of_the_package_have_one_name() -> None:
    names = [path.name for path in tracked("notebook_pipeline/*.py") if not path.name.startswith("__")]
    twice = sorted({name for name in names if names.count(name) > 1})
    assert not twice, f"{twice} name two files each; name each after what it holds"


def room(module: str) -> str:
    """Return the room of a module by its dotted name."""
    first, *others = module.split(".")
    name = others[0] if first == "notebook_pipeline" else first
    assert name in {*ROOMS, "__init__"}, f"{name} is a new room: put it into ROOMS, after all that it imports"
    return "errors" if name == "__init__" else name


def imports(path: Path) -> set[str]:
    """Return the project's modules that a file imports, at its top or in a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "notebook_pipeline":
            found |= {
                f"notebook_pipeline.{alias.name}" for alias in node.names if alias.name != "__version__"
            }
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name != "notebook_pipeline"}
    return {name for name in found if name.split(".")[0] in {"notebook_pipeline", "sample", "benchmarks"}}


def _imports_in_functions(path: Path) -> bool:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]
    inner = [node for function in functions for node in ast.walk(function)]
    return any(isinstance(node, ast.Import | ast.ImportFrom) for node in inner)


def test_imports_stand_at_the_top_but_for_those_that_are_listed_with_the_time_they_save() -> None:
    table = re.findall(r"^\| `(\S+\.py)` \|.*\| \d\.\d s \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.M)
    package = ROOT / "notebook_pipeline"
    found = [path for path in tracked("notebook_pipeline/*.py") if _imports_in_functions(path)]
    assert sorted(table) == sorted(str(path.relative_to(package)) for path in found), (
        "move the import to the top, or list the file in CONTRIBUTING.md with the time that it saves"
    )
