"""Redirects: how many are followed, and which are not."""

from urllib.parse import urljoin, urlsplit

import requests

from notebook_pipeline.sources.http.addresses import shown_address
from notebook_pipeline.sources.http.responses import ASK_CONNECTION, RequestError

MAX_REDIRECTS = 5


def redirect_target(response: requests.Response, url: str) -> str | None:
    """Return the address to which the response of `url` redirects, or None if it does not redirect.

    Raises RequestError if the address is not HTTP, or is HTTP after HTTPS, and ValueError if it is not a URL.
    """
    if not response.is_redirect:
        return None
    # http.client reads headers as latin-1, but servers write addresses in UTF-8.
    target = urljoin(url, response.headers["location"].encode("latin-1").decode())
    old, new = urlsplit(url).scheme, urlsplit(target).scheme
    if new not in ("http", "https") or (old, new) == ("https", "http"):
        seen = f"a redirect to {shown_address(target)}, which is not safe to follow"
        raise RequestError(seen, ASK_CONNECTION, is_passing=False)
    return target


def too_many(url: str) -> RequestError:
    """Return the error for too many redirects; `url` is the last."""
    seen = f"more than {MAX_REDIRECTS} redirects, the last to {shown_address(url)}"
    return RequestError(seen, ASK_CONNECTION, is_passing=False)
