"""A world of six countries, two of them with hostile names, as the frames behind the page."""

from __future__ import annotations

import numpy as np
import pandas as pd

from conf.materials import Material, Seed, Step
from conf.settings import load
from jobs.network.edge_dossiers import Dossier, Sentence, Trader
from jobs.network.known_steps import FoundStep
from jobs.report.countries import pages
from jobs.report.dossiers import DossierStory, Group, Shown, null_figure
from jobs.report.networks import NetworkStory, figure
from jobs.report.report import Shared, country_frames, in_short, material_story
from jobs.tables import (
    CLUSTER_AGREEMENT,
    CLUSTERS,
    COUNTRY_CLUSTERS,
    GROWTH,
    GROWTH_DIAGNOSTICS,
    PROFILES_WIDE,
)

YEARS = (2007, 2008, 2009)
CODES = (156, 842, 276, 251, 4, 8)
SCRIPT = "<script>window.harmed = 1</script>"
QUOTES = "\u202e\"><img src=x onerror='window.harmed=1'>"
NAMES = ("China", "USA", "Germany", "France", SCRIPT, QUOTES)
ISO3 = ("CHN", "USA", "DEU", "FRA", "AFG", "ALB")
SEEDS = ("280530", "284610")
DESCRIPTIONS = (f"Metals {SCRIPT}", f"Compounds {QUOTES}")
MATERIAL = Material(
    "rare_earths", "Rare earths", tuple(Seed(code, "a <b>reason</b>") for code in SEEDS), ()
)


