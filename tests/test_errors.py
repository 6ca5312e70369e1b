"""How the pipeline's errors look in a notebook."""

import pytest
from IPython.core.interactiveshell import InteractiveShell

from notebook_pipeline import errors


@pytest.mark.parametrize("kind", ["PipelineError", "DataRefused", "UsageError"])
def test_an_error_of_the_pipeline_is_shown_as_its_message_alone(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = InteractiveShell()
    shell.run_cell(
        f"from notebook_pipeline.errors import {kind}\nraise {kind}('x.csv: is missing; fetch it')"
    )
    assert capsys.readouterr().out.strip() == f"{kind}: x.csv: is missing; fetch it"
    assert issubclass(getattr(errors, kind), errors.PipelineError)
