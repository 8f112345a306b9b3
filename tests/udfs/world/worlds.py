"""Small generated worlds, and the indicators of their trade that the tests of recovery start from.

Codes and names are invented, so that nothing here depends on a file.
"""

import numpy as np
import pandas as pd

from udfs.dependency import INDICATORS, composite
from udfs.profiles import COLUMNS, profile_of_year
from udfs.systemic_risk import comparative_advantage, product_year
from udfs.world import Strengths, World, WorldSettings, build, flows

MATERIAL = "unobtainium"
BASE, TARGET = (2008, 2009, 2010, 2011), (2020, 2021, 2022, 2023)
WINDOWS = BASE + TARGET
"""Years with which growth is planted, and no others."""
PLACEBO = Strengths(network=0, groups=0, growth=0, upstream=0)


def small_world(
    seed,
    *,
    countries=60,
    products=160,
    tier_sizes=(8, 12, 12, 8),
    years=(2008, 2009, 2010),
    strengths=None,
    materials=(MATERIAL,),
    **settings,
) -> World:
    """Build a world of invented countries and products; each material has three seeds."""
    listed = pd.DataFrame({"country": 4 * np.arange(1, countries + 1)})
    listed["name"] = [f"Country {code}" for code in listed["country"]]
    listed["iso3"] = [f"C{code}" for code in listed["country"]]
    codes = [f"{10 * n:06d}" for n in range(1, products + 1)]
    chosen = np.linspace(0, products - 1, 3 * len(materials)).astype(int).reshape(-1, 3)
    return build(
        WorldSettings(
            seed=seed,
            years=years,
            tier_sizes=tier_sizes,
            strengths=strengths or Strengths(),
            **settings,
        ),
        listed,
        {code: f"Goods numbered {code}" for code in codes},
        {name: [codes[n] for n in own] for name, own in zip(materials, chosen, strict=True)},
    )


def positions(world: World, codes) -> np.ndarray:
    """Return where countries with these codes stand."""
    return np.searchsorted(world.countries.code, codes)


def trade_of(world: World, years) -> tuple[np.ndarray, np.ndarray]:
    """Return imports and exports, thousand USD, each of shape (years, products, countries)."""
    n = world.countries.code.size
    imports = np.zeros((len(years), len(world.products), n))
    exports = np.zeros_like(imports)
    for at, year in enumerate(years):
        for row, product in enumerate(world.products):
            trade = flows(world, year, product)
            exports[at, row] = np.bincount(positions(world, trade.exporters), trade.values_kusd, n)
            imports[at, row] = np.bincount(positions(world, trade.importers), trade.values_kusd, n)
    return imports, exports


def stability_by_code(world: World, year: int) -> np.ndarray:
    """Return PV indexed by country code, NaN where there is no country."""
    indexed = np.full(world.countries.code.max() + 1, np.nan)
    indexed[world.countries.code] = world.countries.stability[:, world.settings.years.index(year)]
    return indexed


def indicators_of(world: World, years) -> pd.DataFrame:
    """Return the rows of `indicators` for the products of the networks, RCA over all products.

    year, product, country, imports, exports, exposure, hhi, str, influence, rca.
    """
    network = {product for _, product in world.networks.tiers}
    code = world.countries.code
    frames = []
    for year in years:
        stability = stability_by_code(world, year)
        of_country, of_world, own = np.zeros(code.size), 0.0, []
        for product in world.products:
            trade = flows(world, year, product)
            of_country += np.bincount(
                positions(world, trade.exporters), trade.values_kusd, code.size
            )
            of_world += trade.values_kusd.sum()
            if product in network:
                own.append((product, trade))
        for product, trade in own:
            found = product_year(
                trade.exporters, trade.importers, trade.values_kusd, stability=stability
            )
            rca = comparative_advantage(
                found.exports,
                of_country[positions(world, found.countries)],
                float(found.exports.sum()),
                of_world,
            )
            frames.append(
                pd.DataFrame(
                    {
                        "year": year,
                        "product": product,
                        "country": found.countries,
                        "imports": found.imports,
                        "exports": found.exports,
                        "exposure": found.exposure,
                        "hhi": found.hhi,
                        "str": found.systemic_risk,
                        "influence": found.influence,
                        "rca": rca,
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def mean_advantage(indicators: pd.DataFrame) -> pd.Series:
    """Return mean RCA by (product, country), a year without exports counting as 0."""
    years = indicators["year"].nunique()
    return indicators.groupby(["product", "country"])["rca"].sum() / years


def profiles_of(world: World, years) -> pd.DataFrame:
    """Return dependency profiles, a row a country and year, by true edges; 16 columns."""
    rows = indicators_of(world, years)
    mean = mean_advantage(rows)
    strong = set(mean[mean > 1].index)
    inputs = {
        (pair.input, country)
        for pair in world.networks.proposals
        for country in world.countries.code
        if pair.true and (pair.output, country) in strong
    }
    tiers = {product: tier for (_, product), tier in world.networks.tiers.items()}
    parts = rows[list(INDICATORS)]
    defined = parts.notna().all(axis=1)
    score = composite(
        int(defined.sum()), parts[defined].mean().to_numpy(), parts[defined].cov().to_numpy()
    )
    rows = rows.assign(
        tier=rows["product"].map(tiers),
        is_input=[key in inputs for key in zip(rows["product"], rows["country"], strict=True)],
        weight=rows["imports"] + rows["exports"],
        pv_imputed_share=0.0,
        score=(parts.to_numpy() - score.mean) @ score.weights,
    )
    cells = [profile_of_year(own).assign(year=year) for year, own in rows.groupby("year")]
    wide = pd.concat(cells).pivot(index=["country", "year"], columns="feature", values="value")
    return wide[list(COLUMNS[16])].reset_index()
