"""What `bench` is asked to measure, and the folder it does it in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from conf.problem import Problem, nearest
from conf.settings import SAMPLE_BACI, Settings
from jobs.scratch import scratch_folder
from jobs.sources.baci import open_release

SCRATCH = ".bench"
"""Folder in the warehouse for everything that is written; gone at the end."""
DISK_A_YEAR = 2.5e9
"""Bytes of a full year in all its forms at once."""
WORDS = ("quick", "full", "products", "runs", "json")


@dataclass(frozen=True)
class Size:
    """What is measured unless words and settings say otherwise."""

    products: int
    years: tuple[int, ...]
    runs: int


USUAL = Size(5_000, (2015, 2016, 2017, 2018), 4)
QUICK = Size(500, (2015, 2016), 2)
FULL = Size(5_000, tuple(range(2007, 2024)), 2)


@dataclass(frozen=True)
class Options:
    """What to measure: so many products, these years, so many runs of each program.

    Of the runs the first, which is cold, counts by itself; of the others the median counts.
    """

    products: int
    years: tuple[int, ...]
    runs: int
    json: Path | None
    full: bool = False

    @property
    def steps(self) -> tuple[int, ...]:
        """Numbers of years to measure: 1, 2, 4, ... and all; of the whole cube 1 and all."""
        every = len(self.years)
        between = (2**k for k in range(every.bit_length()) if 2**k <= every)
        return tuple(sorted({1, every} if self.full else {every, *between}))


def options(settings: Settings, words: Sequence[str]) -> Options:
    """Read the words that follow `bench`."""
    rest = list(words)
    size = FULL if (full := "full" in rest) else QUICK if "quick" in rest else USUAL
    numbers: dict[str, int] = {}
    path: Path | None = None
    while rest:
        word = rest.pop(0)
        if word in ("products", "runs") and rest and rest[0].isdigit() and int(rest[0]):
            numbers[word] = int(rest.pop(0))
        elif word == "json" and rest:
            path = Path(rest.pop(0)).absolute()
        elif word not in ("quick", "full"):
            raise Problem(
                f"bench: found {word!r}{nearest(word, WORDS)}; "
                "expected quick or full, products NUMBER, runs NUMBER or json PATH."
            )
    if path is not None and not path.parent.is_dir():
        raise Problem(f"bench: there is no folder {path.parent} to write {path.name} to.")
    products = numbers.get("products", size.products)
    listed = len(open_release(str(SAMPLE_BACI)).products)
    if products > listed:
        raise Problem(f"bench: found {products} products; expected 1 to {listed}, as listed.")
    return Options(
        products=products,
        years=settings.years or size.years,
        runs=numbers.get("runs", size.runs),
        json=path,
        full=full,
    )


@contextmanager
def scratch(warehouse: str, chosen: Options) -> Iterator[Path]:
    """Make the folder of one benchmark, and remove it however that ends."""
    if "://" in warehouse:
        raise Problem(
            f"bench measures one machine; found --warehouse {warehouse}, expected a folder."
        )
    folder = Path(warehouse).absolute() / SCRATCH
    is_new = not folder.parent.exists()
    try:
        with scratch_folder(folder, "Another benchmark"):
            _need_space(folder, chosen)
            yield folder
    finally:
        if is_new:
            with suppress(OSError):
                folder.parent.rmdir()


def _need_space(folder: Path, chosen: Options) -> None:
    needed = DISK_A_YEAR * chosen.products / USUAL.products * (1 + len(chosen.years))
    if (free := shutil.disk_usage(folder).free) < needed:
        raise Problem(
            f"{folder.parent} has {free / 1e9:.1f} GB free; bench needs {needed / 1e9:.1f} GB. "
            "Give --warehouse another folder, or fewer --years, or the word quick."
        )
