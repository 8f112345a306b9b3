"""The public data, from those who publish them: a BACI release and the WGI scores.

A file lies in a folder of its own until it is whole and its contents, with the checksums of a zip,
are what they should be; only then it gets its name. What was interrupted is taken up by the next
call, if the server still has that version.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from rich.progress import DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from conf.problem import Problem, nearest
from jobs.progress import CONSOLE, say
from jobs.sources import wgi
from jobs.sources.baci import open_release

BACI = "https://www.cepii.fr/DATA_DOWNLOAD/baci/data/{name}"
BACI_PAGE = "https://www.cepii.fr/CEPII/en/bdd_modele/bdd_modele_item.asp?id=37"
WGI = "https://www.worldbank.org/content/dam/sites/govindicators/doc/{name}"
WGI_PAGE = "https://www.worldbank.org/en/publication/worldwide-governance-indicators"
WGI_FILE = "wgidataset.xlsx"
REVISIONS = ("HS92", "HS96", "HS02", "HS07", "HS12", "HS17", "HS22")
FOLDER = "data"
UNFINISHED = ".partial"

ATTEMPTS, FIRST_PAUSE, TIMEOUT = 5, 2.0, 60.0
"""Tries for a file, seconds before the second (then twice as long each time), and for an answer."""
PIECE = 2**20


def fetch(words: Sequence[str]) -> None:
    """Download a BACI release and the WGI workbook: REVISION RELEASE [FOLDER].

    Files that are there are checked and left alone.

    Raises:
        Problem: the words are wrong, a publisher cannot be reached or has no such file, or what it
            sent is not what it should be.
    """
    revision, release, folder = _parsed(words)
    name = f"BACI_{revision}_V{release}.zip"
    with _alone(folder):
        zipped = _fetched(BACI.format(name=name), folder / name, _check_release, BACI_PAGE)
        scores = _fetched(WGI.format(name=WGI_FILE), folder / WGI_FILE, wgi.read, WGI_PAGE)
    say(f"For use: ./spark-submit.sh run --baci {zipped} --wgi {scores} --warehouse FOLDER")


def _parsed(words: Sequence[str]) -> tuple[str, str, Path]:
    if len(words) not in (2, 3):
        raise Problem("fetch takes REVISION RELEASE [FOLDER], such as HS07 202601 data.")
    revision, release = words[0].upper(), words[1].upper().removeprefix("V")
    if revision not in REVISIONS:
        raise Problem(
            f"fetch: found the HS revision {words[0]!r}{nearest(revision, REVISIONS)}; "
            f"BACI comes in {', '.join(REVISIONS)}."
        )
    if not re.fullmatch(r"20\d\d(0[1-9]|1[0-2])", release):
        raise Problem(
            f"fetch: found the release {words[1]!r}; expected year and month, such as 202601; "
            f"{BACI_PAGE} lists them."
        )
    return revision, release, Path(words[2] if len(words) == 3 else FOLDER)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder of unfinished files for one call, and take it away at a good end."""
    unfinished = folder / UNFINISHED
    unfinished.mkdir(parents=True, exist_ok=True)
    with (unfinished / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Problem(
                f"Another fetch is writing to {folder}. Wait until it ends, or give another folder."
            ) from None
        yield
        shutil.rmtree(unfinished)


def _check_release(path: Path) -> None:
    open_release(str(path))
    with zipfile.ZipFile(path) as archive:
        try:
            damaged = archive.testzip()
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            damaged = str(error)
    if damaged:
        raise Problem(f"{path} is damaged: {damaged}.")


def _fetched(url: str, target: Path, check: Callable[[Path], object], page: str) -> Path:
    """Return the file, checked; download it unless it is there."""
    if target.exists():
        try:
            check(target)
        except Problem as problem:
            raise Problem(f"{problem} Delete {target} to fetch it again.") from None
        say(f"{target}: there already")
        return target
    unfinished = target.parent / UNFINISHED / target.name
    say(f"{target}: from {url}")
    _download(url, unfinished, page)
    try:
        check(unfinished)
    except Problem as problem:
        unfinished.unlink()
        raise Problem(
            f"{url} sent something else than expected: {problem} It is not kept; look at {page}."
        ) from None
    unfinished.replace(target)
    say(f"{target}: {target.stat().st_size / 1e6:,.1f} MB")
    return target


def _download(url: str, target: Path, page: str) -> None:
    """Try until the file is whole, or nothing came in `ATTEMPTS` tries after each other."""
    download, failed, lost = Download(url, target), 0, ""
    while failed < ATTEMPTS:
        if lost:
            time.sleep(FIRST_PAUSE * 2**failed)
        had = download.size
        try:
            return download.go_on()
        except HTTPError as error:
            if error.code < 500 and error.code != HTTPStatus.TOO_MANY_REQUESTS:
                raise Problem(
                    f"{url}: {error.code} {error.reason}. Look for the file on {page}."
                ) from None
            lost = f"{error.code} {error.reason}"
        except (OSError, HTTPException) as error:
            lost = str(getattr(error, "reason", error)) or type(error).__name__
        failed = 0 if download.size > had else failed + 1
    raise Problem(
        f"{url} could not be read in {ATTEMPTS} tries, the last time: {lost}. Try again later, or "
        f"download the file by hand from {page} and give it with --baci or --wgi."
    )


@dataclass(frozen=True)
class Download:
    """A file on its way to `target`; beside it lies the server's name (ETag) for its version."""

    url: str
    target: Path

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.target.stat().st_size if self.target.exists() else 0

    @property
    def version(self) -> Path:
        """The file with the ETag of what is there; none = unknown, so that it cannot go on."""
        return self.target.with_name(f"{self.target.name}.version")

    def go_on(self) -> None:
        """Read on where a lost connection broke off, if the server still has that version."""
        version = self.version.read_text("utf-8") if self.version.exists() else ""
        have = self.size if version else 0
        asked = {"User-Agent": "trade-risk"}
        if have:
            asked |= {"Range": f"bytes={have}-", "If-Range": version}
        with urlopen(Request(self.url, headers=asked), timeout=TIMEOUT) as answer:
            found = answer.headers.get("ETag", "")
            if answer.status != HTTPStatus.PARTIAL_CONTENT:
                have = 0
            elif found != version:
                self.version.unlink()
                raise ConnectionError(f"the server has {found or 'another version'} now")
            length = answer.headers.get("Content-Length")
            size = None if length is None else have + int(length)
            self._refuse_without_room(size, have)
            if not have:
                self.target.unlink(missing_ok=True)  # before its version changes
                self.version.write_text("" if found.startswith("W/") else found, "utf-8")
            self._write(answer, have, size)
        if size is not None and self.size != size:
            raise ConnectionError(f"cut off after {self.size:,} of {size:,} bytes")

    def _refuse_without_room(self, size: int | None, have: int) -> None:
        free = shutil.disk_usage(self.target.parent).free
        if size is not None and size - have > free:
            raise Problem(
                f"{self.url} has {size / 1e9:.1f} GB and {self.target.parent} {free / 1e9:.1f} GB "
                "free; free some space, or give another folder."
            )

    def _write(self, answer: IO[bytes], have: int, size: int | None) -> None:
        shown = (DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        bar = Progress(*shown, console=CONSOLE, transient=True, disable=not CONSOLE.is_terminal)
        with self.target.open("ab" if have else "wb") as file, bar:
            task = bar.add_task(self.target.name, total=size, completed=have)
            while piece := answer.read(PIECE):
                file.write(piece)
                bar.advance(task, len(piece))
