"""The form shown when a DAG is triggered: a notebook's parameters cell as Airflow params."""

from dataclasses import replace
from typing import Any

from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict

from notebook_pipeline.running.notebook_files import find_notebook
from notebook_pipeline.running.parameters import Parameter, Value, check_parameters
from notebook_pipeline.running.parameters_cell import read_parameters

_JSON_TYPES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
    "any": "object",
}


def notebook_params(notebook: str, **defaults: Value) -> ParamsDict:
    """Return one form field for each parameter that the notebook declares, in the notebook's order.

    Lists and dicts are shown as JSON. A parameter whose default only the notebook can compute has no field.

    `defaults` are used instead of the notebook's own: `notebook_params("bulk_load", dataset="team")`. Raises
    UsageError if the notebook declares no such parameter, or if a value is of the wrong type.
    """
    declared = read_parameters(find_notebook(notebook)) or []
    values = check_parameters([replace(parameter, required=False) for parameter in declared], defaults)
    return ParamsDict(
        {
            parameter.name: _field(parameter, values[parameter.name], parameter.name in defaults)
            for parameter in declared
            if parameter.name in values
        }
    )


def _field(parameter: Parameter, default: Value | None, is_preset: bool) -> Param:
    schema: dict[str, Any] = {"type": _JSON_TYPES[parameter.type], "title": parameter.name}
    if parameter.type == "any":
        schema["type"] = ["string", "number", "boolean", "array", "object", "null"]
    elif parameter.optional:
        schema["type"] = [schema["type"], "null"]
    elif parameter.type == "str" and parameter.default == "":
        # The form sends null for an empty field.
        schema["type"] = ["string", "null"]
    elif parameter.type == "str":
        schema["minLength"] = 1
    if parameter.required and not is_preset:
        return Param(description=parameter.help, **schema)
    return Param(default, description=parameter.help, **schema)
