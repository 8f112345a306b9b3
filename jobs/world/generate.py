"""Write a synthetic BACI release, its WGI file and its planted truth into one new folder.

    generate FOLDER [--world-products N] [--world-countries N] [--years 2007-2023] [--seed N]

Tasks write one piece a year and slice of products, the driver joins the pieces in order: the text
depends on the settings alone. Lines are sorted by product, exporter and importer. The folder gets
its name when all is written, so a kill leaves only a hidden folder.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession

from conf.materials import material
from conf.problem import Problem
from conf.settings import SAMPLE_BACI, Settings
from jobs.progress import Progress
from jobs.sources import baci_text
from jobs.sources.baci import Country, Release, open_release
from jobs.warehouse import SYNTHETIC
from udfs.stability import wgi_code
from udfs.world import Strengths, World, WorldSettings, build, flows, truth, wgi

T = TypeVar("T")

PRODUCTS_A_PIECE = 50
LISTS = SAMPLE_BACI


def generate(spark: SparkSession, settings: Settings, target: Path) -> None:
    """Write the world of `settings` into `target`, which must not exist.

    Raises:
        Problem: the folder exists, or the lists do not hold what is asked for.
    """
    if target.exists():
        raise Problem(f"{target} exists; generate overwrites nothing: name a new folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    release = open_release(str(LISTS))
    world, countries = make_world(settings, release)
    hidden = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        hidden.chmod(0o755)
        _write_trade(spark, world, hidden)
        _write_lists(world, countries, hidden)
        hidden.rename(target)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def make_world(settings: Settings, release: Release) -> tuple[World, list[Country]]:
    """Build the world that `settings` ask for from the code lists of `release`."""
    asked = settings.world
    countries = _spread(_present(release), asked.world_countries, "countries")
    seeds = {
        name: [s.product for s in material(name).seeds if s.product in release.products]
        for name in settings.materials
    }
    wanted = sorted({seed for own in seeds.values() for seed in own})
    others = [code for code in sorted(release.products) if code not in set(wanted)]
    chosen = [*wanted, *_spread(others, asked.world_products - len(wanted), "products")]
    strengths = Strengths(
        asked.strength_network,
        asked.strength_groups,
        asked.strength_growth,
        asked.strength_upstream,
    )
    plan = (
        WorldSettings(seed=settings.seed, years=settings.years, strengths=strengths)
        if settings.years
        else WorldSettings(seed=settings.seed, strengths=strengths)
    )
    listed = pd.DataFrame([(c.country, c.name, c.iso3) for c in countries])
    listed.columns = pd.Index(["country", "name", "iso3"])
    try:
        world = build(plan, listed, {code: release.products[code] for code in chosen}, seeds)
    except ValueError as error:
        raise Problem(f"This world cannot be made: {error}.") from error
    return world, countries


def _present(release: Release) -> list[Country]:
    """Return the countries with an ISO3 code, one for each economy that WGI scores.

    Of namesakes the last, since the others are dissolved; Serbia and not its union with Montenegro.
    """
    listed = [c for c in release.countries if c.iso3]
    listed.sort(key=lambda c: (wgi_code(c.iso3) == c.iso3, c.country))
    return sorted({wgi_code(c.iso3) or c.iso3: c for c in listed}.values(), key=lambda c: c.country)


def _spread(items: list[T], count: int, name: str) -> list[T]:
    """Return `count` items, evenly spread over the list."""
    if not 0 < count <= len(items):
        raise Problem(f"Found {count} {name} asked for; expected 1 to {len(items)}, the list's.")
    return [items[at] for at in np.linspace(0, len(items) - 1, count).round().astype(int)]


def _write_trade(spark: SparkSession, world: World, folder: Path) -> None:
    codes = list(world.products)
    slices = range(0, len(codes), PRODUCTS_A_PIECE)
    tasks = [(year, start) for year in world.settings.years for start in slices]
    pieces = folder / "pieces"
    pieces.mkdir()
    shared = spark.sparkContext.broadcast(world)

    def write(tasks: Iterator[tuple[int, int]]) -> Iterator[int]:
        for year, start in tasks:
            text = piece(shared.value, year, codes[start : start + PRODUCTS_A_PIECE])
            (pieces / f"{year}_{start}").write_bytes(text)
            yield len(text)

    with Progress(spark, "generate", "a synthetic world"):
        spark.sparkContext.parallelize(tasks, len(tasks)).mapPartitions(write).sum()
    for year in world.settings.years:
        with (folder / f"BACI_HS92_Y{year}_V{SYNTHETIC}.csv").open("wb") as whole:
            whole.write(baci_text.HEADER)
            for start in slices:
                whole.write((pieces / f"{year}_{start}").read_bytes())
    shutil.rmtree(pieces)


def piece(world: World, year: int, products: list[str]) -> bytes:
    """Return the lines of some products in a year, without header."""
    found = ((product, flows(world, year, product)) for product in products)
    return b"".join(
        baci_text.lines(
            year, one.exporters, one.importers, product, one.values_kusd, one.quantities_t
        )
        for product, one in found
    )


def _write_lists(world: World, countries: list[Country], folder: Path) -> None:
    rows = [(c.country, c.name, c.iso2 or "N/A", c.iso3 or "N/A") for c in countries]
    (folder / f"country_codes_V{SYNTHETIC}.csv").write_bytes(baci_text.country_list(rows))
    (folder / f"product_codes_HS92_V{SYNTHETIC}.csv").write_bytes(
        baci_text.product_list(world.products)
    )
    wgi(world.countries, world.settings.years).to_csv(folder / "wgi.csv", index=False)
    (folder / "truth").mkdir()
    for name, frame in truth(world).items():
        frame.to_csv(folder / "truth" / f"{name}.csv", index=False)
