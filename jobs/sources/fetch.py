"""The public data, from those who publish them: a BACI release and the WGI scores.

The only command that needs a network. A file is checked as `run` would check it before it gets its
name, and an interrupted download leaves nothing that could be taken for the whole.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
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
LOST = (URLError, HTTPException, ConnectionError, TimeoutError)
"""What a lost connection raises; the rest is a fault that a further try would meet again."""


def fetch(words: Sequence[str]) -> None:
    """Download a BACI release and the WGI workbook: REVISION RELEASE [FOLDER].

    Files that are there are checked and left alone.

    Raises:
        Problem: the words are wrong, a publisher cannot be reached or has no such file, or what it
            sent is not what it should be.
    """
    revision, release, folder = _parsed(words)
    name = f"BACI_{revision}_V{release}.zip"
    zipped = _fetched(BACI.format(name=name), folder / name, _check_release, BACI_PAGE)
    scores = _fetched(WGI.format(name=WGI_FILE), folder / WGI_FILE, wgi.read, WGI_PAGE)
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
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


def _check_release(path: Path) -> object:
    return open_release(str(path))


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
    unfinished.parent.mkdir(parents=True, exist_ok=True)
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
    download, lost = Download(url, target), ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(FIRST_PAUSE * 2 ** (attempt - 1))
        try:
            return download.go_on()
        except HTTPError as error:
            if error.code < 500 and error.code != 429:
                raise Problem(
                    f"{url}: {error.code} {error.reason}. Look for the file on {page}."
                ) from None
            lost = f"{error.code} {error.reason}"
        except LOST as error:
            lost = str(getattr(error, "reason", error)) or type(error).__name__
    raise Problem(
        f"{url} could not be read in {ATTEMPTS} tries, the last time: {lost}. Try again later, or "
        f"download the file by hand from {page} and give it with --baci or --wgi."
    )


@dataclass
class Download:
    """A file on its way. version: the server's name (ETag) for what `target` has a part of."""

    url: str
    target: Path
    version: str = ""

    def go_on(self) -> None:
        """Read on where a lost connection broke off, if the server still has that version."""
        have = self.target.stat().st_size if self.version else 0
        asked = {"User-Agent": "trade-risk"}
        if have:
            asked |= {"Range": f"bytes={have}-", "If-Range": self.version}
        with urlopen(Request(self.url, headers=asked), timeout=TIMEOUT) as answer:
            have = have if answer.status == HTTPStatus.PARTIAL_CONTENT else 0
            tag = answer.headers.get("ETag", "")
            self.version = "" if tag.startswith("W/") else tag
            length = answer.headers.get("Content-Length")
            size = None if length is None else have + int(length)
            self._refuse_without_room(size, have)
            self._write(answer, have, size)
        if size is not None and self.target.stat().st_size != size:
            raise ConnectionError(f"cut off after {self.target.stat().st_size:,} of {size:,} bytes")

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
