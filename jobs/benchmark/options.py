"""What `bench` is asked to measure, and the folder it does it in."""

from __future__ import annotations

import fcntl
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from conf.problem import Problem, nearest
from conf.settings import Settings
from jobs.benchmark.world import code_lists

SCRATCH = ".bench"
"""Folder in the warehouse for everything that is written; gone at the end."""
FULL_PRODUCTS, FULL_YEARS, FULL_RUNS = 5_000, (2015, 2016, 2017, 2018), 4
QUICK_PRODUCTS, QUICK_YEARS, QUICK_RUNS = 500, (2015, 2016), 2
DISK_A_YEAR = 2.5e9
"""Bytes of a full year in all its forms at once."""
WORDS = ("quick", "products", "runs", "json")


@dataclass(frozen=True)
class Options:
    """What to measure: so many products, these years, so many runs of each program.

    Of the runs the first, which is cold, counts by itself; of the others the median counts.
    """

    products: int
    years: tuple[int, ...]
    runs: int
    json: Path | None


def options(settings: Settings, words: Sequence[str]) -> Options:
    """Read the words that follow `bench`."""
    rest = list(words)
    quick = False
    numbers: dict[str, int] = {}
    path: Path | None = None
    while rest:
        word = rest.pop(0)
        if word == "quick":
            quick = True
        elif word in ("products", "runs") and rest and rest[0].isdigit() and int(rest[0]):
            numbers[word] = int(rest.pop(0))
        elif word == "json" and rest:
            path = Path(rest.pop(0)).absolute()
        else:
            raise Problem(
                f"bench: found {word!r}{nearest(word, WORDS)}; "
                "expected quick, products NUMBER, runs NUMBER or json PATH."
            )
    if path is not None and not path.parent.is_dir():
        raise Problem(f"bench: there is no folder {path.parent} to write {path.name} to.")
    products = numbers.get("products", QUICK_PRODUCTS if quick else FULL_PRODUCTS)
    code_lists(products)  # refuses more products than there are
    return Options(
        products=products,
        years=settings.years or (QUICK_YEARS if quick else FULL_YEARS),
        runs=numbers.get("runs", QUICK_RUNS if quick else FULL_RUNS),
        json=path,
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
    folder.mkdir(parents=True, exist_ok=True)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    with open(folder / "lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Problem(
                f"Another benchmark is running in {folder}; wait until it ends."
            ) from None
        try:
            _empty(folder)  # a benchmark that was killed may have left something
            _need_space(folder, chosen)
            yield folder
        finally:
            signal.signal(signal.SIGTERM, before)
            shutil.rmtree(folder, ignore_errors=True)
            if is_new:
                with suppress(OSError):
                    folder.parent.rmdir()


def _empty(folder: Path) -> None:
    for left in folder.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        elif left.name != "lock":
            left.unlink()


def _need_space(folder: Path, chosen: Options) -> None:
    needed = DISK_A_YEAR * chosen.products / FULL_PRODUCTS * (1 + len(chosen.years))
    if (free := shutil.disk_usage(folder).free) < needed:
        raise Problem(
            f"{folder.parent} has {free / 1e9:.1f} GB free; bench needs {needed / 1e9:.1f} GB. "
            "Give --warehouse another folder, or fewer --years, or the word quick."
        )
