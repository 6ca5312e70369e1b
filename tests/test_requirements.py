"""The pins: one resolution for all groups, no address in any of them, and pip's settings handed to uv."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from notebook_pipeline import settings

FOLDER = settings.CHECKOUT / "requirements"
GROUPS = ("run", "dev", "docker", "cluster", "bench", "lab")


@pytest.fixture(scope="module")
def install():
    spec = importlib.util.spec_from_file_location("install", FOLDER / "install.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pins(text: str) -> set[str]:
    return set(re.findall(r"^[ -]*([a-z0-9._-]+==[^\s;]+)", text, re.MULTILINE))


def test_all_groups_have_the_versions_of_one_resolution() -> None:
    together = pins((FOLDER / "all.txt").read_text())
    assert len(together) > 300
    for group in GROUPS:
        apart = pins((FOLDER / f"{group}.txt").read_text()) - together
        assert not apart, f"requirements/{group}.txt: run `make lock`; not in all.txt: {apart}"
    conda = pins((settings.CHECKOUT / "environment.yml").read_text())
    assert conda == together, "environment.yml is old: run `make lock`"


def test_development_holds_everything_that_a_run_needs() -> None:
    run, dev = (pins((FOLDER / f"{group}.txt").read_text()) for group in ("run", "dev"))
    assert run < dev


@pytest.mark.parametrize(
    "name", [*(f"requirements/{group}.txt" for group in (*GROUPS, "all", "uv")), "environment.yml"]
)
def test_no_address_is_locked_in(name: str) -> None:
    text = (settings.CHECKOUT / name).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-*(i|f|index-url|extra-index-url|find-links)\b", text, re.MULTILINE)


@pytest.mark.parametrize("group", [*GROUPS, "uv"])
def test_every_pin_has_the_hashes_of_its_files(group: str) -> None:
    text = (FOLDER / f"{group}.txt").read_text()
    for pin, rest in re.findall(r"^([a-z0-9._-]+==\S+)(.*(?:\n    .*)*)", text, re.MULTILINE):
        assert "--hash=sha256:" in rest, f"{group}.txt: {pin} has no hash"


def test_uv_is_told_what_pip_is_told(install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS", "UV_INDEX_STRATEGY"):
        monkeypatch.delenv(name, raising=False)
    configuration = tmp_path / "pip.conf"
    configuration.write_text(
        "[global]\nindex-url = https://from.file/simple\nextra-index-url =\n  https://one/\n  https://two/\n"
        "[list]\nformat = json\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels")
    found = install.uv_settings(install.pip_settings(Path(sys.executable)))
    assert found["UV_DEFAULT_INDEX"] == "https://from.file/simple"
    assert found["UV_INDEX"] == "https://one/ https://two/"
    assert found["UV_FIND_LINKS"] == "/wheels"
    monkeypatch.setenv("PIP_INDEX_URL", "https://from.environment/simple")
    monkeypatch.setenv("UV_INDEX", "https://own/")
    found = install.uv_settings(install.pip_settings(Path(sys.executable)))
    assert found["UV_DEFAULT_INDEX"] == "https://from.environment/simple"
    assert "UV_INDEX" not in found
