"""Landed pages: what a server sent, stored on disk as received, with the date and state of the reading."""

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkstemp
from typing import BinaryIO

import pyarrow as pa

from notebook_pipeline import settings

MANIFEST = "extraction.json"

# The manifest is removed last, so that a removal that was killed is completed by the next run.
_WRITTEN = ("page-*.json.zst", "page-*.headers.json", "*.part", MANIFEST)


class Landing:
    """The pages of one extraction in a folder; a folder with another extraction is cleared.

    `request` identifies the request (address, filter, page size …): landed pages are used only for the same
    request. A page is stored completely or not at all, with what its headers say about the next page.
    `began` is the moment (UTC) at which page 0 was requested, or earlier, and `day` its day. Only the owner
    may read files and folder.
    """

    def __init__(self, folder: Path, request: Mapping[str, object]) -> None:
        self.folder = folder
        self._request = dict(request)
        state = self._load()
        self.reading: int = state.get("reading", 1)
        self.total: int | None = state.get("total")
        self.is_complete: bool = state.get("is_complete", False)
        self.began: str = state.get("began", "")
        if not state:
            self.begin(1)

    def begin(self, reading: int) -> None:
        """Remove all pages and start from page 0; `reading` counts the readings from 1."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _clear(self.folder, *_WRITTEN)
        self.reading, self.total, self.is_complete = reading, None, False
        now = datetime.now(UTC).time().isoformat("microseconds")
        self.began = f"{settings.today().isoformat()} {now}"
        self._save()

    @property
    def day(self) -> str:
        """Return the day on which the reading began."""
        return self.began.partition(" ")[0]

    def keep_total(self, total: int | None) -> None:
        """Save the source's own count, taken before or with its first page."""
        self.total = total
        self._save()

    def complete(self) -> None:
        """Save that all pages have landed, so that they can be merged again without the server.

        Staged files that were not kept are removed: wrong guesses, and what killed runs left behind.
        """
        _clear(self.folder, "*.part")
        self.is_complete = True
        self._save()

    def reopen(self, page: int) -> None:
        """Remove this page and all later ones, whose offsets depend on the number of rows in this one."""
        if self.is_complete:
            self.is_complete = False
            self._save()
        # The last one first, so that pages left by a kill still start from 0 without a gap.
        for path in sorted(self.folder.glob("page-*.json.zst"), reverse=True):
            if path >= self._path(page):
                self._headers_path(_number(path)).unlink(missing_ok=True)
                path.unlink()

    def stage(self, body: bytes) -> Path:
        """Write a page as received, compressed, to a file that `keep` makes a landed page."""
        descriptor, name = mkstemp(".part", dir=self.folder)
        os.close(descriptor)
        try:
            # Arrow opens the file itself: a thread still writing when Python exits needs no Python objects.
            with pa.CompressedOutputStream(name, "zstd") as sink:
                sink.write(body)
        except BaseException:
            os.unlink(name)
            raise
        return Path(name)

    def keep(self, page: int, staged: Path, headers: Mapping[str, str] | None = None) -> None:
        """Make a staged page the next landed page, with these of its headers."""
        path = self._headers_path(page)
        if headers:
            self._write(path, headers)
        else:
            path.unlink(missing_ok=True)
        staged.replace(self._path(page))

    def read(self, page: int) -> bytes | None:
        """Return a landed page, or None if it is missing or incomplete."""
        try:
            with pa.input_stream(str(self._path(page)), compression="zstd") as source:
                return source.read()
        except OSError:  # Arrow raises it for a truncated file, too
            return None

    def headers(self, page: int) -> dict[str, str]:
        """Return the headers that were kept with a landed page."""
        try:
            return json.loads(self._headers_path(page).read_text())
        except FileNotFoundError:
            return {}

    def drop(self, page: int) -> None:
        """Remove a page that could not be used, so that it is requested again."""
        self._path(page).unlink(missing_ok=True)

    def _path(self, page: int) -> Path:
        return self.folder / f"page-{page:06}.json.zst"

    def _headers_path(self, page: int) -> Path:
        return self.folder / f"page-{page:06}.headers.json"

    def _load(self) -> dict:
        try:
            state = json.loads((self.folder / MANIFEST).read_text())
        except (OSError, ValueError):
            return {}
        is_same = isinstance(state, dict) and state.get("request") == self._request and state.get("began")
        return state if is_same else {}

    def _save(self) -> None:
        state = {
            "request": self._request,
            "reading": self.reading,
            "total": self.total,
            "is_complete": self.is_complete,
            "began": self.began,
        }
        self._write(self.folder / MANIFEST, state)

    def _write(self, path: Path, content: Mapping[str, object]) -> None:
        part = path.with_name(f"{path.name}.part")
        with _private(part) as file:
            file.write(json.dumps(content).encode())
        part.replace(path)


def remove_landed(root: Path, keep_landed_days: float) -> list[Path]:
    """Remove and return the landing folders below `root` unchanged for more than `keep_landed_days`.

    Another run may do this at the same time: files that it has removed are ignored.
    """
    oldest = time.time() - keep_landed_days * 86_400
    removed = [folder for folder in _landings(root) if _changed_at(folder) < oldest]
    for folder in removed:
        _clear(folder, *_WRITTEN)
        with suppress(OSError):  # it is missing, or not empty
            folder.rmdir()
    return removed


def _changed_at(folder: Path) -> float:
    try:
        return (folder / MANIFEST).stat().st_mtime
    except FileNotFoundError:
        return math.inf


def _clear(folder: Path, *patterns: str) -> None:
    """Remove only files that a landing writes, whatever folder was named."""
    for pattern in patterns:
        with suppress(FileNotFoundError):  # the folder itself is missing
            for path in folder.glob(pattern):
                path.unlink(missing_ok=True)


def _landings(root: Path) -> Iterator[Path]:
    """Yield the folders below `root` that contain an extraction; links are not followed."""
    for folder, _, files in os.walk(root):
        if MANIFEST in files:
            yield Path(folder)


def _number(page: Path) -> int:
    return int(page.name.removeprefix("page-").partition(".")[0])


def _private(path: Path) -> BinaryIO:
    return open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600))
