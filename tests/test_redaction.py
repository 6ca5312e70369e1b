"""No secret leaves the runner in any form it is known to take, however it is cut into pieces."""

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notebook_pipeline.connections import Connection
from notebook_pipeline.secrets.redaction import MASK, RedactedStream, Redactor

PLAIN = "hunter2-correct-horse"
HARD = "p@ss w\"ör'd<&>/+%\\x"
SLASHES = "hunter2/correct/horse"
SECRETS = (PLAIN, HARD, SLASHES)


def redactor(secret: str, login: str = "admin") -> Redactor:
    return Redactor([Connection("c", "http", login=login, password=secret)])


FORMS = {
    "plain": str,
    "json": json.dumps,
    "json utf-8": lambda s: json.dumps(s, ensure_ascii=False),
    "json in json": lambda s: json.dumps(json.dumps(s)),
    "repr": repr,
    "repr in a list with quotes": lambda s: repr([s, '"']),
    "repr in json": lambda s: json.dumps(repr(s)),
    "html": html.escape,
    "html text": lambda s: html.escape(s, quote=False),
    "repr in html": lambda s: html.escape(repr(s)),
    "json in html": lambda s: html.escape(json.dumps(s)),
    "url": lambda s: quote(s, safe=""),
    "url path": quote,
    "form": quote_plus,
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 for urls": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    "hex": lambda s: s.encode().hex(),
    "hex in capitals": lambda s: s.encode().hex().upper(),
    "url in json": lambda s: json.dumps({"url": f"http://admin:{quote(s, safe='')}@host/"}),
}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("form", FORMS)
def test_every_escaped_form_is_masked(form: str, secret: str) -> None:
    written = FORMS[form](secret)
    said = redactor(secret).text(f"before {written} after")
    assert said.startswith("before ")
    assert said.endswith(" after")
    assert MASK in said
    assert said.count("***") == 1
    assert not any(piece in said for piece in ("hunter2", "horse", "p@ss", "p%40ss", "ss w", "ss+w"))


def test_login_and_password_together_leave_nothing() -> None:
    written = base64.b64encode(f"admin:{PLAIN}".encode()).decode()
    assert redactor(PLAIN).text(f"Authorization: Basic {written}") == f"Authorization: Basic {MASK}"


def test_a_long_secret_that_is_cut_short_is_masked_too() -> None:
    secret = "-".join(f"part{number:02}" for number in range(20))
    assert redactor(secret).text(f"token {secret[:47]}... end") == f"token {MASK}... end"


def test_each_line_of_a_secret_of_many_lines_is_masked() -> None:
    secret = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----"
    connection = Connection("c", "http", extra={"private_key": secret})
    said = Redactor([connection]).text(f"one {secret}\n  > MIIEvQIBADANBg\n{json.dumps(secret)}")
    assert said == f'one {MASK}\n  > {MASK}\n"{MASK}"'


def test_secret_extras_are_masked_and_other_extras_are_not() -> None:
    connection = Connection(
        "c", "http", extra={"token": "tok-123456", "region": "eu-west", "n": {"secret": 7777777}}
    )
    said = Redactor([connection]).text("tok-123456 eu-west 7777777")
    assert said == f"{MASK} eu-west {MASK}"


@pytest.mark.parametrize("scheme", ["Bearer", "Token", "bearer"])
def test_a_token_is_masked_without_its_scheme_too(scheme: str) -> None:
    connection = Connection("c", "http", extra={"Authorization": f"{scheme} abc-token-1"})
    assert (
        Redactor([connection]).text(f"it is abc-token-1 or {scheme} abc-token-1") == f"it is {MASK} or {MASK}"
    )


def test_the_password_in_a_basic_header_or_in_a_host_is_masked_too() -> None:
    header = "Basic " + base64.b64encode(b"me:hunter2-horse").decode()
    for connection in (
        Connection("c", "http", extra={"Authorization": header}),
        Connection("c", "http", host="https://me:hunter2%2Dhorse@example.org/x"),
    ):
        assert Redactor([connection]).text("me hunter2-horse") == f"me {MASK}"
    assert Redactor([Connection("c", "http", host="https://example.org")]).text("https") == "https"


