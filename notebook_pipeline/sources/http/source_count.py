"""The number of rows that a source reports, whatever the filter."""

from notebook_pipeline.declare.api_declarations import Total
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import UsageError
from notebook_pipeline.sources.http.http_client import Client
from notebook_pipeline.sources.http.page_parser import parse


def fetch_total(client: Client, dataset: Dataset) -> int:
    """Return the number of all rows that the source reports, whatever the filter.

    Raises UsageError if the dataset does not declare where it is reported.
    """
    declared = declared_total(dataset)
    url, what = client.address(declared.endpoint), "counts"
    answer = client.get_in_time(url, what=what, shape="object")
    total = parse(answer.body)
    for name in declared.at.split("."):
        total = total.get(name) if isinstance(total, dict) else None
    if type(total) is not int or total < 0:
        seen = f"{answer.excerpt()}, which has no number at {declared.at!r}"
        raise client.failure(seen, "compare it with `at` of the dataset's Total", url, what)
    return total


def declared_total(dataset: Dataset) -> Total:
    """Return where a dataset's API reports its number of rows, or raise UsageError."""
    total = dataset.declared_api().total
    if total is None:
        raise UsageError(
            f"dataset {dataset.name!r} has no total, which an update needs to verify that all rows came; "
            f"add total=Total(...) to the Rest in datasets/{dataset.name}.py"
        )
    return total
