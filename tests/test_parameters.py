"""The parameters cell is the contract: what it declares, and which values are refused."""

import os
from datetime import date
from pathlib import Path

import pytest
import tiny

from notebook_pipeline.errors import UsageError
from notebook_pipeline.running.parameters import (
    Parameter,
    check_parameters,
    parse_text,
    refuse_secret_address,
)
from notebook_pipeline.running.parameters_cell import read_parameters

DECLARED = [
    Parameter("dataset", "str", "player", "the table"),
    Parameter("page_size", "int", 1000),
    Parameter("percent", "float", 1.0),
    Parameter("force", "bool", False),
]


def declare(tmp_path: Path, source: str) -> list[Parameter]:
    book = tiny.write(tmp_path / "n.ipynb", "# Title", tiny.parameters(source), "print(1)")
    return read_parameters(book) or []


def test_reads_name_type_default_and_help(tmp_path: Path) -> None:
    source = (
        "# What to load\n"
        'dataset: str = "player"  # the table to fill\n'
        'source: str = "a=b # c.parquet"  # where "=" and # are part of the value\n'
        "max_rejected_rows: int = -1  # no limit below zero\n"
        "max_rejected_percent: float = 1  # a whole number serves\n"
        "force: bool = False\n"
        'text = (\n    "long "\n    "text"\n)  # over lines\n'
        "since: str  # required\n"
    )
    assert declare(tmp_path, source) == [
        Parameter("dataset", "str", "player", "the table to fill"),
        Parameter("source", "str", "a=b # c.parquet", 'where "=" and # are part of the value'),
        Parameter("max_rejected_rows", "int", -1, "no limit below zero"),
        Parameter("max_rejected_percent", "float", 1.0, "a whole number serves"),
        Parameter("force", "bool", False, ""),
        Parameter("text", "str", "long text", "over lines"),
        Parameter("since", "str", None, "required", required=True),
    ]
    assert isinstance(declare(tmp_path, source)[3].default, float)


def test_a_notebook_without_parameters_declares_none(tmp_path: Path) -> None:
    assert read_parameters(tiny.write(tmp_path / "n.ipynb", "print(1)")) == []


def test_reads_a_cell_whose_source_is_a_list_of_lines(tmp_path: Path) -> None:
    cell = tiny.parameters("a: int = 1\nb: int = 2")
    cell["source"] = ["a: int = 1\n", "b: int = 2"]
    assert [p.name for p in read_parameters(tiny.write(tmp_path / "n.ipynb", cell)) or []] == ["a", "b"]


def test_a_changed_cell_is_read_again(tmp_path: Path) -> None:
    assert declare(tmp_path, "a: int = 1")[0].default == 1
    changed = tiny.write(tmp_path / "n.ipynb", tiny.parameters("a: int = 2"))
    os.utime(changed, ns=(1, 1))
    assert [parameter.default for parameter in read_parameters(changed) or []] == [2]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("rows: int = 1.5", "expected int"),
        ("rows: int = True", "expected int"),
        ('rows: float = "1"', "expected float"),
        ("rows: float = 1e999", "finite"),
        ("days: list = {}", "expected a list"),
        ("days: list = [1e999]", "expected a JSON value"),
        ("a: int = 1\na: int = 2", "more than once"),
        ("a: int =", "is not Python"),
        ('api_key: str = "x"', "looks like a secret"),
        ('db_password: str = ""', "name a connection instead"),
        ("access_token = None", "looks like a secret"),
        ('urls = ["https://me:hunter2@host/"]', "an address with a password"),
    ],
)
def test_a_cell_with_a_wrong_parameter_is_refused(tmp_path: Path, source: str, says: str) -> None:
    with pytest.raises(UsageError, match="parameters cell") as refused:
        declare(tmp_path, source)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("days: list = [1, 'a']", Parameter("days", "list", [1, "a"])),
        ("days = (1, 2)", Parameter("days", "list", [1, 2])),
        ("days: list[int] = []  # which", Parameter("days", "list", [], "which")),
        ("mix = {'a': [1, None]}", Parameter("mix", "dict", {"a": [1, None]})),
        ("since = None", Parameter("since", "any", None, optional=True)),
        ("since: str | None = None", Parameter("since", "str", None, optional=True)),
        ('since: "Optional[str]" = "x"', Parameter("since", "str", "x", optional=True)),
        ("rows: None | int = 3", Parameter("rows", "int", 3, optional=True)),
        ("day: date = '2024-01-05'", Parameter("day", "any", "2024-01-05")),
        ("seconds = 60 * 60", Parameter("seconds", "any", None, expression="60 * 60")),
        ("path: str = f'{home}/x'", Parameter("path", "str", None, expression="f'{home}/x'")),
        ("day = date(2024, 1, 5)", Parameter("day", "any", None, expression="date(2024, 1, 5)")),
        ("max_tokens: int = 9", Parameter("max_tokens", "int", 9)),
        ("tokenizer = 'bpe'", Parameter("tokenizer", "str", "bpe")),
        ("tokens = ['a']", Parameter("tokens", "list", ["a"])),
    ],
)
def test_every_literal_is_a_default_and_what_is_computed_keeps_its_text(
    tmp_path: Path, source: str, expected: Parameter
) -> None:
    assert declare(tmp_path, source) == [expected]


