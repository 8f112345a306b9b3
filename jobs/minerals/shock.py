"""Where does a shock to the supply of a mineral from one country go, step by step?

Reads   resource_flows  (resource, year) -> the network
        resources       (resource) -> coverage, reason
        countries       (country) -> name, iso3
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table as Printed

from conf.minerals import mineral, minerals
from conf.problem import Problem, nearest
from conf.settings import Settings
from jobs.minerals.networks import rules
from jobs.minerals.regions import REGION_CODE, codes_by_name, members, members_in
from jobs.progress import CONSOLE, cell, say
from jobs.tables import COUNTRIES, RESOURCE_FLOWS, RESOURCES
from jobs.warehouse import Warehouse
from udfs.resource_rows import network_of, shares_of
from udfs.shock_path import shock_path

STEPS = 5
"""Powers of V shown: lambda is about 0.4, so that the fifth step is a hundredth of the first."""
SHOWN = 8
"""Countries shown a step."""
LEAST = 0.0005
"""Share of imports below which a country is not shown: 0.05 percent."""


@dataclass(frozen=True)
class Shock:
    """A shock from one country: rows of (step, country, hit, through), strongest first."""

    mineral: str
    origin: str
    year: int
    stability: float
    table: pd.DataFrame
    bundled_with: str | None
    reason: str


def shock(warehouse: Warehouse, settings: Settings, words: Sequence[str]) -> Shock:
    """Return the path of a shock; words: mineral, origin (ISO3, name or EU) and maybe a year."""
    if len(words) not in (2, 3):
        raise Problem(
            f"shock takes a mineral, an origin and maybe a year, found {len(words)} words; "
            'for instance: shock "Rare Earth" CHN 2012'
        )
    resource = _loaded(warehouse, words[0])
    names = {int(row.country): row.name for row in _countries(warehouse).itertuples()}
    names[REGION_CODE] = settings.minerals.merged_region
    row = _network_row(warehouse, resource.resource, words[2] if len(words) == 3 else None)
    code = _origin(warehouse, settings, words[1], row, names)
    how = rules(settings)
    network = network_of(row, how)
    stability = np.asarray(row.stability, np.float64)
    origin = int(np.searchsorted(network.countries, code))
    path = shock_path(
        network.sources,
        network.targets,
        shares_of(network, stability, how),
        network.countries.size,
        origin=origin,
        steps=STEPS,
    )
    step, at = np.nonzero(path.hit > 0)
    table = pd.DataFrame(
        {
            "step": step + 1,
            "country": [names[int(network.countries[n])] for n in at],
            "hit": path.hit[step, at],
            "through": [names[int(network.countries[n])] for n in path.through[step, at]],
        }
    ).sort_values(["step", "hit", "country"], ascending=[True, False, True], ignore_index=True)
    return Shock(
        resource["name"],
        names[code],
        int(row.year),
        float(stability[origin]),
        table,
        resource.bundled_with,
        resource.reason,
    )


def _loaded(warehouse: Warehouse, name: str) -> Any:
    every = {one.key.lower(): one.key for one in minerals()}
    key = every.get(name.lower()) or mineral(name).key
    known = warehouse.read(RESOURCES).toPandas().set_index("resource", drop=False)
    found = known.loc[key]
    if found["coverage"] == "not loaded":
        loaded = known.loc[known["coverage"] != "not loaded", "resource"]
        raise Problem(
            f"{key} is not in the loaded trade: {found['reason']}. Loaded are {', '.join(loaded)}."
        )
    return found


def _countries(warehouse: Warehouse) -> pd.DataFrame:
    return warehouse.read(COUNTRIES).select("country", "name", "iso3").toPandas()


def _network_row(warehouse: Warehouse, resource: str, year: str | None) -> Any:
    rows = warehouse.read(RESOURCE_FLOWS).where(f"resource = '{resource}'")
    years = sorted(row.year for row in rows.select("year").collect())
    wanted = years[-1] if year is None else int(year) if year.isdigit() else None
    if wanted not in years:
        raise Problem(
            f"shock: found year {year!r}; {resource} is loaded for {', '.join(map(str, years))}."
        )
    return rows.where(f"year = {wanted}").toPandas().iloc[0]


def _origin(
    warehouse: Warehouse, settings: Settings, name: str, row: Any, names: Mapping[int, str]
) -> int:
    codes = {key.upper(): found for key, found in codes_by_name(warehouse, settings).items()}
    for code, full in names.items():
        codes.setdefault(full.upper(), [code])
    if name.upper() not in codes:
        valid = [*codes, *names.values()]
        raise Problem(f"shock: no country {name!r}{nearest(name, valid)}.")
    traders = np.union1d(row.exporters, row.importers)
    found = [code for code in codes[name.upper()] if code in traders]
    if found:
        return found[-1]
    merged = members_in(members(warehouse, settings), int(row.year))
    if set(codes[name.upper()]) & set(merged):
        region = settings.minerals.merged_region
        raise Problem(
            f"shock: {name} trades as part of {region} in {row.year}; ask for EU, or rebuild the "
            "networks with --merged-region none."
        )
    sellers = pd.Series(np.asarray(row["values"]), index=row.exporters).groupby(level=0).sum()
    largest = ", ".join(names[int(code)] for code in sellers.nlargest(5).index)
    raise Problem(
        f"shock: {name} does not trade {row.resource} in {row.year}; its largest exporters are "
        f"{largest}."
    )


def print_shock(settings: Settings, words: Sequence[str]) -> None:
    """Print who is hit at which step, and how much."""
    from jobs.session import start

    found = shock(start("shock", settings.warehouse), settings, words)
    say(
        f"{found.mineral}, {found.year}: a shock in {found.origin} "
        f"(stability {found.stability:.0f})"
    )
    say(f"  {found.reason}" + (f"; holds also {found.bundled_with}" * bool(found.bundled_with)))
    if found.table.empty:
        say(f"  It reaches nobody: {found.origin} is no supplier above the share filter.")
        return
    for step, rows in found.table.groupby("step"):
        shown = rows[rows["hit"] >= LEAST].head(SHOWN)
        if shown.empty:
            say(f"\nFrom step {step} on nobody is hit by {LEAST:.2%} of imports or more.")
            return
        CONSOLE.print(_printed(int(step), rows, shown))  # type: ignore[call-overload]
    say(
        "Hit: share of the country's imports, weighted by the instability of every supplier on "
        "the way (V, V squared, ...). Not a forecast: stocks, substitutes and new suppliers are "
        "not in it."
    )


def _printed(step: int, rows: pd.DataFrame, shown: pd.DataFrame) -> Printed:
    power = "V" if step == 1 else f"V^{step}"
    table = Printed(title=f"Step {step} ({power}): {len(rows)} countries hit", title_justify="left")
    table.add_column("country")
    table.add_column("hit", justify="right")
    table.add_column("mostly through")
    table.add_column("")
    largest = float(shown["hit"].iloc[0])
    for row in shown.itertuples():
        bar = "#" * max(1, round(20 * float(row.hit) / largest))  # type: ignore[arg-type]
        table.add_row(cell(str(row.country)), f"{row.hit:.2%}", cell(str(row.through)), bar)
    return table
