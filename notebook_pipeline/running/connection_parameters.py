"""Which connections a run's parameters name; an empty one means that of the dataset's declaration."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from notebook_pipeline.errors import UsageError

_ENDING = "_conn_id"


def named_connections(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return each connection id that the parameters name, with the parameter that names it.

    A parameter that is empty, and for which nothing is declared, names none.
    """
    names = [name for name in parameters if name.endswith(_ENDING)]
    return {conn_id: name for name in names if (conn_id := connection_of(name, parameters))}


def connection_of(name: str, parameters: Mapping[str, Any]) -> str:
    """Return the connection id that one parameter names, "" if neither it nor the dataset names one."""
    dataset = parameters.get("dataset")
    if parameters[name] or not isinstance(dataset, str):
        return parameters[name]
    # It brings in pyarrow, 0.2 s before a kernel starts, and few runs leave a connection to the declaration.
    from notebook_pipeline.declare.catalogue import get

    with suppress(UsageError):  # a notebook that needs the dataset says what is wrong with it
        return get(dataset).conn_id(name)
    return ""
