"""The answers of an API to a few questions: its rows, and what else stands beside them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from notebook_pipeline.connections import Connection
from notebook_pipeline.declare.paths import Path
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.sources.http.answer_json import parse
from notebook_pipeline.sources.http.answer_paths import find
from notebook_pipeline.sources.http.http_client import Client
from notebook_pipeline.sources.http.responses import Answer
from notebook_pipeline.sources.http.retries import page_patience

_DEEPEST = 3


@dataclass(frozen=True)
class SeenAnswer:
    """An answer: its value, its headers with names in lower case, the path of its rows, and these."""

    value: object
    headers: Mapping[str, str]
    path: Path
    rows: Sequence[Mapping[str, object]]


class Endpoint:
    """An endpoint of a connection's API that can be asked for rows; a question is never repeated."""

    def __init__(self, connection: Connection, endpoint: str) -> None:
        self.endpoint = endpoint
        self._client = Client(connection, replace(page_patience(connection), tries=1))

    def __enter__(self) -> "Endpoint":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.__exit__()

    @property
    def url(self) -> str:
        """Return the address of the endpoint."""
        return self._client.address(self.endpoint)

    def first(self, rows: str) -> SeenAnswer:
        """Return the answer without a query, with the rows at a path, or in the only list of objects."""
        answer = self._client.get_in_time(self.url, what="the first answer")
        value = parse(answer.body)
        if value is None:
            raise UsageError(f"{self.url}: found {answer.excerpt()}, expected JSON")
        path = rows or self._path(value)
        found = _objects(find(value, path))
        if not found:
            where = f" at {path!r}" if path else ""
            raise UsageError(f"{self.url}: found no rows{where}, expected some to take types from")
        return _seen(answer, value, path, found)

    def ask(self, query: Mapping[str, object], path: Path) -> SeenAnswer | None:
        """Return the answer to a query, or None if the API refuses it or gives no list of objects."""
        try:
            address = self._client.address(self.endpoint)
            added = self._client.address("", query).partition("?")[2]
            url = f"{address}{'&' if '?' in address else '?'}{added}"
            answer = self._client.get_in_time(url, what="a question about pages")
        except PipelineError:
            return None
        value = parse(answer.body)
        found = find(value, path)
        return _seen(answer, value, path, _objects(found)) if isinstance(found, list) else None

    def document(self) -> object:
        """Return the OpenAPI document of the server, or None if it serves none."""
        try:
            answer = self._client.get_in_time(self._client.address("openapi.json"), what="openapi.json")
        except PipelineError:
            return None
        return parse(answer.body)

    def _path(self, value: object) -> Path:
        paths = list(_lists(value, ()))
        if len(paths) == 1:
            return as_path(paths[0])
        if not paths:
            raise UsageError(f"{self.url}: found no list of objects in the answer, expected rows in one")
        listed = ", ".join(".".join(path) for path in paths)
        raise UsageError(
            f"{self.url}: found several lists of objects in the answer: {listed}; name that of the rows with "
            "--rows PATH"
        )


def as_path(steps: Sequence[str]) -> Path:
    """Return steps as a path: joined by dots, or as they are if a name has a dot or a bracket."""
    is_plain = all(step and "." not in step and not step.endswith("]") for step in steps)
    return ".".join(steps) if is_plain else tuple(steps)


def beside(answer: SeenAnswer) -> Iterator[tuple[Path, object]]:
    """Yield what stands beside the rows of an answer: paths and values, three levels deep."""
    yield from _beside(answer.value, (), answer.path)


def _beside(value: object, above: tuple[str, ...], rows: Path) -> Iterator[tuple[Path, object]]:
    if not isinstance(value, Mapping) or len(above) == _DEEPEST:
        return
    for name, inner in value.items():
        path = as_path([*above, name])
        if path != rows:
            yield path, inner
            yield from _beside(inner, (*above, name), rows)


def _seen(answer: Answer, value: object, path: Path, rows: Sequence[Mapping[str, object]]) -> SeenAnswer:
    headers = {name.lower(): text for name, text in answer.headers.items()}
    return SeenAnswer(value, headers, path, rows)


def _objects(value: object) -> list[Mapping[str, object]]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def _lists(value: object, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the paths of lists of objects; those inside of rows are not looked at."""
    if isinstance(value, list):
        if any(isinstance(item, Mapping) for item in value):
            yield above
    elif isinstance(value, Mapping) and len(above) < _DEEPEST:
        for name, inner in value.items():
            yield from _lists(inner, (*above, name))
