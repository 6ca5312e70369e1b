"""What a connection's extra says wins over the environment, and settings are never sent as headers."""

import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import certifi
import failing_server as fs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.sources.http.http_client import Client, Patience
from notebook_pipeline.sources.http.retries import file_patience, page_patience

QUICK = Patience(tries=3, backoff=0.001, jitter=0.001, silence=20, budget=600)
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def source() -> Iterator[fs.Source]:
    with fs.serving(fs.Source([])) as source:
        yield source


def health(connection: Connection) -> bytes:
    with Client(connection, QUICK) as client:
        return client.get(client.address("/"), what="health check").body


# Headers


def test_a_setting_is_never_sent(source: fs.Source) -> None:
    settings = {
        "verify": True,
        "cert": "",
        "proxies": {},
        "timeout": 3,
        "storage_options": {"secret": "s3-secret"},
        "max_bytes": 10_000,
        "max_seconds": 30,
        "allow": ["/srv"],
        "auth": {"type": "basic"},
    }
    health(source.connection(extra=settings))
    sent = {"host", "user-agent", "accept", "accept-encoding", "connection"}
    assert source.requests[0].headers.keys() == sent


def test_headers_stand_below_their_name_or_beside_the_settings(source: fs.Source) -> None:
    health(source.connection(extra={"headers": {"X-Team": "data", "Accept": "text/csv"}, "X-Key": "k0"}))
    sent = source.requests[0].headers
    assert (sent["x-team"], sent["x-key"], sent["accept"]) == ("data", "k0", "text/csv")
    assert "headers" not in sent


# Proxies


@pytest.mark.parametrize("name", ["proxies", "proxy"])
def test_a_proxy_of_the_connection_wins_over_the_environments(
    source: fs.Source, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fs.serving(fs.Source([])) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{fs.free_port()}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        health(source.connection(extra={name: {"http": proxy.url}}))
        health(source.connection(extra={name: proxy.url}))
        assert (len(proxy.requests), len(source.requests)) == (2, 0)


@pytest.mark.parametrize("proxies", [{}, {"http": None}])
def test_a_connection_may_do_without_the_environments_proxy(
    source: fs.Source, proxies: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{fs.free_port()}")
    health(source.connection(extra={"proxies": proxies}))
    assert len(source.requests) == 1


def test_the_environments_proxy_is_used_unless_it_is_not_trusted(
    source: fs.Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fs.serving(fs.Source([])) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        health(source.connection())
        assert (len(proxy.requests), len(source.requests)) == (1, 0)
        health(source.connection(extra={"trust_env": "false"}))
        assert (len(proxy.requests), len(source.requests)) == (1, 1)


def test_a_proxy_that_is_none_is_refused_without_showing_it() -> None:
    connection = Connection("api", "http", host="localhost", extra={"proxies": ["http://me:pw-1@proxy"]})
    with pytest.raises(UsageError) as caught:
        Client(connection)
    assert str(caught.value).startswith("connection 'api': `proxies` in its extra must be an object such as")
    assert "pw-1" not in str(caught.value)


# Certificates


@dataclass(frozen=True)
class Secure:
    """A server on TLS, and the file of the certificate that it signed itself."""

    source: fs.Source
    certificate: str

    def connection(self, **extra: object) -> Connection:
        port = int(self.source.url.rpartition(":")[2])
        return Connection("api", "http", host="127.0.0.1", schema="https", port=port, extra=extra)


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Return the files of a certificate for 127.0.0.1, which signed itself, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificate")
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(folder / "certificate.pem"), str(folder / "key.pem")


@pytest.fixture
def secure(self_signed: tuple[str, str]) -> Iterator[Secure]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed)
    with fs.serving(fs.Source([]), tls=context) as source:
        yield Secure(source, self_signed[0])


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("verify", [False, "false", "False"])
@pytest.mark.parametrize("name", ["verify", "verify_ssl"])
def test_a_connection_that_does_not_verify_wins_over_the_environment(
    secure: Secure, name: str, verify: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    assert b"successful" in health(secure.connection(**{name: verify}))


def test_the_connections_authorities_win_over_the_environments(
    secure: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    assert b"successful" in health(secure.connection(verify=secure.certificate))


@pytest.mark.parametrize("extra", [{}, {"verify": True}, {"verify": "true"}])
@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environment_names_authorities_where_the_connection_does_not(
    secure: Secure, name: str, extra: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, secure.certificate)
    assert b"successful" in health(secure.connection(**extra))


@pytest.mark.parametrize("verify", [True, "true", certifi.where()])
def test_a_certificate_that_is_not_trusted_is_said_at_once(secure: Secure, verify: object) -> None:
    with pytest.raises(PipelineError) as caught:
        health(secure.connection(verify=verify))
    assert "a certificate that was not accepted ([SSL: CERTIFICATE_VERIFY_FAILED]" in str(caught.value)
    assert "self-signed certificate" in str(caught.value)
    assert "set `verify` in the connection's extra to the file of the authority's certificates" in str(
        caught.value
    )
    assert "tries" not in str(caught.value)


@pytest.mark.parametrize(("name", "expected"), [("verify", "true, false or a file"), ("cert", "a file with")])
def test_a_file_of_certificates_that_is_missing_is_named(name: str, expected: str) -> None:
    connection = Connection("api", "http", host="localhost", extra={name: "/not/there.pem"})
    with pytest.raises(UsageError) as caught:
        Client(connection)
    message = f"connection 'api': found no file '/not/there.pem' with certificates; expected {expected}"
    assert str(caught.value).startswith(message)


def test_missing_authorities_of_the_environment_matter_to_https_only(
    source: fs.Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/not/there.pem")
    assert b"successful" in health(source.connection())
    with pytest.raises(UsageError, match=r"found no file '/not/there\.pem' with certificates"):
        Client(Connection("api", "http", host="https://localhost"))


# Numbers and switches


def test_time_and_size_of_a_file_are_settable() -> None:
    extra = {"timeout": 3, "max_bytes": "2e9", "max_seconds": 90}
    patience = file_patience(Connection("files", "fs", extra=extra))
    assert (patience.connect, patience.silence) == (3, 3)
    assert (patience.max_bytes, patience.answer, patience.budget) == (2e9, 90, 90)
    assert page_patience(Connection("api", "http", extra=extra)) == Patience(connect=3, silence=3)
    usual = file_patience(Connection("files", "fs"))
    assert (usual.max_bytes, usual.answer, usual.budget) == (20e9, 3600, 3600)


@pytest.mark.parametrize("value", [0, -1, "many", True, [3], "nan", "inf"])
def test_a_number_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(UsageError) as caught:
        file_patience(Connection("files", "fs", extra={"max_bytes": value}))
    assert str(caught.value) == "connection 'files': `max_bytes` in its extra must be a number above 0"


def test_a_switch_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="`allow_redirects` in its extra must be true or false"):
        Client(Connection("api", "http", host="localhost", extra={"allow_redirects": "perhaps"}))


def test_a_connection_of_another_type_names_no_api(tmp_path: Path) -> None:
    connection = Connection("files", "fs", extra={"path": f"{tmp_path}/Zürich"})
    with (
        Client(connection) as client,
        pytest.raises(UsageError, match="'files' is of type 'fs'; an API need"),
    ):
        client.address("/")
