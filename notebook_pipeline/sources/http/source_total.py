"""The number of rows that a source reports, on an endpoint of its own or with its pages."""

import re
from collections.abc import Mapping

from notebook_pipeline.declare.api_declarations import HEADER, Total
from notebook_pipeline.sources.http.answer_json import parse
from notebook_pipeline.sources.http.answer_paths import MISSING, find
from notebook_pipeline.sources.http.http_client import Client
from notebook_pipeline.sources.http.request_kinds import page_request
from notebook_pipeline.sources.http.responses import Answer

_COUNT = re.compile(r"\d{1,18}(\.0*)?")


class NoTotalError(Exception):
    """An answer without a number where the total is declared."""


def fetch_total(client: Client, declared: Total) -> int | None:
    """Return the number that the declared endpoint reports, or None if it reports null."""
    url, what = client.address(declared.endpoint), "counts"

    def check(answer: Answer) -> None:
        if not header_name(declared):
            answer.check_shape("object")

    request = page_request(url, what)
    answer = client.wait(client.start(lambda: client.ask(request, check)), url, what=what)
    try:
        return total_in(declared, answer.headers, parse(answer.body))
    except NoTotalError as error:
        seen = f"{answer.excerpt()}, which {error}"
        raise client.failure(seen, "compare it with `at` of the dataset's Total", url, what) from None


def header_name(declared: Total) -> str:
    """Return the name of the header with the total, in lower case, or "" if the answer itself holds it."""
    at = declared.at
    return at.removeprefix(HEADER).lower() if isinstance(at, str) and at.startswith(HEADER) else ""


def total_in(declared: Total, headers: Mapping[str, str], answer: object) -> int | None:
    """Return the total in an answer, or None for null; raise NoTotalError if there is no number."""
    name = header_name(declared)
    found = find(headers, (name,)) if name else find(answer, declared.at)
    if name == "content-range" and isinstance(found, str):
        found = found.rpartition("/")[2]
        found = None if found.strip() == "*" else found
    if found is None:
        return None
    text = "" if isinstance(found, bool) or found is MISSING else str(found).strip()
    if not _COUNT.fullmatch(text):
        raise NoTotalError(f"has no number at {declared.at!r}")
    return int(text.partition(".")[0])
