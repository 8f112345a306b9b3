"""What was planted, as tables that lie beside the data."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pandas as pd

from udfs.world.flows import flows
from udfs.world.model import EXTREME, GROUPS, LAST_TIER, Floats, World


def truth(world: World) -> dict[str, pd.DataFrame]:
    """Return the planted truth by name of table.

    strengths: signal, strength. tiers: material, product, tier. edges: material, input, output,
    is_true (false = a decoy that only its name suggests), input_tier, output_tier.
    country_groups: country, iso3, group (0 = extreme), size. growth_coefficients: term,
    coefficient (strength included). growth_rows: product, country, regressors and planted change.
    upstream_suppliers: material, product, year, supplier, importer, stages, contribution (that of
    the planted path alone to the importer's STR).
    """
    return {
        "strengths": _strengths(world),
        "tiers": _tiers(world),
        "edges": _edges(world),
        "country_groups": _country_groups(world),
        "growth_coefficients": _growth_coefficients(world),
        "growth_rows": _growth_rows(world),
        "upstream_suppliers": _upstream_suppliers(world),
    }


def _strengths(world: World) -> pd.DataFrame:
    strengths = world.settings.strengths
    rows = [(item.name, getattr(strengths, item.name)) for item in fields(strengths)]
    return pd.DataFrame(rows, columns=["signal", "strength"])


def _tiers(world: World) -> pd.DataFrame:
    rows = [(*key, tier) for key, tier in world.networks.tiers.items()]
    return pd.DataFrame(rows, columns=["material", "product", "tier"])


def _edges(world: World) -> pd.DataFrame:
    columns = ["material", "input", "output", "is_true", "input_tier", "output_tier"]
    rows = [
        (pair.material, pair.input, pair.output, pair.true, pair.tier, pair.output_tier)
        for pair in world.networks.proposals
    ]
    return pd.DataFrame(rows, columns=columns)


def _country_groups(world: World) -> pd.DataFrame:
    countries = world.countries
    return pd.DataFrame(
        {
            "country": countries.code,
            "iso3": countries.iso3,
            "group": countries.group,
            "size": countries.size,
        }
    )


def _growth_coefficients(world: World) -> pd.DataFrame:
    columns = ["term", "coefficient"]
    if world.growth is None:
        return pd.DataFrame({name: [] for name in columns})
    equation, s = world.settings.growth, world.settings.strengths.growth
    rows = [("intercept", world.growth.intercept)]
    rows += [
        (term, s * value)
        for term, value in [
            ("ln_rca", equation.ln_rca), ("exposure", equation.exposure),
            ("hhi", equation.hhi), ("str", equation.str),
            *((f"tier_{t}", equation.tier[t]) for t in range(LAST_TIER + 1)),
            *((f"group_{g}", equation.group[g]) for g in (EXTREME, *GROUPS)),
        ]
    ]  # fmt: skip
    return pd.DataFrame([*rows, ("noise_sd", equation.noise_sd)], columns=columns)


def _growth_rows(world: World) -> pd.DataFrame:
    columns = [
        *("product", "country", "tier", "group"),
        *("ln_rca", "exposure", "hhi", "str", "change"),
    ]
    growth = world.growth
    if growth is None:
        return pd.DataFrame({name: [] for name in columns})
    codes = np.array(list(world.planted))
    tiers = np.array(list(world.networks.planted.values()))
    values = [
        *(codes[growth.product], world.countries.code[growth.country]),
        *(tiers[growth.product], world.countries.group[growth.country]),
        *(growth.ln_rca, growth.exposure, growth.hhi, growth.systemic_risk, growth.change),
    ]
    return pd.DataFrame(dict(zip(columns, values, strict=True)))


def _upstream_suppliers(world: World) -> pd.DataFrame:
    columns = ["material", "product", "year", "supplier", "importer", "stages", "contribution"]
    code = world.countries.code
    rows = []
    for chain in world.chains.values():
        for year in world.settings.years:
            v = risk_shares(world, year, chain.product)
            to_hub = v[chain.supplier, chain.hub]
            to_second = to_hub * v[chain.hub, chain.second_hub]
            key = (chain.material, chain.product, year, code[chain.supplier])
            rows += [(*key, code[c], 2, to_hub * v[chain.hub, c]) for c in chain.near]
            rows += [(*key, code[c], 3, to_second * v[chain.second_hub, c]) for c in chain.far]
    return pd.DataFrame(rows, columns=columns)


def risk_shares(world: World, year: int, product: str) -> Floats:
    """Return V: share of supplier in importer's imports times supplier's risk, shape (C, C)."""
    code = world.countries.code
    trade = flows(world, year, product)
    v = np.zeros((code.size, code.size))
    v[np.searchsorted(code, trade.exporters), np.searchsorted(code, trade.importers)] = (
        trade.values_kusd
    )
    imports = v.sum(axis=0)
    stability = world.countries.stability[:, world.settings.years.index(year)]
    return np.asarray((1 - stability / 100)[:, None] * v / np.where(imports > 0, imports, 1.0))
