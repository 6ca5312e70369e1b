"""The parameters of an endpoint, as the OpenAPI document of its server describes them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

Json = Mapping[str, object]


@dataclass(frozen=True)
class Parameter:
    """A parameter of a query; `formats` are those of its values, such as `date`."""

    name: str
    formats: frozenset[str]


def parameters_of(document: object, url: str) -> list[Parameter]:
    """Return the parameters of the query with which an address is asked, or none if it is not described."""
    path = urlsplit(url).path.rstrip("/")
    for described, item in _paths(document):
        if described.strip("/") and f"/{path.strip('/')}".endswith(f"/{described.strip('/')}"):
            given = [*_list(item.get("parameters")), *_list(_object(item.get("get")).get("parameters"))]
            resolved = [_resolved(document, _object(one)) for one in given]
            return [
                Parameter(str(one["name"]), frozenset(_formats(one)))
                for one in resolved
                if one.get("in") == "query" and "name" in one
            ]
    return []


def paths_of_counts(document: object) -> list[str]:
    """Return the paths whose name says that they count."""
    return [path for path, item in _paths(document) if "count" in path.lower() and "get" in item]


def _paths(document: object) -> Iterator[tuple[str, Json]]:
    for path, item in _object(_object(document).get("paths")).items():
        yield path, _object(item)


def _resolved(document: object, parameter: Json) -> Json:
    """Return a parameter, or the one that it refers to."""
    found: object = document
    reference = str(parameter.get("$ref", ""))
    for step in reference.removeprefix("#/").split("/") if reference else []:
        found = _object(found).get(step)
    return _object(found) if reference else parameter


def _formats(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("format"), str):
            yield cast("str", value["format"])
        for name in ("schema", "anyOf", "oneOf", "allOf"):
            yield from _formats(value.get(name))
    elif isinstance(value, list):
        for item in value:
            yield from _formats(item)


def _object(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
