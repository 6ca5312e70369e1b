"""Fixtures that isolate tests from this checkout, from the environment and from each other."""

import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import databases
import pytest
import seeds
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from notebook_pipeline import settings as project
from notebook_pipeline.connections import PREFIX
from sample.demo_environment import airflow_environment

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# A job in the background of a script inherits that these are ignored; commands under test must end by them.
for _signal, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_signal) == signal.SIG_IGN:
        signal.signal(_signal, _handler)

# Airflow reads its settings when it is first imported, by whichever test that is.
_AIRFLOW = tempfile.TemporaryDirectory(prefix="airflow-")
_SETTINGS = airflow_environment(Path(_AIRFLOW.name))
for _name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[_name]
os.environ.update(_SETTINGS)

# Cases are generated from a test's own text, so no verdict hangs on a draw or on the time that one takes.
settings.register_profile(
    "seeded",
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("seeded")
# Constants out of the modules that are loaded would be drawn, too: those that other tests happened to load.
providers._get_local_constants = lambda: providers._local_constants


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Name the seed of the tests that draw anew in every run, unless they are left out."""
    return [] if "not soak" in config.option.markexpr else [f"soak: {seeds.NAME}={seeds.SEED}"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that use `each_database` on each kind of database, or on the `only` ones they name."""
    if "each_database" in metafunc.fixturenames:
        only = metafunc.definition.get_closest_marker("only")
        metafunc.parametrize("each_database", only.args if only else databases.KINDS, indirect=True)


@pytest.fixture
def each_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Make the databases below `tmp_path` be of one kind after the other, and return the kind."""
    databases.settle(tmp_path, request.param)
    yield request.param
    databases.drop(tmp_path)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home that settings and kernels use: `notebooks/` is empty, the players are declared."""
    for name in [name for name in os.environ if name.startswith((PREFIX, "NOTEBOOK_PIPELINE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NOTEBOOK_PIPELINE_HOME", str(tmp_path))
    (tmp_path / "notebooks").mkdir()
    shutil.copytree(project.CHECKOUT / "datasets", tmp_path / "datasets")
    return tmp_path


SECRET = "the-secret-of-the-store"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Return the address of an object store that speaks S3, on loopback."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Return a new bucket's name; this process and those that it starts know where it is and who they are."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_"))]:
        monkeypatch.delenv(name)
    variables = {
        "ENDPOINT_URL": s3_server,
        "ACCESS_KEY_ID": "tester",
        "SECRET_ACCESS_KEY": SECRET,
        "DEFAULT_REGION": "us-east-1",
        "CONFIG_FILE": str(tmp_path / "no-config"),
        "SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
        "EC2_METADATA_DISABLED": "true",
        "MAX_ATTEMPTS": "1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    import s3fs

    made = f"bucket-{uuid.uuid4().hex}"
    s3fs.S3FileSystem(skip_instance_cache=True).mkdir(made)
    return made


@pytest.fixture
def stored(home: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL on an object store that this home's output is, and which is empty."""
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", f"s3://{bucket}/team")
    return f"s3://{bucket}/team"


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Open a browser for the tests of a module; to others, what drives it is not loaded."""
    import chromium

    with chromium.opened() as opened:
        yield opened