def product_year(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return random trade of one product-year with its dense solution."""
    trade = rng.lognormal(7, 1.5, (6, 6)) * (rng.random((6, 6)) < 0.7)
    np.fill_diagonal(trade, 0.0)
    trade[0, 1:] += 2000.0
    trade[1, 0] += 1500.0
    pv = rng.uniform(5, 95, 6)
    v = (1 - pv[:, None] / 100) * trade / trade.sum(axis=0)
    return {"trade": trade, "pv": pv, "v": v, "inverse": np.linalg.inv(np.eye(6) - v)}


def frames(seed: int = 1) -> tuple[Shared, dict[tuple[int, str], dict[str, np.ndarray]]]:
    """Return the rows behind the page, and the dense solution of each (year, product)."""
    rng = np.random.default_rng(seed)
    solved, contributions, trade, indicators, stability = {}, [], [], [], []
    for year in YEARS:
        pv = rng.uniform(5, 95, 6)
        stability += [{"country": c, "year": year, "pv": pv[n]} for n, c in enumerate(CODES)]
        for product in SEEDS:
            one = product_year(rng)
            one["v"] = (1 - pv[:, None] / 100) * one["trade"] / one["trade"].sum(axis=0)
            one["inverse"] = np.linalg.inv(np.eye(6) - one["v"])
            solved[year, product] = one
            key = {"year": year, "product": product}
            for c, importer in enumerate(CODES):
                column = one["inverse"][:, c]
                indicators.append(
                    key | {
                        "country": importer,
                        "imports_kusd": one["trade"][:, c].sum(),
                        "exports_kusd": one["trade"][c].sum(),
                        "str": column.sum(),
                        "hhi": ((one["trade"][:, c] / one["trade"][:, c].sum()) ** 2).sum(),
                        "exposure": 0.5,
                        "influence": one["inverse"][c].sum() - one["inverse"][c, c],
                        "pv_imputed_share": 0.0,
                        "damping": 1.0,
                    }
                )  # fmt: skip
                floor = {a for a in range(6) if a != c and column[a] < 0.05}
                contributions += [
                    key | {"supplier": CODES[a], "country": importer, "contribution": column[a]}
                    for a in range(6) if a not in floor
                ]  # fmt: skip
                if floor:
                    rest = sum(column[a] for a in floor)
                    contributions.append(
                        key | {"supplier": 0, "country": importer, "contribution": rest}
                    )
                trade += [
                    key | {"exporter": CODES[a], "importer": importer, "value_kusd": value}
                    for a, value in enumerate(one["trade"][:, c]) if value
                ]  # fmt: skip
    measured = pd.DataFrame(indicators)
    behind = pd.DataFrame(contributions).assign(material="rare_earths")
    others = behind[(behind["supplier"] != 0) & (behind["supplier"] != behind["country"])]
    influences = others.groupby(["material", "year", "product", "supplier"], as_index=False)
    summed = influences["contribution"].sum().rename(columns={"contribution": "summand"})
    countries = pd.DataFrame({"country": CODES, "name": NAMES, "iso3": ISO3})
    grouped = measured.assign(above=measured["str"] - 1).groupby(["product", "year"])
    trend = grouped[["str", "hhi", "exposure"]].mean()
    trend = trend.assign(countries=grouped.size(), above_one=grouped["above"].sum()).reset_index()
    last = measured[measured["year"] == YEARS[-1]].merge(countries, on="country")
    ranked = pd.concat(
        [
            last.sort_values(column, ascending=False).assign(
                ranking=ranking, place=lambda rows: rows.groupby("product").cumcount() + 1
            )
            for ranking, column in (("dependent", "str"), ("influential", "influence"))
        ]
    )
    tiers = pd.DataFrame(
        {"material": "rare_earths", "product": [*SEEDS, "850511"], "tier": [0, 0, 1]}
    )
    edges = pd.DataFrame({"material": ["rare_earths"], "input": [SEEDS[0]], "output": ["850511"]})
    by_material = {
        "tiers": tiers,
        "edges": edges,
        "score_loadings": pd.DataFrame({"material": ["rare_earths"], "note": [None]}),
        "profiles_wide": _wide(measured, rng),
        "strengths": pd.DataFrame(
            {
                "material": "rare_earths", "product": SEEDS[0], "country": CODES, "mean_rca": 2.0,
                "is_strength": True, "is_input": False,
            }
        ),
        "clusters": _points(rng),
        "country_clusters": _labels(),
        "cluster_agreement": empty(CLUSTER_AGREEMENT),
        "growth": _growth(),
        "growth_diagnostics": empty(GROWTH_DIAGNOSTICS),
        "contributions": behind,
        "influences": summed,
    }  # fmt: skip
    products = pd.DataFrame({"nomenclature": "HS92", "product": SEEDS, "description": DESCRIPTIONS})
    scores = last[["year", "product", "country", "exports_kusd"]].assign(
        material="rare_earths", score=rng.normal(size=len(last))
    )
    members = pd.DataFrame({"region": "EU27_2020", "country": [276, 251]})
    shared = Shared(
        products=products, countries=countries, members=members,
        stability=pd.DataFrame(stability), trend=trend, ranked=ranked, scores=scores,
        seed_indicators=measured, trade=pd.DataFrame(trade), by_material=by_material,
    )  # fmt: skip
    return shared, solved


def empty(table):
    return pd.DataFrame(columns=[column.name for column in table.columns])


def _wide(measured: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    weight = measured["imports_kusd"] + measured["exports_kusd"]
    by = [measured["country"], measured["year"]]
    mean = (measured["str"] * weight).groupby(by).sum() / weight.groupby(by).sum()
    wide = mean.rename("str_all_tier0").reset_index()
    rest = [c.name for c in PROFILES_WIDE.columns if c.name not in wide.columns]
    values = {
        name: rng.uniform(0, 1, len(wide)) if name.endswith(("tier0", "_all")) else np.nan
        for name in rest
    }
    return wide.assign(**values).assign(material="rare_earths", region=None)


def _points(rng: np.random.Generator) -> pd.DataFrame:
    rows = [(c, y, n % 3) for n, c in enumerate(CODES) for y in YEARS]
    points = pd.DataFrame(rows, columns=["country", "year", "cluster"])
    xy = rng.normal(size=(len(points), 2))
    named = points.assign(material="rare_earths", region=None, x=xy[:, 0], y=xy[:, 1], reason=None)
    return named.reindex(columns=[c.name for c in CLUSTERS.columns])


def _labels() -> pd.DataFrame:
    labels = pd.DataFrame({"country": CODES, "cluster": [n % 3 for n in range(6)]})
    known = labels.assign(
        material="rare_earths", region=None, share_of_years=0.9, n_years=3, stability=0.4,
        isolation=np.arange(1.0, 7.0), consensus=1, runs=9, reason=None,
    )  # fmt: skip
    return known.reindex(columns=[c.name for c in COUNTRY_CLUSTERS.columns])


def _growth() -> pd.DataFrame:
    terms = ("const", "rca", "exposure", "hhi", "str", "cluster_2", "tier_1")
    rows = pd.DataFrame({"term": terms, "coefficient": np.linspace(-1, 1, len(terms))})
    rows = rows.assign(
        material="rare_earths", model="ln, I1, ols", kind="default", std_error=0.1, p_value=0.01,
        ci_low=rows["coefficient"] - 0.2, ci_high=rows["coefficient"] + 0.2, n=90, countries=6,
        products=2, r2=0.4, rca_form="ln", str_form="with diagonal", covariance="ols",
        baseline_from=2007, baseline_to=2007, target_from=2009, target_to=2009,
        printed_coefficient=[np.nan, -0.13, *[np.nan] * 5], printed_std_error=0.01,
    )  # fmt: skip
    return rows.reindex(columns=[column.name for column in GROWTH.columns])


def dossier(**changes) -> Dossier:
    """Return the dossier of an edge; what others wrote in it means harm."""
    tested = {
        "test": "paper", "rho": 0.7, "null_mean": 0.1, "null_sd": 0.2, "z": 3.0, "p_value": 0.02,
        "q_value": 0.04, "kept": True, "reason": f"verdict: accept: {SCRIPT}", "verdict": "accept",
    }  # fmt: skip
    known = {
        "material": "rare_earths", "input": SEEDS[0], "output": "850511",
        "descriptions": DESCRIPTIONS, "votes": 7, "replicates": 10, "matcher": "pick",
        "status": "in the network",
        "sentences": [Sentence(text, 3, "pick", None, "850519", 0.5) for text in (SCRIPT, QUOTES)],
        "decided": tested, "tests": [tested], "null": np.linspace(-0.3, 0.6, 40),
        "importers": [Trader(name, 9.0, 0.5) for name in (SCRIPT, QUOTES)], "exporters": [],
    }  # fmt: skip
    return Dossier(**{**known, **changes})


def edges_told() -> DossierStory:
    """Return what the page shows of edges: a known step and one dossier."""
    one = dossier()
    step = FoundStep(Step(SCRIPT, (SEEDS[0],), ("850511",)), [(SEEDS[0], "850511")], [], QUOTES)
    return DossierStory([step], [Group("Known steps", [Shown(one, null_figure(one))])], 0)


def told(shared: Shared, *, synthetic: bool = False) -> dict:
    """Return what the page is made from."""
    tiers = shared.by_material["tiers"]
    network = NetworkStory(
        figure(dict(zip(tiers["product"], tiers["tier"], strict=True)), [(SEEDS[0], "850511")]),
        "3 products", [{"tier": 0, "products": 2, "loaded": 2}], 3, 168, 1, 0, 0, 0, 1, 1, [], 0, 1,
        [], [],
    )  # fmt: skip
    story = material_story(MATERIAL, shared, network) | {"dossiers": edges_told()}
    sources = pd.DataFrame(
        {
            "path": ["a.csv"], "rows": [10], "rows_selected": [10], "rows_rejected": [0],
            "value_kusd": [1.0], "rejected_kusd": [0.0], "year": [2007],
        }
    )  # fmt: skip
    frames_of = {MATERIAL.key: (MATERIAL, country_frames(MATERIAL, shared))}
    described = dict(zip(SEEDS, DESCRIPTIONS, strict=True))
    return {
        "materials": [story],
        "summary": in_short(story),
        "countries": pages(frames_of, shared.countries, described),
        "minerals": {"loaded": [], "coverage": {"complete": [], "partial": [], "not loaded": []}},
        "network": load({}, environment={}).network,
        "least_imports": 1.0,
        "coverage": {
            "editions": [], "sources": sources, "rejects": pd.DataFrame(), "filled": pd.DataFrame(),
            "filled_total": 0, "products_loaded": 2, "products_listed": 2, "years": (2007, 2009),
        },
        "synthetic": synthetic,
        "versions": [("trade", 1)],
        "fingerprint": "f" * 64,
        "revision": "unknown",
        "command": "./spark-submit.sh report",
        "made": "2026-01-01 00:00 UTC",
    }  # fmt: skip
