"""Credentials are sent as the connection says, to its own server, and stand nowhere else."""

import base64
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import failing_server as fs
import pyarrow as pa
import pytest
from api_shapes import SHAPES, Answer, Api, Asked, serving
from declared import PLAYER

from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.sources.http.http_client import Client
from notebook_pipeline.sources.http.rest import RestSource
from notebook_pipeline.sources.http.retries import Patience

QUICK = Patience(tries=2, backoff=0.001, jitter=0.001, budget=60)
KEY = "k3y-of+the/api=9"
LOGIN = "client-7"
BY_NAME = {shape.name: shape for shape in SHAPES}

QUERY = {"type": "query", "name": "api key"}
HEADER = {"type": "header", "name": "X-Api-Key"}
BEARER = {"type": "bearer"}
OAUTH = {"type": "oauth2", "token_url": "/oauth/token", "scope": "read", "audience": "things"}


@pytest.fixture
def api() -> Iterator[Api]:
    """Return an API whose addresses of next pages repeat the whole query, as many do."""
    with serving(Api(BY_NAME["Link header"], fs.make_rows(25))) as api:
        yield api


def read(api: Api, landing: Path, auth: dict[str, str], **extra: Any) -> RestSource:
    dataset = replace(PLAYER, api=api.shape.rest)
    connection = api.connection(login=LOGIN, password=KEY, extra={"auth": auth, **extra})
    source = RestSource(connection, dataset, "", page_size=10, landing=landing, patience=QUICK)
    rows = [row for batch in source.batches() for row in getattr(batch, "received", [])]
    assert sorted(row["player_id"] for row in rows) == sorted(row["player_id"] for row in api.rows)
    return source


def landed(folder: Path) -> str:
    found = "".join(path.read_text() for path in folder.glob("*.json"))
    for page in folder.glob("page-*.zst"):
        with pa.input_stream(str(page), compression="zstd") as stream:
            found += stream.read().decode()
    return found


