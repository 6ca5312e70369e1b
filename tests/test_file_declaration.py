"""How bulk files are written, checked where it is declared."""

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from declared import PLAYER

from notebook_pipeline.declare import Column, Files
from notebook_pipeline.errors import UsageError


def test_files_are_csv_of_the_usual_form_unless_they_say_otherwise() -> None:
    assert Files() == Files(
        "repository_raw_url",
        format="",
        header=True,
        delimiter=",",
        encoding="utf-8",
        quote='"',
        escape="",
        decimal=".",
        thousands="",
        nulls=("",),
        skip_lines=0,
        comment="",
        optional=(),
        folders=(),
        snapshot=False,
    )
    assert Files(nulls=["NA"], optional=["a"], folders=["b"]) == Files(  # type: ignore[arg-type]
        nulls=("NA",), optional=("a",), folders=("b",)
    )


ONE = "expected one ASCII character that is not a line break"
SIGN = "expected one character that is no digit, letter or sign"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"format": "xlsx"}, "format is 'xlsx'; expected '' to tell it from each file, or one of csv, tsv, "),
        ({"delimiter": ""}, f"delimiter is ''; {ONE}"),
        ({"delimiter": "||"}, f"delimiter is '||'; {ONE}"),
        ({"delimiter": "\n"}, f"delimiter is '\\n'; {ONE}"),
        ({"delimiter": "§"}, f"delimiter is '§'; {ONE}"),
        ({"quote": "''"}, f"quote is \"''\"; {ONE}, or '' for none"),
        ({"quote": ","}, "quote is ','; expected another character than delimiter"),
        ({"escape": "ab"}, f"escape is 'ab'; {ONE}, or '' for none"),
        ({"escape": ","}, "escape is ','; expected another character than delimiter"),
        ({"encoding": "latin-99"}, "encoding is 'latin-99'; expected a text encoding that Python knows"),
        ({"encoding": "base64"}, "encoding is 'base64'; expected a text encoding that Python knows"),
        ({"decimal": ""}, f"decimal is ''; {SIGN}"),
        ({"decimal": "5"}, f"decimal is '5'; {SIGN}"),
        ({"decimal": "-"}, f"decimal is '-'; {SIGN}"),
        ({"thousands": ".,"}, f"thousands is '.,'; {SIGN}, or '' for none"),
        ({"thousands": "."}, "thousands is '.'; expected another character than decimal"),
        ({"skip_lines": -1}, "skip_lines is -1; expected 0 or more lines"),
        ({"comment": "#\n"}, "comment is '#\\n'; expected text without a line break"),
        ({"comment": ",#"}, "comment is ',#'; expected text that begins with neither the delimiter"),
        ({"nulls": "NA"}, "nulls is 'NA'; expected a tuple of text"),
        ({"optional": ("a",), "folders": ("a",)}, "optional and folders both name ['a']"),
    ],
)
def test_what_cannot_be_is_refused_with_the_value_and_what_is_allowed(
    arguments: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UsageError) as caught:
        Files(**arguments)
    assert str(caught.value).startswith(f"Files: {reason}")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (Files(optional=("shoe",)), "dataset 'player': optional of its files names ['shoe']; it declares ["),
        (Files(folders=("shoe",)), "dataset 'player': folders of its files names ['shoe']; it declares ["),
        (
            Files(optional=("first_name",)),
            "dataset 'player': optional of its files names ['first_name'], which must not be null",
        ),
    ],
)
def test_columns_of_files_must_be_declared(files: Files, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        replace(PLAYER, files=files)
    assert str(caught.value).startswith(reason)


def test_a_column_that_may_be_null_may_be_optional() -> None:
    columns = (*PLAYER.columns, Column("shoe_size", pa.int64()))
    declared = replace(PLAYER, columns=columns, files=Files(optional=("shoe_size",)))
    assert declared.files.optional == ("shoe_size",)
