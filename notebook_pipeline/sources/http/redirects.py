"""Redirects: how many are followed, and which are not."""

from urllib.parse import urljoin, urlsplit

import requests

from notebook_pipeline.sources.http.addresses import shown_address
from notebook_pipeline.sources.http.responses import ASK_CONNECTION, TryError

MAX_REDIRECTS = 5


def redirect_target(response: requests.Response, url: str) -> str | None:
    """Return the address to which the response of `url` redirects, or None if it does not redirect.

    Raises TryError if the address is not HTTP, or is HTTP after HTTPS, or if the body of a POST request would
    be lost, and ValueError if it is not a URL.
    """
    if not response.is_redirect:
        return None
    # http.client reads headers as latin-1, but servers write addresses in UTF-8.
    target = urljoin(url, response.headers["location"].encode("latin-1").decode())
    old, new = urlsplit(url).scheme, urlsplit(target).scheme
    if new not in ("http", "https") or (old, new) == ("https", "http"):
        seen = f"a redirect to {shown_address(target)}, which is not safe to follow"
        raise TryError(seen, ASK_CONNECTION, is_passing=False)
    if response.request.method == "POST" and response.status_code not in (307, 308):
        seen = f"{response.status_code}, a redirect of a POST request to {shown_address(target)}"
        raise TryError(seen, "declare the endpoint there", is_passing=False)
    return target


def too_many(url: str) -> TryError:
    """Return the error for too many redirects; `url` is the last."""
    seen = f"more than {MAX_REDIRECTS} redirects, the last to {shown_address(url)}"
    return TryError(seen, ASK_CONNECTION, is_passing=False)