def test_a_key_is_a_query_parameter_of_every_page_and_stands_nowhere(
    api: Api, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    api.instead = {1: (503, {}, {"you sent": KEY})}
    with caplog.at_level(logging.DEBUG, logger="notebook_pipeline"):
        source = read(api, tmp_path, QUERY)
    assert [asked.query["api key"] for asked in api.asked] == [KEY] * 4
    assert not any("authorization" in asked.headers for asked in api.asked)
    kept = source.name + str(source.ending().notes) + landed(tmp_path) + caplog.text
    for form in (KEY, "k3y-of%2Bthe%2Fapi%3D9"):
        assert form not in kept


def test_a_key_is_not_shown_in_an_error(api: Api, tmp_path: Path) -> None:
    for answer in ((400, {}, {"url": f"/things?api+key={KEY}"}), (200, {}, f"<{KEY}>".encode())):
        api.instead = dict.fromkeys(range(99), answer)
        with pytest.raises(PipelineError) as caught:
            read(api, tmp_path, QUERY)
        assert KEY not in str(caught.value)
        assert "k3y-of%2B" not in str(caught.value)


def test_a_key_is_a_header(api: Api, tmp_path: Path) -> None:
    read(api, tmp_path, HEADER)
    assert [asked.headers["x-api-key"] for asked in api.asked] == [KEY] * 3
    assert not any("authorization" in asked.headers for asked in api.asked)


def test_the_password_is_a_bearer_token(api: Api, tmp_path: Path) -> None:
    read(api, tmp_path, BEARER)
    assert [asked.headers["authorization"] for asked in api.asked] == [f"Bearer {KEY}"] * 3


class OAuthApi(Api):
    """Ask for a token that ends after two pages; `basic` says how the client has to say who it is."""

    basic = True
    tokens = 0
    left = 0

    def answer(self, asked: Asked) -> Answer:
        if asked.path != "/oauth/token":
            expected = f"Bearer t0ken-number-{self.tokens}"
            if asked.headers.get("authorization") != expected or not self.left:
                return 401, {}, {"error": "invalid_token", "sent": asked.headers.get("authorization")}
            self.left -= 1
            return super().answer(asked)
        form = dict(pair.split("=") for pair in asked.body.split("&"))
        pair = base64.b64encode(f"{LOGIN}:k3y-of%2Bthe%2Fapi%3D9".encode()).decode()
        is_basic = asked.headers.get("authorization") == f"Basic {pair}"
        in_form = (form.pop("client_id", ""), form.pop("client_secret", ""))
        if not (is_basic if self.basic else in_form == (LOGIN, "k3y-of%2Bthe%2Fapi%3D9")):
            return 401, {}, {"error": "invalid_client", "secret": KEY}
        assert form == {"grant_type": "client_credentials", "scope": "read", "audience": "things"}
        self.tokens += 1
        self.left = 2
        return 200, {}, {"access_token": f"t0ken-number-{self.tokens}", "expires_in": 3600}


@pytest.mark.parametrize("basic", [True, False])
def test_a_token_is_requested_and_renewed_on_401(
    basic: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(OAuthApi(BY_NAME["Link header"], fs.make_rows(45))) as api:
        assert isinstance(api, OAuthApi)
        api.basic = basic
        source = read(api, tmp_path, OAUTH)
        assert api.tokens == 3
    assert "t0ken" not in source.name + str(source.ending().notes) + landed(tmp_path) + caplog.text


def test_a_token_that_is_refused_fails_without_being_shown(tmp_path: Path) -> None:
    with serving(OAuthApi(BY_NAME["Link header"], fs.make_rows(45))) as api:
        api.answer = lambda asked: (  # pyright: ignore[reportAttributeAccessIssue]
            (200, {}, {"access_token": "t0ken-number-1"})
            if asked.path == "/oauth/token"
            else (401, {}, {"sent": asked.headers.get("authorization")})
        )
        with pytest.raises(PipelineError, match=r"401 .*check the login, password or token") as caught:
            read(api, tmp_path, OAUTH)
    assert "t0ken" not in str(caught.value)


def test_a_client_that_is_refused_is_told_what_to_check(tmp_path: Path) -> None:
    with serving(OAuthApi(BY_NAME["Link header"], fs.make_rows(45))) as api:
        api.answer = lambda asked: (400, {}, {"error": "invalid_client", "you": KEY})  # pyright: ignore[reportAttributeAccessIssue]
        with pytest.raises(PipelineError) as caught:
            read(api, tmp_path, OAUTH)
    assert (
        f"400 without an access token from {api.url}/oauth/token (invalid_client); check login (client id), "
        "password (client secret) and `auth` of the connection"
    ) in str(caught.value)
    assert KEY not in str(caught.value)


def test_no_credential_goes_to_another_server(api: Api, tmp_path: Path) -> None:
    with serving(Api(BY_NAME["Link header"], api.rows)) as other:
        for auth in (QUERY, HEADER, BEARER):
            api.instead = {len(api.asked): (307, {"Location": f"{other.url}/things"}, {})}
            read(api, tmp_path / auth["type"], auth)
    assert len(other.asked) == 3
    for asked in other.asked:
        assert KEY not in json.dumps([asked.query, asked.headers])


@pytest.mark.parametrize(
    ("auth", "reason"),
    [
        ({"type": "digest"}, "must be an object whose type is one of basic, query, header, bearer, oauth2"),
        ("bearer", "must be an object whose type is one of"),
        ({"type": "query"}, r"must be {\"type\": \"query\", \"name\": …} with the name of the query"),
        ({"type": "oauth2"}, r"must be {\"type\": \"oauth2\", \"token_url\": …}"),
    ],
)
def test_a_wrong_auth_is_refused(auth: object, reason: str) -> None:
    connection = Connection("api", "http", host="localhost", password=KEY, extra={"auth": auth})
    with pytest.raises(UsageError, match=reason):
        Client(connection)


def test_a_missing_key_is_named() -> None:
    connection = Connection("api", "http", host="localhost", extra={"auth": BEARER})
    with pytest.raises(UsageError, match="'api' has no password; set it to the token that `auth`"):
        Client(connection)


def test_only_the_password_is_a_secret_of_auth() -> None:
    assert Connection("api", "http", login=LOGIN, password=KEY, extra={"auth": OAUTH}).secrets() == [KEY]