def test_secrets_that_overlap_leave_nothing_of_either() -> None:
    both = Redactor(
        [Connection("a", "http", password="abcdefgh"), Connection("b", "http", password="fghijklm")]
    )
    assert both.text("x abcdefghijklm y") == f"x {MASK} y"


def test_one_secret_that_begins_another_leaves_no_tail() -> None:
    both = Redactor(
        [Connection("a", "http", password="secret"), Connection("b", "http", password="secretary")]
    )
    assert both.text("a secretary, a secret") == f"a {MASK}, a {MASK}"
    stream = RedactedStream(both)
    assert stream.feed("a secret") + stream.feed("ary.") + stream.flush() == f"a {MASK}."


def test_data_is_masked_at_any_depth_keys_too() -> None:
    value = {"a": [PLAIN, {"b": f"x{PLAIN}y"}], PLAIN: 1, "n": None, "f": 1.5, "t": True}
    assert redactor(PLAIN).data(value) == {
        "a": [MASK, {"b": f"x{MASK}y"}],
        MASK: 1,
        "n": None,
        "f": 1.5,
        "t": True,
    }


@pytest.mark.parametrize("weak", ["xyz12", "player", "Last_Name", "analytics"])
def test_a_weak_secret_is_masked_only_where_a_credential_stands_and_warned_of_once(weak: str) -> None:
    words = ("player", "last_name", "analytics_database", "max_rejected_rows")
    connections = [
        Connection("c", "http", login="me", password=weak, extra={"token": weak, "more_secret": "a"})
    ]
    found = Redactor(connections, words)
    assert len(found.warnings) == 1
    assert "connection 'c' has a secret that is too weak to be masked everywhere" in found.warnings[0]
    assert f" {weak} " not in found.warnings[0]
    plain = {f"x {weak} y": f"meta{weak}", "image/png": f"AA{weak}AA"}
    assert found.data(plain) == plain
    assert not found.is_in(f"the {weak} of it")
    pair = base64.b64encode(f"me:{weak}".encode()).decode()
    assert found.text(f"http://me:{weak}@host/{weak} Basic {pair}, Authorization: Bearer {weak}") == (
        f"http://{MASK}@host/{weak} Basic {MASK}, Authorization: {MASK}"
    )
    assert redactor(PLAIN).warnings == []


@pytest.mark.parametrize("secret", ["metadata", "execution_count", "text/plain", "traceback"])
def test_a_secret_that_is_a_name_of_the_protocol_leaves_messages_whole(secret: str) -> None:
    content = {
        "data": {"text/plain": f"a {secret}", "image/png": "AAAA"},
        "metadata": {},
        "execution_count": 1,
        "traceback": [secret],
    }
    assert redactor(secret).message(content) == {
        **content,
        "data": {"text/plain": f"a {MASK}", "image/png": "AAAA"},
        "traceback": [MASK],
    }


def test_without_secrets_everything_passes_at_once() -> None:
    stream = RedactedStream(Redactor([Connection("c", "http", login="admin")]))
    assert stream.feed("abc") == "abc"
    assert stream.flush() == ""


def test_a_piece_is_held_back_only_while_it_may_begin_a_secret() -> None:
    stream = RedactedStream(redactor(PLAIN))
    assert stream.feed("hello hunter") == "hello "
    assert stream.feed("s at dawn\n") == "hunters at dawn\n"
    assert stream.feed("hunter2-corr") == ""
    assert stream.feed("ect-horse!") == f"{MASK}!"
    assert stream.feed("hun") == ""
    assert stream.flush() == "hun"
    assert stream.flush() == ""


@given(
    st.lists(
        st.sampled_from([PLAIN, HARD, json.dumps(HARD), quote(HARD), "h", "hunter2-", "p@ss ", "\n", "abc"])
    ),
    st.lists(st.integers(1, 30)),
)
def test_a_stream_says_the_same_however_it_is_cut(parts: list[str], sizes: list[int]) -> None:
    both = Redactor([Connection("a", "http", password=PLAIN), Connection("b", "http", password=HARD)])
    text = "".join(parts)
    stream = RedactedStream(both)
    said, rest = "", text
    for size in sizes:
        said += stream.feed(rest[:size])
        rest = rest[size:]
    said += stream.feed(rest) + stream.flush()
    assert said == both.text(text)
    assert not any(secret in said for secret in SECRETS)
