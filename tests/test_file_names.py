"""Any text becomes a file name, and no two texts become the same."""

import re

import pytest

from notebook_pipeline.outputs.file_names import safe_file_name


@pytest.mark.parametrize("name", ["load", "group.load", "A-b_1.csv.gz", "x" * 100])
def test_a_plain_name_stays(name: str) -> None:
    assert safe_file_name(name) == name


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", ".hidden", "x" * 101, "a\0b", "ä", "\udcff", "a~b"])
def test_a_name_that_is_not_plain_gets_one_of_its_own(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{0,80}~[0-9a-f]{16}", safe_file_name(name))


def test_a_readable_part_stays() -> None:
    assert safe_file_name("manual__2026-11-22T11:45+00:00").startswith("manual__2026-11-22T11-45-00-00~")


def test_no_two_names_become_the_same() -> None:
    names = ["a b", "a-b", "a+b", "a/b", "../a-b", "~", "", "ä", "a\u0308"]
    assert len({safe_file_name(name) for name in names}) == len(names)


def test_names_that_differ_in_capitals_alone_are_told_apart_where_case_is_ignored() -> None:
    names = ["Nightly", "nightly", "NIGHTLY"]
    assert len({safe_file_name(name, ignore_case=True).casefold() for name in names}) == len(names)
    assert safe_file_name("nightly-1.2", ignore_case=True) == "nightly-1.2"
