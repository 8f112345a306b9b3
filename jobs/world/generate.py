"""Write a synthetic BACI release, its WGI file and its planted truth into one new folder.

Beside them lie `recordings`: what a language model would have answered about this world.

    generate FOLDER [--world-files csv|zip|none] [--world-products N] [--years 2007-2023] [--seed N]

A task writes a year, so the text depends on the settings alone; lines are sorted as CEPII sorts
them, by exporter, importer and product. Without trade files (`none`) the folder holds the recipe,
`world.json`, and `ingest` generates the same flows straight into `trade`. The folder, which all
machines must be able to write, gets its name when all is written: a kill leaves a hidden folder,
which the next call with the same name clears.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pyspark.sql import SparkSession

from conf.problem import Problem
from conf.settings import Settings
from jobs.progress import Progress, say
from jobs.scratch import LOCK, scratch_folder
from jobs.sources import baci_text
from jobs.sources.baci import RECIPE, Country
from jobs.world.recipe import NOMENCLATURE, make_world, recipe_of, trade_file
from udfs.world import SYNTHETIC, World, answers, picks, truth, wgi, year_of_flows

LINES_AT_ONCE = 2**20
ZIP_LEVEL = 1
"""Level 6 takes three times as long and saves a sixth."""


def generate(spark: SparkSession, settings: Settings, target: Path) -> None:
    """Write the world of `settings` into `target`, which must not exist.

    Raises:
        Problem: the folder exists, or the lists do not hold what is asked for.
    """
    if target.exists():
        raise Problem(f"{target} exists; generate overwrites nothing: name a new folder.")
    world, countries = make_world(settings)
    if not world.settings.has_windows:
        base, last = world.settings.base_years, world.settings.target_years
        say(
            f"  no growth is planted: that takes the years {base[0]}-{base[-1]} and "
            f"{last[0]}-{last[-1]} (--years)"
        )
    with scratch_folder(target.with_name(f".{target.name}.partial"), "Another generate") as folder:
        folder.chmod(0o755)
        if settings.world.world_files != "none":
            _write_trade(spark, world, folder)
        _write_lists(world, countries, folder)
        _write_recordings(world, folder / "recordings")
        if settings.world.world_files == "zip":
            _pack(folder)
        (folder / RECIPE).write_text(recipe_of(settings), encoding="utf-8")
        (folder / LOCK).unlink()
        folder.rename(target)


def _write_trade(spark: SparkSession, world: World, folder: Path) -> None:
    years = world.settings.years
    shared = spark.sparkContext.broadcast(world)

    def write(years: Iterator[int]) -> Iterator[int]:
        for year in years:
            with (folder / trade_file(year)).open("wb") as file:
                file.write(baci_text.HEADER)
                yield sum(file.write(text) for text in year_in_text(shared.value, year))

    with Progress(spark, "generate", "a synthetic world"):
        spark.sparkContext.parallelize(years, len(years)).mapPartitions(write).sum()


def year_in_text(world: World, year: int) -> Iterator[bytes]:
    """Return the lines of a year, without header, in pieces."""
    found = year_of_flows(world, year)
    products = np.array(list(world.products), "S6")
    for start in range(0, found.exporters.size, LINES_AT_ONCE):
        piece = slice(start, start + LINES_AT_ONCE)
        yield baci_text.lines(
            year,
            found.exporters[piece],
            found.importers[piece],
            products[found.products[piece]],
            found.values_kusd[piece],
            found.quantities_t[piece],
        )


def _write_lists(world: World, countries: list[Country], folder: Path) -> None:
    rows = [(c.country, c.name, c.iso2 or "N/A", c.iso3 or "N/A") for c in countries]
    (folder / f"country_codes_V{SYNTHETIC}.csv").write_bytes(baci_text.country_list(rows))
    (folder / f"product_codes_{NOMENCLATURE}_V{SYNTHETIC}.csv").write_bytes(
        baci_text.product_list(world.products)
    )
    wgi(world.countries, world.settings.years).to_csv(folder / "wgi.csv", index=False)
    (folder / "truth").mkdir()
    for name, frame in truth(world).items():
        frame.to_csv(folder / "truth" / f"{name}.csv", index=False)


def _write_recordings(world: World, folder: Path) -> None:
    folder.mkdir()
    said = answers(world).assign(nomenclature=NOMENCLATURE)
    said.to_json(folder / f"responses_{SYNTHETIC}.jsonl", orient="records", lines=True)
    picks(world).to_csv(folder / f"picks_{SYNTHETIC}.csv", index=False)


def _pack(folder: Path) -> None:
    """Move trade and lists into one zip, as CEPII publishes them."""
    release = sorted(p for p in folder.glob("*.csv") if p.name != "wgi.csv")
    name = f"BACI_{NOMENCLATURE}_V{SYNTHETIC}.zip"
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED, compresslevel=ZIP_LEVEL) as out:
        for path in release:  # dated 1980-01-01, so that the bytes depend on the settings alone
            with path.open("rb") as text, out.open(path.name, "w", force_zip64=True) as packed:
                shutil.copyfileobj(text, packed, 2**20)
            path.unlink()
