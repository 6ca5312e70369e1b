"""A file is read as Jupyter and papermill would, repaired where they are lenient, or refused in words."""

import json
from typing import Any

import nbformat
import pytest

from notebook_pipeline.errors import UsageError
from notebook_pipeline.running.notebook_reader import read_notebook


def cell(**fields: Any) -> dict[str, Any]:
    plain = {"cell_type": "code", "source": "1", "metadata": {}, "outputs": [], "execution_count": None}
    return plain | fields


def notebook(*cells: Any, **fields: Any) -> bytes:
    plain = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(plain | fields).encode()


OLD = {"cell_type": "code", "input": "1", "language": "python", "outputs": [], "collapsed": False}
SHEETS = [{"cells": [OLD], "metadata": {}}]
ACCEPTED = {
    "as it is": notebook(cell(id="a")),
    "a byte order mark": b"\xef\xbb\xbf" + notebook(cell()),
    "no metadata": json.dumps({"cells": [{"cell_type": "code", "source": ["1"]}]}).encode(),
    "metadata that is null": notebook(cell(metadata=None), metadata=None),
    "metadata that is a list": notebook(cell(metadata=[]), metadata=[]),
    "tags that are null": notebook(cell(metadata={"tags": None})),
    "tags twice": notebook(cell(metadata={"tags": ["a", "a", 1]})),
    "no source": notebook(cell(source=None)),
    "outputs that are damaged": notebook(cell(outputs=[{"output_type": "?"}])),
    "identifiers that are refused": notebook(cell(id="a b"), cell(id=7), cell(id="x" * 65)),
    "identifiers twice": notebook(cell(id="a"), cell(id="a"), cell(id="a-1")),
    "unknown fields": notebook(cell(prompt=1), nbformat_minor=9, worksheets=[]),
    "a kernelspec that is null": notebook(cell(), metadata={"kernelspec": None, "language_info": "x"}),
    "half a surrogate pair": notebook(cell(source="print('\ud800')")),
    "nbformat 3": json.dumps(
        {"worksheets": SHEETS, "metadata": {}, "nbformat": 3, "nbformat_minor": 0}
    ).encode(),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_lenient_is_repaired_to_a_valid_notebook(name: str) -> None:
    read = read_notebook(ACCEPTED[name], "n.ipynb")
    nbformat.validate(nbformat.from_dict(read))
    json.dumps(read, ensure_ascii=False).encode()
    assert len({cell["id"] for cell in read["cells"]}) == len(read["cells"])
    assert all(isinstance(cell["metadata"]["tags"], list) for cell in read["cells"])


REFUSED = {
    "nbformat 5": (notebook(cell(), nbformat=5), "found nbformat 5, expected 4"),
    "no JSON": (b"{", "is not a notebook, which is JSON in UTF-8"),
    "another encoding": (b'{"cells": ["\xe9"]}', "is not a notebook, which is JSON in UTF-8"),
    "nothing": (b"", "is not a notebook, which is JSON in UTF-8"),
    "deep": (b"[" * 100_000, "is not a notebook, which is JSON in UTF-8"),
    "a list": (b"[]", "found a JSON list, expected an object"),
    "no cells": (b"{}", "found no list of `cells`"),
    "another cell": (notebook(cell(), cell(cell_type="sql")), "cell 2 is of the type 'sql'; expected one of"),
    "no cell": (notebook("x"), "cell 1 is of the type 'x'"),
    "a source of numbers": (notebook(cell(source=[1])), "the source of cell 1 is neither text nor a list"),
    "nbformat 3 without sheets": (b'{"nbformat": 3}', "cannot be converted from nbformat 3"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_notebook_is_refused_in_words(name: str) -> None:
    content, says = REFUSED[name]
    with pytest.raises(UsageError) as refused:
        read_notebook(content, "n.ipynb")
    assert str(refused.value).startswith("n.ipynb: ")
    assert says in str(refused.value)
