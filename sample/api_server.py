"""Serve the sample API on loopback: the fictional players, some weeks after the bulk file."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Annotated, Any

import orjson
import pyarrow as pa
import uvicorn
from fastapi import FastAPI, Query, Response
from pydantic import BaseModel

from sample.players import WEEKS, changed_players, performances


class Performance(BaseModel):
    """What a player scored in one week."""

    performance_id: int
    week_number: str
    fantasy_points: float
    last_changed_date: date


class Player(BaseModel):
    """One player as the API sends it."""

    player_id: int
    gsis_id: str | None
    first_name: str
    last_name: str
    position: str
    last_changed_date: date
    performances: list[Performance]


class Counts(BaseModel):
    """The numbers of leagues, teams, players and weeks, regardless of filters."""

    league_count: int
    team_count: int
    player_count: int
    week_count: int


def create_app(players: pa.Table | None = None) -> FastAPI:
    """Return the sample API over `players`, by default the sample's changed players."""
    rows = (changed_players() if players is None else players).to_pylist()
    app = FastAPI(title="Sample player API", version="0.1.0")

    @app.get("/")
    def health() -> dict[str, str]:
        """Return a message that the API is up."""
        return {"message": "API health check successful"}

    @app.get("/v0/players/", response_model=list[Player])
    def list_players(
        skip: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1)] = 100,
        minimum_last_changed_date: date | None = None,
    ) -> Response:
        """List at most `limit` players after the first `skip`, changed on the given day or later."""
        return _json(_page(rows, skip, limit, minimum_last_changed_date))

    @app.get("/v0/counts/", response_model=Counts)
    def counts() -> Response:
        """Count everything, regardless of when it changed."""
        return _json(
            {"league_count": 5, "team_count": 20, "player_count": len(rows), "week_count": len(WEEKS)}
        )

    return app


def serve(
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    players: pa.Table | None = None,
    ready: Callable[[str], object] | None = None,
) -> None:
    """Serve the sample API until a signal (Ctrl-C, SIGTERM) stops it; port 0 means any free port.

    `ready` is called with the base URL once the socket listens.
    """
    server, listening = _prepare(host, port, players)
    if ready:
        ready(_url(listening))
    server.run(sockets=[listening])


@contextmanager
def running(players: pa.Table | None = None, *, port: int = 0) -> Iterator[str]:
    """Serve the sample API on loopback from a thread (port 0: any free port); yield its URL."""
    server, listening = _prepare("127.0.0.1", port, players)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield _url(listening)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def _prepare(host: str, port: int, players: pa.Table | None) -> tuple[uvicorn.Server, socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    app = create_app(players)
    listening = socket.create_server((host, port), family=family)
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=3)
    return uvicorn.Server(config), listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _page(rows: list[dict[str, Any]], skip: int, limit: int, since: date | None) -> list[dict[str, Any]]:
    if since is not None:
        rows = [row for row in rows if row["last_changed_date"] >= since]
    page = rows[skip : skip + limit]
    nested = performances([row["player_id"] for row in page])
    return [row | {"performances": played} for row, played in zip(page, nested, strict=True)]


def _json(content: object) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")
