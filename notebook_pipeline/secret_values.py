"""Which values are likely to be secrets, by their name or their form."""

import re
from collections.abc import Callable, Mapping
from urllib.parse import unquote

_SECRET_WORDS = (
    *("password", "passwd", "passphrase", "_pwd", "secret", "token", "credential", "bearer", "cookie"),
    *("api_key", "apikey", "private_key", "service_account", "keyfile_dict", "authorization"),
)
# These words are common in the names of parameters and columns; at the end of the name of a variable or a
# header they indicate a secret.
_SECRET_ENDING = re.compile(r"(?:^|_)(?:keys?|pat|dsn|pass|pw|creds|auth|jwt|sas|session_id|webhook)$")


def is_secret_name(name: str) -> bool:
    """Return True if anything of this name, even a parameter, is likely to contain a secret."""
    return any(word in _plain(name) for word in _SECRET_WORDS)


def is_secret_field(name: str) -> bool:
    """Return True if a variable, header or extra field of this name is likely to contain a secret."""
    return is_secret_name(name) or bool(_SECRET_ENDING.search(_plain(name)))


def secret_values(extra: Mapping[str, object]) -> list[str]:
    """Return the values in the extra of a connection that are likely to be secrets."""
    return [
        *_values_of(extra, is_secret_name),
        *filter(looks_random, _values_of(extra, is_secret_field)),
    ]


def looks_random(text: str, length: int = 6) -> bool:
    """Return True if a text is more likely a key than a word, a number, a user name or an email address."""
    has_both = any(map(str.isdigit, text)) and any(map(str.isalpha, text))
    return has_both and "@" not in text and len(text) >= length


def password_in(host: str) -> list[str]:
    """Return the password in a host such as `https://login:password@host`, with or without a scheme.

    After a scheme, a login without a password is taken for a token.
    """
    before, scheme, behind = host.partition("://")
    login, _, password = (behind if scheme else before).rpartition("@")[0].partition(":")
    secret = "" if "/" in login else password or (login if scheme else "")
    return [secret, unquote(secret)]


def _values_of(value: object, is_secret: Callable[[str], bool], *, hidden: bool = False) -> list[str]:
    """Return the values in `value`, at any depth, whose name is that of a secret."""
    if isinstance(value, Mapping):
        return [
            text
            for name, inner in value.items()
            for text in _values_of(inner, is_secret, hidden=hidden or is_secret(str(name)))
        ]
    if isinstance(value, list):
        return [text for inner in value for text in _values_of(inner, is_secret, hidden=hidden)]
    if not hidden:
        # An address, such as a proxy's, may contain a password even if its name is not that of a secret.
        return password_in(value) if isinstance(value, str) and "://" in value else []
    if value in (None, "") or isinstance(value, bool):
        return []
    # The token alone in a header such as `Bearer abc` is also a secret.
    return [str(value), str(value).rpartition(" ")[2]]


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