@pytest.mark.parametrize(
    "line",
    ["import os", '"""What this is."""', "a = b = 1", "x, y = 1, 2", "%matplotlib inline", "!ls", "pass"],
)
def test_a_line_that_declares_no_parameter_is_left_alone(tmp_path: Path, line: str) -> None:
    assert declare(tmp_path, f"{line}\nrows: int = 1  # how many") == [
        Parameter("rows", "int", 1, "how many")
    ]


def test_a_computed_default_is_not_told_and_can_be_replaced(tmp_path: Path) -> None:
    declared = declare(tmp_path, "seconds = 60 * 60\nrows = 1")
    assert check_parameters(declared, {}) == {"rows": 1}
    assert check_parameters(declared, {"seconds": 5}) == {"seconds": 5, "rows": 1}


def test_lists_dicts_and_nulls_are_given_as_json(tmp_path: Path) -> None:
    declared = declare(
        tmp_path, "a: list = []\nb: dict = {}\nc: int | None = 1\nd = None\ne: str | None = ''"
    )
    given = {"a": '["x", 1]', "b": '{"k": null}', "c": "null", "d": "text", "e": "null"}
    expected = {"a": ["x", 1], "b": {"k": None}, "c": None, "d": "text", "e": "null"}
    assert check_parameters(declared, parse_text(declared, given)) == expected
    for name, text, says in (
        ("a", "x", "a JSON list"),
        ("b", "[1]", "a JSON object"),
        ("c", "x", "whole number"),
    ):
        with pytest.raises(UsageError, match=says):
            parse_text(declared, {name: text})


def test_a_date_is_given_as_its_text(tmp_path: Path) -> None:
    declared = declare(tmp_path, "since: str = ''\nuntil = None")
    day = date(2024, 1, 5)
    assert check_parameters(declared, {"since": day, "until": day}) == dict.fromkeys(
        ("since", "until"), "2024-01-05"
    )


def test_an_address_with_a_password_is_refused_and_not_shown(tmp_path: Path) -> None:
    declared = read_parameters(tiny.write(tmp_path / "n.ipynb", tiny.parameters('source: str = "a"')))
    for value in ("https://me:hunter2@host/p.csv", "a.csv\nhttps://:hunter2@host/p.csv"):
        for check in (check_parameters, parse_text):
            with pytest.raises(
                UsageError, match="parameter source holds an address with a password"
            ) as refused:
                check(declared, {"source": value})
            assert "hunter2" not in str(refused.value)
    plain = {"source": "https://host:80/a:b@c.csv"}
    assert check_parameters(declared, plain) == plain


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("sv=2024&sig=hunter2", "sig"),
        ("X-Amz-Date=1&X-Amz-Signature=hunter2", "X-Amz-Signature"),
        ("Expires=1&Signature=hunter2", "Signature"),
        ("X%2DGoog%2DSignature=hunter2", "X-Goog-Signature"),
        ("a=1;access_token=hunter2", "access_token"),
        ("api_key=hunter2#part", "api_key"),
    ],
)
def test_an_address_with_a_secret_in_its_query_is_refused_and_not_shown(query: str, field: str) -> None:
    for value in (f"https://host/p.csv?{query}", f"a.csv\nhttps://host/p.csv?{query}\nb.csv"):
        with pytest.raises(UsageError, match=rf"parameter source .* in its query \({field}\)") as refused:
            refuse_secret_address("source", value)
        assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "value",
    [
        "https://host/p.csv?design=1&page=2",
        "https://host/sig=1/p.csv",
        "part?.csv",
        "rejected:sig=1",
        "a?sig=1",
    ],
)
def test_other_sources_are_let_through(value: str) -> None:
    refuse_secret_address("source", value)


