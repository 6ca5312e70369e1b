"""Turn a notebook's parameters cell into the form that a DAG shows when it is triggered."""

from typing import Any

from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict

from notebook_pipeline.running.notebook_files import find_notebook
from notebook_pipeline.running.parameters import Parameter
from notebook_pipeline.running.parameters_cell import read_parameters

_JSON_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


def notebook_params(notebook: str) -> ParamsDict:
    """Return one form field for each parameter that the notebook declares, in the notebook's order."""
    declared = read_parameters(find_notebook(notebook))
    return ParamsDict({parameter.name: _field(parameter) for parameter in declared or ()})


def _field(parameter: Parameter) -> Param:
    schema: dict[str, Any] = {"type": _JSON_TYPES[parameter.type], "title": parameter.name}
    if parameter.type == "str" and parameter.default == "":
        # The form sends null for an empty field.
        schema["type"] = ["string", "null"]
    elif parameter.type == "str":
        schema["minLength"] = 1
    if parameter.required:
        return Param(description=parameter.help, **schema)
    return Param(parameter.default, description=parameter.help, **schema)
