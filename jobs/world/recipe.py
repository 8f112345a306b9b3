"""What a synthetic world is made from: a few settings, kept beside it as `world.json`.

Whoever reads the recipe makes the same world, so that `ingest` can generate trade itself where a
folder holds a recipe and no trade.
"""

from __future__ import annotations

import json
from typing import TypeVar

import numpy as np
import pandas as pd

from conf.materials import material
from conf.problem import Problem
from conf.settings import SAMPLE_BACI, Settings, load
from jobs.sources.baci import Country, Release, open_release
from udfs.stability import wgi_code
from udfs.world import GENERATOR, SYNTHETIC, Strengths, World, WorldSettings, build

T = TypeVar("T")

NOMENCLATURE = "HS92"
"""Revision of the bundled list that products are taken from."""
BYTES_A_PRODUCT = 100_000
"""Text of a product in a year: 2,200 flows on average, 46 bytes each."""


def trade_file(year: int) -> str:
    """Return the name of a year's file, as CEPII would name it."""
    return f"BACI_{NOMENCLATURE}_Y{year}_V{SYNTHETIC}.csv"


def recipe_of(settings: Settings) -> str:
    """Return as JSON what decides a world."""
    years = settings.years or WorldSettings(seed=settings.seed).years
    size = BYTES_A_PRODUCT * settings.world.world_products
    chosen = {
        "generator": GENERATOR,
        "files": {trade_file(year): size for year in years},
        "seed": settings.seed,
        "years": ",".join(map(str, years)),
        "materials": ",".join(settings.materials),
        **settings.world.model_dump(exclude={"world_files"}),
    }
    return json.dumps(chosen, indent=2) + "\n"


def world_of(recipe: str) -> World:
    """Make the world of a recipe; `load` refuses what `generate` has not written."""
    given = json.loads(recipe)
    if (made_by := given.get("generator", 1)) != GENERATOR:
        raise Problem(
            f"This world is of generator {made_by}, here is {GENERATOR}, which makes another one "
            "of the same settings; its truth would not fit. Run `generate` into a new folder."
        )
    kept = given.keys() - {"files", "generator"}
    values = {name: str(given[name]) for name in kept}
    world, _ = make_world(load(values, environment={}))
    return world


def make_world(settings: Settings) -> tuple[World, list[Country]]:
    """Build the world that `settings` ask for from the code lists of the bundled release."""
    release = open_release(str(SAMPLE_BACI))
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
