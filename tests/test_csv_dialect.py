"""How CSV files are written is told from their first rows."""

import pytest

from notebook_pipeline.declare import Files
from notebook_pipeline.discovery.csv_dialect import dialect_of

HEADED = "the first row looks like data; is there no header? Then name the columns"


@pytest.mark.parametrize(
    ("text", "files", "width"),
    [
        ("id,n\n1,2\n", Files(), 2),
        ("id;n\n1;2,5\n2;3,5\n", Files(delimiter=";"), 2),
        ("1;2,5;3,5\n2;2,5;3,5\n", Files(delimiter=";", header=False), 3),
        ("id\tn\n1\ta,b\n", Files(delimiter="\t"), 2),
        ("id|n\n1|a,b\n", Files(delimiter="|"), 2),
        ("name,n\n'it',1\n\"a, b\",2\n", Files(), 2),
        ("'id','n'\n'1','a, b'\n", Files(quote="'"), 2),
        ('id,n\n1,"a\n\nb, c"\n', Files(), 2),
        ('id,n\n1,"a \\"b\\", c"\n2,d\n', Files(escape="\\"), 2),
        ('id\tinch\n1\t"5\n2\t6\n3\t7\n', Files(delimiter="\t", quote=""), 2),
        ("Title\n\nid;n;m\n1;2;3\n2;3;4\n", Files(delimiter=";", skip_lines=2), 3),
        ("Title;;;\nid;n;m;k\n1;2;3;4\n2;3;4;5\n", Files(delimiter=";", skip_lines=1), 4),
        ("sep=;\nid;n\n1;2\n", Files(delimiter=";", skip_lines=1), 2),
        ("id,n,\n1,2,\n3,4,\n", Files(), 2),
        ("id,n\n1,2,\n3,4,\n", Files(), 2),
        ("country,2019,2020\na,1,2\n", Files(), 3),
        ("word\napple\n", Files(), 1),
    ],
)
def test_a_dialect_is_told(text: str, files: Files, width: int) -> None:
    found = dialect_of(text, "utf-8", is_whole=True)
    assert (found.files, found.width) == (files, width)


def test_a_truncated_text_is_enough() -> None:
    text = "id;text\n" + "".join(f'{number};"line\n{number}"\n' for number in range(50))
    assert dialect_of(text[:-7], "utf-8", is_whole=False).files == Files(delimiter=";")


def test_a_guess_about_the_header_is_marked() -> None:
    assert dialect_of("1,a\n2,b\n", "utf-8", is_whole=True).remarks == (HEADED,)
    assert dialect_of("a,b\nc,d\n", "utf-8", is_whole=True).remarks == (
        "every column is text; does the first row hold the names of columns?",
    )
    assert dialect_of("id,name\n1,a\n", "utf-8", is_whole=True).remarks == ()
