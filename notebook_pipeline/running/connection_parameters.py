"""The connections that a run's parameters name; if one is empty, the dataset's declaration names it."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from notebook_pipeline.errors import UsageError

_ENDING = "_conn_id"


def named_connections(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameter that names each connection id.

    An empty parameter for which the dataset declares no connection is left out.
    """
    names = [name for name in parameters if name.endswith(_ENDING)]
    return {conn_id: name for name in names if (conn_id := connection_of(name, parameters))}


def connection_of(name: str, parameters: Mapping[str, Any]) -> str:
    """Return the connection id that a parameter or else its dataset names, "" if neither does."""
    dataset = parameters.get("dataset")
    if parameters[name] or not isinstance(dataset, str):
        return parameters[name]
    # Imports pyarrow, which takes 0.2 s, and few runs use the connection of the declaration.
    from notebook_pipeline.declare.catalogue import get

    with suppress(UsageError):  # reported by the notebook if it needs the dataset
        return get(dataset).conn_id(name)
    return ""
