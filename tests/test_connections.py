"""Connections read as Airflow reads them, and never shown."""

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from notebook_pipeline import settings
from notebook_pipeline.connections import (
    API,
    DATABASE,
    FILES,
    Connection,
    base_url,
    default,
    postgres_uri,
    resolve,
    sqlite_path,
    variable,
)
from notebook_pipeline.errors import UsageError
from notebook_pipeline.secret_values import is_secret_field, is_secret_name

# Asks Airflow itself what it makes of a variable: the file that SqliteHook opens, the base URL of HttpHook.
ASK_AIRFLOW = """
import json, sys
from airflow.providers.http.hooks.http import HttpHook
from airflow.providers.sqlite.hooks.sqlite import SqliteHook

answers = {}
for name, kind in json.loads(sys.argv[1]).items():
    if kind == "sqlite":
        [(_, _, answers[name])] = SqliteHook(name).get_records("PRAGMA database_list")
    else:
        hook = HttpHook(http_conn_id=name)
        hook.get_conn()
        answers[name] = hook.base_url
print("ANSWERS" + json.dumps(answers))
"""

HTTP = {
    "http_plain": "http://127.0.0.1:8000",
    "http_path": "http://api.example.com/https",
    "http_json": '{"conn_type": "http", "host": "api.example.com", "schema": "https", "port": 8443}',
    "http_json_url": '{"conn_type": "http", "host": "https://api.example.com/base"}',
    "http_encoded": "http://https%3A%2F%2Fapi.example.com%2Fbase",
    "http_login": "http://me:p%40ss@api.example.com:81/http",
}


def sqlite_forms(folder: Path) -> dict[str, str]:
    return {
        "sqlite_json": json.dumps({"conn_type": "sqlite", "host": str(folder / "Json.db")}),
        "sqlite_host": f"sqlite://{quote(str(folder / 'Host.db'), safe='')}",
        "sqlite_path": f"sqlite://{folder}/Path.db",
        "sqlite_relative": '{"conn_type": "sqlite", "host": "output/relative.db"}',
    }


@pytest.fixture(scope="module")
def airflow_says(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what Airflow makes of every form, asked once from the checkout's folder."""
    folder = tmp_path_factory.getbasetemp()
    home = tmp_path_factory.mktemp("checkout")
    (home / "output").mkdir()
    forms = HTTP | sqlite_forms(folder)
    kinds = {name: name.partition("_")[0] for name in forms}
    asked = subprocess.run(
        [sys.executable, "-c", ASK_AIRFLOW, json.dumps(kinds)],
        env={
            "PATH": "/usr/bin:/bin",
            "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
            **{variable(name): text for name, text in forms.items()},
        },
        cwd=home,
        capture_output=True,
        text=True,
    )
    assert "ANSWERS" in asked.stdout, asked.stderr
    return json.loads(asked.stdout.partition("ANSWERS")[2]) | {"home": str(home)}


@pytest.mark.parametrize("name", HTTP)
def test_a_base_url_is_the_one_of_airflow(
    name: str, airflow_says: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable(name), HTTP[name])
    assert base_url(resolve(name)) == airflow_says[name].rstrip("/")


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        (Connection("c", "http", "127.0.0.1/swc/api", port=8783), "http://127.0.0.1:8783/swc/api"),
        (Connection("c", "http", "https://me:p@h/swc/api/", port=8783), "https://me:p@h:8783/swc/api"),
        (Connection("c", "http", "::1"), "http://[::1]"),
        (Connection("c", "http", "::1", port=8783, schema="https"), "https://[::1]:8783"),
        (Connection("c", "http", "me:p:q@fe80::1/swc", port=8783), "http://me:p:q@[fe80::1]:8783/swc"),
        (Connection("c", "http", "[::1]", port=8783), "http://[::1]:8783"),
        (Connection("c", "http", "http://[::1]:8783/swc"), "http://[::1]:8783/swc"),
        (Connection("c", "http", "127.0.0.1:8783"), "http://127.0.0.1:8783"),
    ],
)
def test_a_base_url_has_its_port_behind_the_host(connection: Connection, expected: str) -> None:
    assert base_url(connection) == expected


