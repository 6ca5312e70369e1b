"""Know how many rows a source says it has, whatever is asked for."""

from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.sources.http.http_client import Client
from notebook_pipeline.sources.http.page_parser import parse


def fetch_total(client: Client, dataset: Dataset) -> int:
    """Return how many rows the source says it has, whatever was changed when."""
    url, what = client.address(dataset.counts_endpoint), "counts"
    answer = client.get_in_time(url, what=what, shape="object")
    counts = parse(answer.body)
    total = counts.get(dataset.count_field) if isinstance(counts, dict) else None
    if type(total) is not int or total < 0:
        seen = f"{answer.excerpt()}, which gives no number as {dataset.count_field!r}"
        raise client.failure(seen, "compare the dataset's count_field with the source's", url, what)
    return total
