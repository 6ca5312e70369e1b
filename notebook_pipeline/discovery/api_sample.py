"""The draft of a table from an API: a few questions, and the server's OpenAPI document."""

import re
from collections.abc import Sequence

from notebook_pipeline.connections import resolve
from notebook_pipeline.discovery.api_answers import Endpoint
from notebook_pipeline.discovery.api_columns_seen import table_of
from notebook_pipeline.discovery.draft import Draft, SourceDraft, draft_of
from notebook_pipeline.discovery.key_candidates import guess_cursor, is_name_of_change
from notebook_pipeline.discovery.openapi_parameters import Parameter, parameters_of, paths_of_counts
from notebook_pipeline.discovery.paging_seen import page_query, pages_of, total_of
from notebook_pipeline.discovery.python_layout import Call, Item, call, literal, one_line
from notebook_pipeline.discovery.seen_table import SeenTable

_SAMPLE = 1_000
_SINCE = re.compile(r"min|since|after|from|gte|start", re.IGNORECASE)
_FORMS = {"date": "day", "date-time": "timestamp"}


def draft_of_api(name: str, conn_id: str, endpoint: str, rows: str = "") -> Draft:
    """Return the draft of the table that an endpoint serves; `rows` is the path of its rows, if given.

    Raises UsageError if the answer shows no rows, PipelineError if there is none.
    """
    with Endpoint(resolve(conn_id), endpoint) as asked:
        first = asked.first(rows)
        document = asked.document()
        described = parameters_of(document, asked.url)
        pages = pages_of(asked, first, {one.name for one in described})
        larger = asked.ask(query, first.path) if (query := page_query(pages, _SAMPLE)) else None
    sample = larger.rows if larger and len(larger.rows) > len(first.rows) else first.rows
    table = table_of(sample, is_whole=False)
    total = total_of(first, has_pages=pages is not None)
    since, unsure = _since(table, described)
    items = [Item(literal(endpoint)), Item(literal(conn_id), "conn_id")]
    items.append(Item(pages or Call("SinglePage"), "pages"))
    optional = (("rows", literal(first.path) if first.path else None), ("since", since), ("total", total))
    items += [Item(value, argument) for argument, value in optional if value is not None]
    remarks = [*_on_pages(pages), *unsure, *_on_total(total, document, has_since=since is not None)]
    return draft_of(name, f"{conn_id}/{endpoint}", table, SourceDraft("api", Call("Rest", items), remarks))


def _since(table: SeenTable, described: Sequence[Parameter]) -> tuple[Call | None, list[str]]:
    """Return the filter for changed rows that is described, and what to decide about it."""
    cursor = guess_cursor(table.columns)[0]
    able = [one for one in described if one.formats & {*_FORMS} and _SINCE.search(one.name)]
    named = [one for one in able if cursor and (cursor in one.name or is_name_of_change(one.name))]
    found = named if len(named) != 1 and not able else named or able
    if not cursor or len(found) != 1:
        among = f" (by {', '.join(one.name for one in able)}?)" if able else ""
        said = f"can changed rows alone be asked for{among}? Then add since=Since(…); else all are read"
        return None, [said]
    [parameter] = found
    form = next(_FORMS[one] for one in sorted(parameter.formats) if one in _FORMS)
    declared = call("Since", parameter.name, **({} if form == "day" else {"form": form}))
    said = f"does {parameter.name} mean {cursor} >= its value? If it means >, add inclusive=False to Since"
    return declared, [said]


def _on_pages(pages: Call | None) -> list[str]:
    if pages is None:
        return ["nothing shows further pages; does one answer hold all rows? Else declare other pages"]
    return [] if pages.items or pages.name == "Offset" else [f"{one_line(pages)} follows the header Link"]


def _on_total(total: Call | None, document: object, *, has_since: bool) -> list[str]:
    if total is not None:
        said = 'is the total that of all rows, or of those that a request selects? Then add of="answer"'
        return [said] if has_since else []
    if counts := paths_of_counts(document):
        return [f"does {', '.join(counts)} tell the number of rows? Then add total=Total(…)"]
    return ["does the API tell the number of rows? Then add total=Total(…), which proves that all came"]
