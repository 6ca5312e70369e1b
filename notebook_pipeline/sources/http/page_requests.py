"""The requests for pages: endpoint, filter, page size and paging parameters, in the query or in the body."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

from notebook_pipeline.declare.api_declarations import Rest
from notebook_pipeline.sources.http.addresses import is_same_server
from notebook_pipeline.sources.http.answer_paths import with_value
from notebook_pipeline.sources.http.http_client import Client
from notebook_pipeline.sources.http.request_kinds import Request, page_request
from notebook_pipeline.sources.http.since_values import filter_value


@dataclass(frozen=True)
class Step:
    """What distinguishes the request for one page from the others.

    `values` are paging parameters by name. A `link` is the address of the page, as the server gave it, which
    holds all parameters of the query. `since` is the watermark from which the page is read.
    """

    values: Mapping[str, object] = field(default_factory=dict)
    link: str = ""
    since: str = ""


class PageRequests:
    """The requests for pages, all to the connection's server; `other_hosts` are other hosts in links."""

    def __init__(self, client: Client, api: Rest, page_size: int) -> None:
        self._client = client
        self._api = api
        self._page_size = page_size
        self.other_hosts: set[str] = set()

    def page(self, step: Step, what: str, also: Collection[int] = ()) -> Request:
        """Return the request for a page; statuses in `also` are expected, too."""
        return page_request(self.url(step), what, self.body(step), also)

    def url(self, step: Step) -> str:
        """Return the address of a page, without credentials."""
        if step.link:
            return self._on_own_server(step.link)
        given = {} if self._api.body is not None else self._parameters(step)
        query = {**given, **{name: _as_text(value) for name, value in self._api.query.items()}}
        url = self._client.address(self._api.endpoint)
        if not query:
            return url
        return f"{url}{'&' if '?' in url else '?'}{urlencode(query, doseq=True)}"

    def body(self, step: Step) -> bytes | None:
        """Return the body of the request for a page as JSON, or None if requests have none."""
        if self._api.body is None:
            return None
        body: Mapping[str, object] = self._api.body
        for path, value in self._parameters(step).items():
            body = with_value(body, path, value)
        return json.dumps(body).encode()

    def _parameters(self, step: Step) -> dict[str, object]:
        found = dict(step.values)
        if self._api.page_size_parameter:
            found[self._api.page_size_parameter] = self._page_size
        since = self._api.since
        if since and step.since:
            value = filter_value(step.since, since)
            is_number = since.template == "{}" and since.form not in ("day", "timestamp")
            found[since.param] = int(value) if is_number else value
        return found

    def _on_own_server(self, link: str) -> str:
        """Return the address of a link with only its path and query, on the connection's server.

        A server behind a proxy may not know its own address, and credentials are for one server only.
        """
        own = urlsplit(self._client.base)
        url = urljoin(self._client.address(self._api.endpoint), link)
        if not is_same_server(url, self._client.base):
            self.other_hosts.add(urlsplit(url).netloc.rpartition("@")[2])
        parts = urlsplit(url)._replace(scheme=own.scheme, netloc=own.netloc, fragment="")
        return self._client.without_key(urlunsplit(parts))


def _as_text(value: object) -> object:
    """Return a value as in a query, where booleans are written as in JSON."""
    if isinstance(value, list | tuple):
        return [_as_text(item) for item in value]
    return str(value).lower() if isinstance(value, bool) else value
