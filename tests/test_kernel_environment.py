"""What a kernel sees of the runner's environment, and what of that is masked."""

import os
from pathlib import Path

import pytest
from executed import execute

from notebook_pipeline.secrets.kernel_environment import inherited, proxies
from notebook_pipeline.secrets.redaction import Redactor

SECRETS = {
    "REPORTING_DB_URL": "postgres://u:hunter2@h/x",
    "CELERY_BROKER_URL": "redis://:hunter2@h",
    "CACHE_URL": "redis://:hunter2/with@slash@h",
    "SENTRY_PLACE": "https://hunter2@host/1",
    "SEARCH_LIST": "http://plain/, http://u:hunter2@h/",
    "WAREHOUSE": "host=h user=u password=hunter2",
    "JDBC_URL": "jdbc:postgresql://h/x?user=u&password=hunter2",
    "SETTINGS": '{"api_key": "hunter2"}',
    "STORE": "AccountName=a;AccountKey=hunter2==",
    "GITHUB_PAT": "hunter2",
    "SENTRY_DSN": "hunter2",
    "STRIPE_KEY": "hunter2",
    "stripe_key": "hunter2",
    "VENDOR_SESSION_ID": "hunter2",
    "FTP_PASS": "hunter2",
    "DB_CREDENTIALS": "hunter2",
    "SSH_PASSPHRASE": "hunter2",
    "SESSION_COOKIE": "hunter2",
}
PLAIN = {
    "PATH": "/usr/bin:/home/me@work/bin",
    "HOME": "/home/me",
    "LANG": "C.UTF-8",
    "ORACLE_SID": "ORCL",
    "TZ": "UTC",
    "SSL_CERT_FILE": "/etc/ssl/cert.pem",
    "REQUESTS_CA_BUNDLE": "/etc/ssl/bundle.pem",
    "PYTHONPATH": "/srv/a:/srv/b",
    "PYTHONHASHSEED": "0",
    "VIRTUAL_ENV": "/srv/.venv",
    "OMP_NUM_THREADS": "2",
    "NOTEBOOK_PIPELINE_TODAY": "2026-01-01",
    "REGION": "eu: west",
    "MAIL_TO": "me@example.org",
    "API_URL": "https://example.org:8443/users/a:b@c?page=1",
    "MONKEY": "7",
    "COMPATIBLE": "yes",
    "no_proxy": "localhost,.example.org",
}
PROXIES = {
    "HTTP_PROXY": "http://me:hunter2-horse@proxy:3128",
    "https_proxy": "me:hunter2-sheep@proxy:3128",
    "ALL_PROXY": "socks5://proxy:1080",
}


def test_secrets_stay_behind_and_what_programs_need_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (SECRETS | PLAIN | PROXIES).items():
        monkeypatch.setenv(name, value)
    given = inherited()
    assert [name for name in SECRETS if name in given] == []
    assert {name: given.get(name) for name in PLAIN | PROXIES} == PLAIN | PROXIES


def test_the_passwords_of_proxies_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PROXIES.items():
        monkeypatch.setenv(name, value)
    said = Redactor(proxies()).text(str(PROXIES))
    assert said == str(PROXIES).replace("hunter2-horse", "***").replace("hunter2-sheep", "***")


def test_a_cell_that_prints_the_environment_shows_no_secret(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (SECRETS | PROXIES).items():
        monkeypatch.setenv(name, value)
    run = execute(home, "import os; print(dict(os.environ))")
    kept = [path.read_bytes() for path in (home / "output").rglob("*") if path.is_file()]
    assert "http://me:***@proxy:3128" in run.printed
    assert os.environ["PATH"] in run.printed
    assert not [said for said in [*kept, *map(str.encode, run.lines)] if b"hunter2" in said]
