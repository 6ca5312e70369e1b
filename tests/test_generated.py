"""What is generated in `make test` is the same in every run, whatever was loaded and drawn before."""

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import seeds
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture.providers import CONSTANTS_CACHE


def drawn() -> list[object]:
    """Return what a test is given in this process."""
    found: list[object] = []

    @settings(max_examples=200)
    @given(st.integers() | st.text() | st.lists(st.integers(0, 10**6)))
    def draw(value: object) -> None:
        found.append(value)

    draw()
    return found


def test_it_does_not_hang_on_the_modules_that_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = drawn()
    path = tmp_path / "constants_of_another.py"
    path.write_text("\n".join(f"x{number} = {number * 7919}, 'text {number}'" for number in range(100)))
    spec = spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    CONSTANTS_CACHE.cache.clear()
    assert drawn() == before


def test_the_seed_of_a_soak_test_can_be_given_again() -> None:
    told = subprocess.check_output(
        [sys.executable, "-c", "import seeds; print(list(seeds.fresh(2)))"],
        cwd=Path(seeds.__file__).parent,
        env={seeds.NAME: "17"},
        text=True,
    )
    assert told == "[17, 18]\n"
