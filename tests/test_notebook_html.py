"""Notebooks as HTML: what a reader sees, and what no notebook can make a browser do."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from markupsafe import Markup
from nbformat import v4
from story import code, printed, shown

from notebook_pipeline.review.html import render
from notebook_pipeline.review.notebook_html import Cell, Output, current, render_cells, render_markdown
from notebook_pipeline.review.sanitise import clean_html
from notebook_pipeline.running import artefact_metadata

ATTACKS = [
    "<script>alert(1)</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<img src=x onerror='alert(1)'/>",
    '<img/src="x"/onerror=alert(1)>',
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    '<a href="javascript:alert(1)">x</a>',
    '<a href="&#106;avascript:alert(1)">x</a>',
    '<a href="https://x/&quot; onclick=&quot;alert(1)">x</a>',
    '<iframe src="javascript:alert(1)"></iframe>',
    '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    "<style>@import url(https://x)</style>",
    '<p style="background:url(https://x)">x</p>',
    '<meta http-equiv="refresh" content="0;url=https://x">',
    "<base href=https://x>",
    '<form action="https://x"><input name=a onfocus=alert(1) autofocus></form>',
    "<object data=x></object><embed src=x>",
    "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
    "<table background='javascript:alert(1)'><tr><td>1</td></tr></table>",
    "<details open ontoggle=alert(1)>x</details>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<div <b onmouseover=alert(1)>x</b>",
    "<b\nonclick=alert(1)>x</b>",
    "<img src='data:image/svg+xml;base64,PHN2Zz4='>",
    "<img src='https://x/pixel.png'>",
    "<template><script>alert(1)</script></template>",
    "<textarea><img src=x onerror=alert(1)></textarea>",
    "<title><script>alert(1)</script></title>",
    "<script",
    "<!--",
]
ACTIVE = re.compile(
    r"<(script|style|iframe|object|embed|svg|math|meta|base|form|input|link|template|noscript|textarea)\b"
    r"|<[^>]*\s(on\w+|style|background|srcdoc)=|<[^>]*(javascript:|url\()|<(img|a)\b[^>]*(src|href)=\"(?!data:image/(png|jpeg|gif);|https://)",
    re.IGNORECASE,
)


def cells(*made: Any) -> list[Cell]:
    return render_cells(dict(v4.new_notebook(cells=list(made))))


def outputs(*made: Any) -> Sequence[Output]:
    joined = [{"data": {}, "text": "", **output} for output in made]
    return render_cells({"cells": [{**code("x"), "outputs": joined}]})[0].outputs


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_html_is_active_once_it_is_cleaned(attack: str) -> None:
    assert not ACTIVE.search(clean_html(attack))
    assert not ACTIVE.search(render_markdown(attack))
    assert not ACTIVE.search(render_markdown(f"text {attack} text"))


@pytest.mark.parametrize("attack", ["<b>x</b>", "[x](https://x.y/z)", "![x](data:image/png;base64,AAAA)"])
def test_the_search_for_active_html_lets_harmless_html_pass(attack: str) -> None:
    assert not ACTIVE.search(render_markdown(attack))
    assert "<" in render_markdown(attack)


@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if "<" in attack[1:]][:6])
def test_the_search_for_active_html_finds_what_is_not_cleaned(attack: str) -> None:
    assert ACTIVE.search(attack)


def test_a_data_frame_keeps_its_table_and_its_text() -> None:
    table = (
        "<div>\n<style scoped>\n  .dataframe tbody tr th { vertical-align: top; }\n</style>\n"
        '<table border="1" class="dataframe"><thead><tr style="text-align: right;"><th></th>'
        "<th>a &amp; b</th></tr></thead><tbody><tr><th>0</th><td>1 < 2</td></tr></tbody></table></div>"
    )
    assert clean_html(table) == (
        '<div>\n\n<table><thead><tr style="text-align: right;"><th></th>'
        "<th>a &amp; b</th></tr></thead><tbody><tr><th>0</th><td>1 &lt; 2</td></tr></tbody></table></div>"
    )


def test_what_a_notebook_leaves_open_or_closes_too_often_stays_inside_its_cell() -> None:
    assert clean_html("</main></div><ul><li><b>x</ul>y</section>") == "<ul><li><b>x</b></li></ul>y"


def test_what_is_nested_without_end_is_nested_no_deeper() -> None:
    assert clean_html("<div>" * 10_000 + "x" + "</p>" * 10_000).count("<div>") < 1000


def test_a_link_opens_elsewhere_and_says_nothing_of_where_it_came_from() -> None:
    assert render_markdown("[docs](https://example.org/a?b=c&d=e)") == (
        '<p><a target="_blank" rel="noopener noreferrer" href="https://example.org/a?b=c&amp;d=e">'
        "docs</a></p>\n"
    )


def test_cells_say_how_their_execution_went() -> None:
    made = cells(
        v4.new_markdown_cell("# Title", metadata={"tags": [artefact_metadata.BANNER_TAG]}),
        v4.new_markdown_cell("*text*"),
        code("x = 1", tags=["parameters"]),
        code("x = 2", tags=["injected-parameters"]),
        code("boom()", status="failed"),
        code("later()", status="not run"),
    )
    assert [(cell.kind, cell.state, cell.label) for cell in made] == [
        ("banner", "", ""),
        ("markdown", "", ""),
        ("code", "completed", "parameters"),
        ("code", "completed", "given parameters"),
        ("code", "failed", ""),
        ("code", "not run", ""),
    ]
    assert made[1].content == "<p><em>text</em></p>\n"
    assert current(made) == 4
    assert current(made[:4]) is None


def test_source_is_escaped_and_coloured() -> None:
    [cell] = cells(code("a = '<script>'"))
    assert cell.content == (
        '<span class="hl-n">a</span> <span class="hl-o">=</span> '
        "<span class=\"hl-s1\">'&lt;script&gt;'</span>"
    )


def test_of_several_forms_the_one_that_shows_most_is_chosen() -> None:
    figure = shown(image_png="QUJD\n", text_html="<b>x</b>", text_plain="Half of the rows are new")
    frame = shown(text_html="<b>x</b>", text_plain="x")
    plain = shown(text_plain="<x>")
    script = v4.new_output("display_data", data={"application/javascript": "alert(1)"})
    assert outputs(figure, frame, plain, script) == (
        Output("picture", "data:image/png;base64,QUJD", "Half of the rows are new"),
        Output("html", Markup("<b>x</b>")),
        Output("text", "<x>"),
        Output("note", "application/javascript: not shown here, see the .ipynb"),
    )


def test_a_drawing_is_shown_as_a_picture_in_which_nothing_runs() -> None:
    [drawing] = outputs(v4.new_output("display_data", data={"image/svg+xml": "<svg onload='alert(1)'/>"}))
    assert drawing == Output("picture", "data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9J2FsZXJ0KDEpJy8+")


@pytest.mark.parametrize("content", ["' onerror=alert(1)", 7, None, ""])
def test_a_picture_that_is_none_is_not_shown(content: object) -> None:
    assert outputs({"output_type": "display_data", "data": {"image/png": content, "text/plain": "p"}}) == (
        Output("text", "p"),
    )


def test_streams_and_errors_lose_their_terminal_colours() -> None:
    traceback = v4.new_output("error", ename="E", evalue="v", traceback=["\x1b[31mE\x1b[0m: v", "line"])
    warning = v4.new_output("stream", name="stderr", text="careful")
    assert outputs(printed("\x1b[1mbold\x1b[0m"), warning, traceback) == (
        Output("text", "bold"),
        Output("error", "careful"),
        Output("error", "E: v\nline"),
    )


def test_what_is_too_long_is_cut_and_says_so() -> None:
    [output] = outputs(printed("x" * 100_007))
    assert output.content.endswith("x\n… 7 more characters, see the .ipynb")


def test_a_page_of_a_hostile_notebook_holds_nothing_active() -> None:
    hostile = [
        code(attack, shown(text_html=attack, text_plain=attack), printed(attack)) for attack in ATTACKS
    ]
    page = render("notebook.html", cells=cells(*hostile, *map(v4.new_markdown_cell, ATTACKS)))
    assert not ACTIVE.search(page.partition("<main>")[2])
    assert 'content="default-src &#39;none&#39;; style-src' in page
