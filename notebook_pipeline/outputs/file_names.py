"""File names made of any text."""

import hashlib
import re

_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")


def safe_file_name(name: str, *, ignore_case: bool = False) -> str:
    """Return a plain name unchanged, and any other as a readable part, a ~ and a digest.

    A plain name contains no ~, so the two kinds never collide. With `ignore_case`, a name with capitals is
    not plain, because some file systems ignore case.
    """
    if _PLAIN.fullmatch(name) and not (ignore_case and name != name.lower()):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:80].strip("-") + "~" + digest