def test_two_parameters_cells_are_refused(tmp_path: Path) -> None:
    book = tiny.write(tmp_path / "n.ipynb", tiny.parameters("a: int = 1"), tiny.parameters("b: int = 1"))
    with pytest.raises(UsageError, match="2 cells are tagged `parameters`; expected exactly one"):
        read_parameters(book)


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        "[]",
        "{}",
        '{"cells": 5}',
        '{"cells": ["x"]}',
        '{"cells": [{"cell_type": "sql", "metadata": {}, "source": ""}]}',
        '{"cells": [{"cell_type": "code", "metadata": {}, "source": 1}]}',
        b"\xff\xfe{\0}\0",
    ],
)
def test_a_file_that_is_no_notebook_is_refused(tmp_path: Path, content: str | bytes) -> None:
    (tmp_path / "n.ipynb").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match=r"n\.ipynb: is not a notebook"):
        read_parameters(tmp_path / "n.ipynb")


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.ipynb: cannot be read as a notebook: No such file"):
        read_parameters(tmp_path / "none.ipynb")


def test_given_values_take_the_place_of_defaults_and_keep_their_types() -> None:
    checked = check_parameters(DECLARED, {"dataset": "007", "percent": 2})
    assert checked == {"dataset": "007", "page_size": 1000, "percent": 2.0, "force": False}
    assert [type(value) for value in checked.values()] == [str, int, float, bool]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"datset": "x"}, "unknown parameter datset; this notebook has dataset: str, page_size: int"),
        ({"dataset": 7}, "parameter dataset is 7 (int); expected str"),
        ({"dataset": None}, "expected str"),
        ({"dataset": "\udcff"}, "encoded as UTF-8"),
        ({"page_size": "10"}, "parameter page_size is '10' (str); expected int"),
        ({"page_size": True}, "parameter page_size is True (bool); expected int"),
        ({"page_size": 1.0}, "expected int"),
        ({"percent": float("nan")}, "finite"),
        ({"percent": 10**400}, "too large"),
        ({"percent": True}, "expected float"),
        ({"force": 1}, "parameter force is 1 (int); expected bool"),
        ({"api_token": "x"}, "looks like a secret"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(given: dict, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_parameters(DECLARED, given)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "value", ["hunter2-horse", "https://me:hunter2@host/", {"a": "hunter2"}, ["hunter2"], "hunter2\udcff"]
)
def test_a_value_of_the_wrong_type_is_not_echoed_where_it_may_be_a_secret(value: object) -> None:
    for check in (check_parameters, parse_text) if isinstance(value, str) else (check_parameters,):
        for name in ("page_size", "percent", "force", "dataset"):
            if name != "dataset" or value != "hunter2-horse":
                with pytest.raises(UsageError, match=f"parameter {name}") as refused:
                    check(DECLARED, {name: value})  # type: ignore[dict-item]
                assert "hunter2" not in str(refused.value)


def test_a_number_or_a_day_of_the_wrong_type_is_echoed() -> None:
    with pytest.raises(UsageError, match="page_size is '2024-09-23'; expected a whole number"):
        parse_text(DECLARED, {"page_size": "2024-09-23"})
    with pytest.raises(UsageError, match="page_size is a text of length 3; expected a whole number"):
        parse_text(DECLARED, {"page_size": "ten"})


def test_a_missing_required_value_is_refused() -> None:
    with pytest.raises(UsageError, match="missing parameter since"):
        check_parameters([Parameter("since", "str", None, required=True)], {})
    assert check_parameters([Parameter("since", "str", None, required=True)], {"since": ""}) == {"since": ""}


def test_text_becomes_the_declared_type_and_text_stays_text() -> None:
    given = {"dataset": "007", "page_size": "-12", "percent": "1e-3", "force": "true"}
    assert parse_text(DECLARED, given) == {
        "dataset": "007",
        "page_size": -12,
        "percent": 0.001,
        "force": True,
    }
    assert parse_text(DECLARED, {"percent": "5", "force": "false"}) == {"percent": 5.0, "force": False}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("force", "True", "expected `true` or `false`"),
        ("force", "1", "expected `true` or `false`"),
        ("page_size", "1_000", "expected a whole number"),
        ("page_size", "1.0", "expected a whole number"),
        ("page_size", " 1", "expected a whole number"),
        ("page_size", "9" * 5000, "expected a whole number"),
        ("percent", "nan", "expected a number"),
        ("percent", "inf", "expected a number"),
        ("percent", "1e999", "finite"),
        ("percent", "", "expected a number"),
        ("nope", "1", "unknown parameter nope"),
        ("password", "1", "looks like a secret"),
    ],
)
def test_text_that_does_not_read_as_its_type_is_refused(name: str, text: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_text(DECLARED, {name: text})
    assert says in str(refused.value)
