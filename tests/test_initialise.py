"""What initialisation adds to Airflow, whom it lets in, and where it refuses to put the database."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from notebook_pipeline.airflow.initialise import PASSWORD, PASSWORDS_FILE, refuse_shared_folder, set_password
from notebook_pipeline.connections import API, DATABASE, FILES, Connection, variable
from notebook_pipeline.errors import UsageError
from sample.demo_environment import airflow_environment

GOOD = "correct-horse-battery"
MOUNTS = """\
22 1 8:1 / / rw,relatime - overlay overlay rw
30 22 8:2 / /opt/airflow/output rw,relatime - ext4 /dev/vda1 rw
31 22 0:45 /run/host_mark/Users /opt/airflow/data rw,relatime master:1 - fakeowner /run/host_mark/Users rw
32 22 0:46 / /opt/air rw - fuse.grpcfuse grpcfuse rw
33 22 0:47 / /opt/my\\040folder rw - 9p drvfs rw
34 30 0:48 / /opt/airflow/output/remote rw - nfs4 server:/srv rw
35 22 0:48 / /opt/twice rw - virtiofs shared rw
36 22 8:2 / /opt/twice rw - ext4 /dev/vda1 rw
"""
# Both calls in one process: what Airflow imports takes longer than what it does.
TWICE = """
import json
from airflow.models import Connection
from airflow.utils import db
from airflow.utils.session import create_session
from sqlalchemy import select
from notebook_pipeline.airflow.initialise import main

db.initdb()
statuses = [main()]
with create_session() as session:
    session.scalar(select(Connection).where(Connection.conn_id == "sportsworldcentral_url")).host = "edited"
statuses.append(main())
with create_session() as session:
    stored = session.scalars(select(Connection)).all()
    found = {one.conn_id: [one.conn_type, one.host, one.password] for one in stored}
print(json.dumps([statuses, found]))
"""


def test_connections_are_added_once_and_stay_as_people_edited_them(tmp_path: Path) -> None:
    given = {
        variable(API): "http://login:hidden-word@api.example:8000",
        PASSWORD: GOOD,
        PASSWORDS_FILE: str(tmp_path / "passwords.json"),
        "NOTEBOOK_PIPELINE_HOME": str(tmp_path / "home"),
    }
    done = subprocess.run(
        [sys.executable, "-c", TWICE],
        env=airflow_environment(tmp_path / "airflow") | given,
        capture_output=True,
        text=True,
        check=True,
    )
    *said, answer = [
        line for line in done.stdout.splitlines() if line.startswith(("connection", "user", "["))
    ]
    statuses, found = json.loads(answer)
    assert statuses == [0, 0]
    assert found == {
        DATABASE: ["sqlite", str(tmp_path / "home" / "output" / "analytics_database.db"), None],
        API: ["http", "edited", "hidden-word"],
        FILES: ["fs", None, None],
    }
    assert [line.partition(": ")[2] for line in said] == [
        *["added"] * 3,
        "password set",
        *["exists, not changed"] * 3,
        "password set",
    ]
    told = done.stdout.replace(answer, "") + done.stderr
    assert "hidden-word" not in told
    assert GOOD not in told


def test_the_password_is_written_for_its_owner_alone_and_others_keep_theirs(tmp_path: Path) -> None:
    path = tmp_path / "passwords.json"
    set_password(path, GOOD)
    assert json.loads(path.read_text()) == {"admin": GOOD}
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text(json.dumps({"admin": GOOD, "viewer": "another"}))
    set_password(path, f"{GOOD}-2")
    assert json.loads(path.read_text()) == {"admin": f"{GOOD}-2", "viewer": "another"}
    assert list(tmp_path.iterdir()) == [path]


def test_a_short_password_is_refused_and_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has 7 characters; give at least 12") as refused:
        set_password(tmp_path / "passwords.json", "airflow")
    assert "'airflow'" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/opt/airflow/data/a.db", "fakeowner"),
        ("/opt/air/a.db", "fuse.grpcfuse"),
        ("/opt/my folder/deep/a.db", "9p"),
        ("/opt/airflow/output/remote/a.db", "nfs4"),
    ],
)
def test_a_database_on_a_shared_folder_is_refused(path: str, kind: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"names {path}, which is in a shared folder .file system '{kind}'"):
        refuse_shared_folder(Connection(DATABASE, "sqlite", host=path), mounts(tmp_path))


@pytest.mark.parametrize(
    "path", ["/opt/airflow/output/a.db", "/opt/airflow/a.db", "/opt/twice/a.db", "/elsewhere/a.db"]
)
def test_a_database_on_a_volume_is_accepted(path: str, tmp_path: Path) -> None:
    refuse_shared_folder(Connection(DATABASE, "sqlite", host=path), mounts(tmp_path))


def test_a_database_server_lies_nowhere(tmp_path: Path) -> None:
    refuse_shared_folder(Connection(DATABASE, "postgres", host="/opt/air/a.db"), mounts(tmp_path))


def mounts(folder: Path) -> Path:
    path = folder / "mountinfo"
    path.write_text(MOUNTS)
    return path