@pytest.mark.parametrize("name", ["sqlite_json", "sqlite_host", "sqlite_path", "sqlite_relative"])
def test_a_sqlite_file_is_the_one_of_airflow(
    name: str,
    airflow_says: dict,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NOTEBOOK_PIPELINE_HOME", airflow_says["home"])
    monkeypatch.setenv(variable(name), sqlite_forms(tmp_path_factory.getbasetemp())[name])
    assert str(sqlite_path(resolve(name)).resolve()) == airflow_says[name]


def test_every_connection_has_a_default_that_a_checkout_works_with(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (DATABASE, API, FILES):
        monkeypatch.delenv(variable(name), raising=False)
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", "elsewhere")
    assert sqlite_path(resolve(DATABASE)) == settings.home() / "elsewhere" / "analytics_database.db"
    assert base_url(resolve(API)) == "http://127.0.0.1:8000"
    assert resolve(FILES) == Connection(FILES, "fs", extra={"path": str(settings.data())})


def test_an_output_folder_that_no_connection_can_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", "/what?")
    with pytest.raises(UsageError, match="choose another output folder"):
        default(DATABASE)


def test_an_unknown_connection_is_refused_with_the_variable_to_set() -> None:
    with pytest.raises(UsageError, match="AIRFLOW_CONN_NOWHERE"):
        default("nowhere")


@pytest.mark.parametrize(
    "text",
    [
        '{"host": "pass-word-1"}',
        '{"conn_type"',
        '{"conn_type": "http", "extra": ["pass-word-1"]}',
        "http://me:pass-word-1@host:x/",
        "http://host/?__extra__={pass-word-1",
        'http://host/?__extra__=["pass-word-1"]',
    ],
)
def test_an_unreadable_connection_is_refused_without_showing_it(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable("broken"), text)
    with pytest.raises(UsageError) as raised:
        resolve("broken")
    assert "AIRFLOW_CONN_BROKEN" in str(raised.value)
    assert "pass-word-1" not in str(raised.value)


def test_a_connection_survives_being_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Connection(
        "api",
        "http",
        "host",
        "me",
        "pass",
        "https",
        81,
        {"Authorization": "Bearer abc", "deep": {"token": "t"}},
    )
    monkeypatch.setenv(variable("api"), given.to_json())
    assert resolve("api") == given


def test_secrets_are_found_at_any_depth_and_stay_out_of_the_repr() -> None:
    extra = {"X-Api-Key": "key-1", "nested": {"tokens": ["tok-1", {"a": "tok-22"}]}, "timeout": 5}
    connection = Connection("api", "http", "host", "me", "pass-1", extra=extra)
    assert set(connection.secrets()) == {"pass-1", "key-1", "tok-1", "tok-22"}
    assert len(connection.secrets()[0]) == 6
    assert not any(secret in repr(connection) for secret in connection.secrets())


def test_a_password_of_digits_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable("api"), '{"conn_type": "http", "password": 12345678, "extra": "null"}')
    assert resolve("api") == Connection("api", "http", password="12345678")


@pytest.mark.parametrize(
    "connection",
    [
        Connection("api", "http", "me:hunter2-horse@host"),
        Connection("api", "http", "https://hunter2-horse@host/path"),
        Connection("api", "http", extra={"proxies": {"https": "http://me:hunter2-horse@proxy:3128"}}),
        Connection("api", "http", extra={"use_token": True, "passphrase": "hunter2-horse"}),
    ],
)
def test_a_secret_in_an_address_is_found_and_what_is_none_is_left(connection: Connection) -> None:
    assert set(connection.secrets()) == {"hunter2-horse"}
    assert "hunter2" not in repr(connection)


@pytest.mark.parametrize("host", ["/srv/a:b@c.db", "a:b@c/d.db"])
def test_the_path_of_a_database_holds_no_secret(host: str) -> None:
    assert Connection("db", "sqlite", host).secrets() == []


@pytest.mark.parametrize(
    "name", ["password", "db_password", "API-Key", "x_api_key", "Authorization", "access_token", "MYSQL_PWD"]
)
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["source", "page_size", "passing", "OLDPWD", "max_deleted_percent", "file_conn_id"]
)
def test_a_plain_name_is_no_secret(name: str) -> None:
    assert not is_secret_name(name)
    assert not is_secret_field(name)


@pytest.mark.parametrize(
    "name", ["Ocp-Apim-Subscription-Key", "x-functions-key", "X-Auth", "X-Session-Id", "Password"]
)
def test_a_header_is_a_secret_by_the_end_of_its_name(name: str) -> None:
    assert is_secret_field(name)
    assert Connection("c", "http", extra={name: "Zx81kk0"}).secrets() == ["Zx81kk0"]


def test_a_field_with_such_a_name_may_hold_a_plain_word() -> None:
    plain = {"X-Sort-Key": "last_changed_date", "max_keys": 1000, "auth": {"type": "basic"}}
    assert Connection("c", "http", extra=plain).secrets() == []


@pytest.mark.parametrize("kind", ["http", "https"])
def test_a_login_without_any_credential_is_an_apis_key(kind: str) -> None:
    key = "sk_live_51HxYz0aBcD"
    assert Connection("c", kind, login=key).secrets() == [key]
    assert key not in repr(Connection("c", kind, login=key))
    assert Connection("c", kind, login=key, password="pw").secrets() == ["pw"]
    assert Connection("c", kind, login="user_2_of_us", extra={"X-API-Key": "k0"}).secrets() == ["k0"]


@pytest.mark.parametrize("login", ["user123", "reporting_service_user", "ann2.of.us@example.org"])
def test_a_login_that_reads_like_a_name_is_no_key(login: str) -> None:
    assert Connection("c", "http", login=login).secrets() == []
    assert Connection("c", "postgres", login="user_2_of_us").secrets() == []


@pytest.mark.parametrize(
    ("form", "uri"),
    [
        (
            "postgresql://me:p%40s%2Fs@db.example:6543/data%20base?sslmode=require",
            "postgresql://me:p%40s%2Fs@db.example:6543/data%20base?connect_timeout=15"
            "&application_name=notebook_pipeline&sslmode=require",
        ),
        (
            '{"conn_type": "postgres", "host": "::1", "schema": "x", "extra": {"connect_timeout": 3}}',
            "postgresql://[::1]/x?connect_timeout=3&application_name=notebook_pipeline",
        ),
        (
            "postgres://me@%2Frun%2Fpostgresql/x",
            "postgresql://me@%2Frun%2Fpostgresql/x?connect_timeout=15&application_name=notebook_pipeline",
        ),
    ],
)
def test_every_part_of_a_postgres_connection_reaches_the_server(
    form: str, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable(DATABASE), form)
    connection = resolve(DATABASE)
    assert (connection.conn_type, postgres_uri(connection)) == ("postgres", uri)
    assert resolve(DATABASE) == connection
