"""The correlations of Klimek et al. (2015) and their variants, from one value a mineral."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from conf.minerals import minerals
from udfs.partial_correlation import Correlation, partial, pearson, spearman

Row = dict[str, Any]

NETWORK = ("lambda", "scc_share", "ln_mean_degree")
NETWORK_VARIANTS = ("lambda_unweighted", "lambda_governance")
MEASURES = ("trade_risk", "in_strength_trade_risk")
MEASURE_VARIANTS = ("trade_risk_unweighted", "trade_risk_governance", "pagerank", "import_reliance")
MEANS_OF_REGION = (
    "pagerank",
    "in_strength",
    "import_reliance",
    "pagerank_unweighted",
    "pagerank_governance",
)
CONTROLS = ("ln_ttv", "scarcity", "criticality")
PRINTED_YEARS = (2007, 2012)
"""Years of the printed table that BACI in HS 2007 and the bundled sample share with the paper."""
PRINTED_COLUMNS = {
    "lambda": "lambda_max",
    "scc_share": "scc_frac",
    "mean_degree": "k_avg",
    "ttv_kg": "ttv_kg",
}
MASS_UNITS = {"kg", "t", "kt", "Mt"}
INFERRED_UNIT = {"Rutile"}
"""Its unit was inferred from the printed table itself, so it may not count in a test of units."""

ASSOCIATION = "An association over n minerals, not a cause; minerals are few and not independent."
NOTES = {
    "ttv_kg": "Raw kilograms are dominated by the few largest minerals; compare ln_ttv.",
    "ln_ttv": "Traded volume goes with network size, so it can stand behind other associations.",
    "scarcity": "Volume and reserves both in kg; the same traded volume enters the network.",
    "scarcity_printed_units": "Reserves in the unit of each USGS table, as the printed values are: "
    "it compares kilotons with tons and kilograms.",
    "exp_scarcity": "Not logarithmic, so one or two minerals decide; shown to tell it from ln.",
    "volatility": "Unit values move with the mix of goods and with errors too, not only prices.",
    "criticality": "Lists of expert judgement; some use trade concentration themselves.",
}
PRINTED_NOTE = (
    "Recomputed from the rounded printed table; it differs from the paper by up to 0.08 and is no "
    "verdict on the paper's own data."
)
PROXY_NOTE = "Import reliance: given, or a proxy (resource_risk.import_reliance_source)."


@dataclass(frozen=True)
class LoadedMinerals:
    """Tables of the warehouse as far as correlations need them; regions: code by name."""

    resources: pd.DataFrame
    networks: pd.DataFrame
    risk: pd.DataFrame
    volatility: pd.DataFrame
    regions: Mapping[str, int]

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a loaded mineral: means over years, in the variables of Table 1."""
        means = self.networks.drop(columns=["year"]).groupby("resource").mean(numeric_only=True)
        means = means.join(self.resources[["coverage", "criticality", "printed_unit_factor"]])
        with np.errstate(divide="ignore"):
            return means.assign(
                ln_mean_degree=np.log(means["mean_degree"].where(means["mean_degree"] > 0)),
                ln_ttv=np.log(means["ttv_kg"]),
                scarcity_printed_units=means["scarcity"] - np.log(means["printed_unit_factor"]),
            )

    def of_region(self, region: str) -> pd.DataFrame:
        """Return the table with means of the region's pagerank, reliance and volatility.

        TradeRisk is mean times mean reliance (methods E.2).
        """
        code = self.regions[region]
        own = self.risk[self.risk["country"] == code].groupby("resource").mean(numeric_only=True)
        table = self.table.join(own[list(MEANS_OF_REGION)])
        prices = self.volatility[self.volatility["country"] == code].set_index("resource")
        reliance = table["import_reliance"]
        return table.assign(
            volatility=prices["volatility"].reindex(table.index),
            trade_risk=table["pagerank"] * reliance,
            in_strength_trade_risk=table["in_strength"] * reliance,
            trade_risk_unweighted=table["pagerank_unweighted"] * reliance,
            trade_risk_governance=table["pagerank_governance"] * reliance,
        )

    def samples(self, table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield the minerals of which all codes are loaded, and all that are loaded in part."""
        yield "complete", table[table["coverage"] == "complete"]
        yield "all", table


def network_rows(loaded: LoadedMinerals) -> Iterator[Row]:
    """Yield Table 1 on the loaded networks, with its variants."""
    for sample, table in loaded.samples(loaded.table):
        place = {"table": "1", "source": "loaded", "sample": sample, "region": "world"}
        for x in (*NETWORK, *NETWORK_VARIANTS):
            for y in ("criticality", "scarcity", "ttv_kg", "ln_ttv", "scarcity_printed_units"):
                yield from _both_methods(place, table, x, y)
            for y in ("criticality", "scarcity"):
                yield _partial(place, table, x, y, "ln_ttv")


def trade_risk_rows(loaded: LoadedMinerals) -> Iterator[Row]:
    """Yield Table 2 on the loaded networks: the TradeRisk of each region and its parts."""
    for region in loaded.regions:
        for sample, table in loaded.samples(loaded.of_region(region)):
            place = {"table": "2", "source": "loaded", "sample": sample, "region": region}
            for x in (*MEASURES, *MEASURE_VARIANTS):
                for y in ("volatility", "criticality"):
                    yield from _both_methods(place, table, x, y, PROXY_NOTE)
                for control in CONTROLS:
                    yield _partial(place, table, x, "volatility", control, PROXY_NOTE)


def randomised_rows(
    loaded: LoadedMinerals, networks: pd.DataFrame, risk: pd.DataFrame
) -> Iterator[Row]:
    """Yield Tables S4 and S5: Tables 1 and 2 with the networks of each scheme and draw."""
    for sample, table in loaded.samples(loaded.table):
        place = {"table": "S4", "source": "loaded", "sample": sample, "region": "world"}
        for scheme, drawn in networks.groupby("scheme"):
            for x in NETWORK:
                name = "mean_degree" if x == "ln_mean_degree" else x
                values = _by_draw(drawn, name, table.index)
                values = np.log(values) if x == "ln_mean_degree" else values
                for y in ("criticality", "scarcity", "ttv_kg"):
                    yield _over_draws(place, str(scheme), x, y, values, table)
    for region, code in loaded.regions.items():
        for sample, table in loaded.samples(loaded.of_region(region)):
            place = {"table": "S5", "source": "loaded", "sample": sample, "region": region}
            for scheme, drawn in risk[risk["country"] == code].groupby("scheme"):
                for x, name in zip(MEASURES, ("pagerank", "in_strength"), strict=True):
                    values = (
                        _by_draw(drawn, name, table.index) * table["import_reliance"].to_numpy()
                    )
                    for y in ("volatility", "criticality"):
                        yield _over_draws(place, str(scheme), x, y, values, table, PROXY_NOTE)


def printed_rows(printed: pd.DataFrame) -> Iterator[Row]:
    """Yield Table 1, and what of Table 2 can be had, from the printed Table S3."""
    every = minerals()
    factor = pd.Series({m.key: m.printed_scarcity_factor for m in every}, dtype=np.float64)
    harmonised = {m.key for m in every if m.usgs_unit in MASS_UNITS and m.key not in INFERRED_UNIT}
    table = pd.DataFrame(
        {
            "lambda": printed["lambda_max"],
            "scc_share": printed["scc_frac"],
            "ln_mean_degree": np.log(printed["k_avg"]),
            "criticality": printed["csr"],
            "scarcity_printed_units": np.log(printed["exp_s"]),
            "exp_scarcity": printed["exp_s"],
            "scarcity": np.log(printed["exp_s"] * factor.reindex(printed.index)),
            "ttv_kg": printed["ttv_kg"],
            "ln_ttv": np.log(printed["ttv_kg"]),
            "EU": printed["tr_eu"],
            "USA": printed["tr_us"],
        }
    )
    units = table.index.isin(harmonised)
    samples = {
        "all": table,
        "without Iron Ore": table.drop(index="Iron Ore"),
        "without Bauxite": table.drop(index="Bauxite"),
        "with scarcity": table[table["scarcity_printed_units"].notna()],
        "with known unit": table[units],
    }
    for sample, rows in samples.items():
        place = {"table": "1", "source": "printed", "sample": sample, "region": "world"}
        for x in NETWORK:
            for y in ("criticality", "scarcity_printed_units", "exp_scarcity", "ttv_kg", "ln_ttv"):
                yield from _both_methods(place, rows, x, y, PRINTED_NOTE)
            if sample == "with known unit":
                yield from _both_methods(place, rows, x, "scarcity", PRINTED_NOTE)
                yield _partial(place, rows, x, "scarcity", "ln_ttv", PRINTED_NOTE)
            for y in ("criticality", "scarcity_printed_units"):
                yield _partial(place, rows, x, y, "ln_ttv", PRINTED_NOTE)
    for region in ("EU", "USA"):
        place = {"table": "2", "source": "printed", "sample": "all", "region": region}
        named = table.rename(columns={region: "trade_risk"})
        for y in ("criticality", "scarcity_printed_units", "ln_ttv"):
            yield from _both_methods(place, named, "trade_risk", y, PRINTED_NOTE)


def against_printed(loaded: LoadedMinerals, printed: pd.DataFrame) -> Iterator[Row]:
    """Yield how the loaded networks of 2007 to 2012 agree with the printed ones."""
    first, last = PRINTED_YEARS
    means = comparison(loaded, printed)
    years = loaded.networks.loc[loaded.networks["year"].between(first, last), "year"]
    told = (
        f"{years.min()} to {years.max()}; the paper: UN Comtrade 2000 to 2012, 107 countries, "
        "its own code lists. " + ASSOCIATION
        if len(years)
        else f"No year from {first} to {last} is loaded."
    )
    for sample, table in loaded.samples(means):
        place = {
            "table": "S3",
            "source": "loaded against printed",
            "sample": sample,
            "region": "world",
        }
        for x in PRINTED_COLUMNS:
            for method, function in (("pearson", pearson), ("spearman", spearman)):
                found = function(table[x], table[f"printed_{x}"])
                yield _row(place, x, f"printed_{x}", "none", method, "observed", found, told)


def comparison(loaded: LoadedMinerals, printed: pd.DataFrame) -> pd.DataFrame:
    """Return means over 2007 to 2012 beside the printed values, by mineral."""
    names = list(PRINTED_COLUMNS)
    chosen = loaded.networks[loaded.networks["year"].between(*PRINTED_YEARS)]
    means = chosen.groupby("resource")[names].mean()
    table = means.join(loaded.resources[["coverage", "bundled_with"]])
    beside = printed.rename(columns={old: f"printed_{new}" for new, old in PRINTED_COLUMNS.items()})
    return table.join(beside[[f"printed_{name}" for name in names]])


def _both_methods(place: Row, table: pd.DataFrame, x: str, y: str, note: str = "") -> Iterator[Row]:
    told = " ".join(part for part in (NOTES.get(y, ""), note, ASSOCIATION) if part)
    for method, function in (("pearson", pearson), ("spearman", spearman)):
        found = function(table[x].to_numpy(np.float64), table[y].to_numpy(np.float64))
        yield _row(place, x, y, "none", method, "observed", found, told)


def _partial(place: Row, table: pd.DataFrame, x: str, y: str, control: str, note: str = "") -> Row:
    found = partial(
        *(table[name].to_numpy(np.float64) for name in (x, y, control)), deletion="listwise"
    )
    held = f"{control} held constant."
    told = " ".join(part for part in (held, NOTES.get(y, ""), note, ASSOCIATION) if part)
    return _row(place, x, y, control, "pearson", "observed", found, told)


def _by_draw(drawn: pd.DataFrame, name: str, minerals_: pd.Index) -> np.ndarray:
    """Return (draws, minerals), NaN where a mineral has no draw."""
    wide = drawn.pivot(index="realisation", columns="resource", values=name)
    return wide.sort_index().reindex(columns=minerals_).to_numpy(np.float64)


def _over_draws(
    place: Row, scheme: str, x: str, y: str, values: ArrayLike, table: pd.DataFrame, note: str = ""
) -> Row:
    target = table[y].to_numpy(np.float64)
    drawn = pearson(values, target)
    observed = pearson(table[x].to_numpy(np.float64), target)
    known = drawn.r[~np.isnan(drawn.r)]
    as_large = int(np.count_nonzero(np.abs(known) >= abs(float(observed.r)) - 1e-12))
    told = " ".join(
        part
        for part in (
            f"Mean over {known.size} draws; observed {float(observed.r):.2f}.",
            NOTES.get(y, ""),
            note,
            "What a scheme reproduces needs no explanation beyond what it keeps.",
        )
        if part
    )
    return {
        **place,
        "x": x,
        "y": y,
        "control": "none",
        "method": "pearson",
        "scheme": scheme,
        "r": float(known.mean()) if known.size else None,
        "r_sd": float(known.std(ddof=1)) if known.size > 1 else None,
        "p_value": (1 + as_large) / (1 + known.size)
        if known.size and not np.isnan(observed.r)
        else None,
        "n": int(drawn.n.min()) if drawn.n.size else 0,
        "reason": "computed" if known.size else str(drawn.reasons.ravel()[0]),
        "note": told,
    }


def _row(
    place: Row,
    x: str,
    y: str,
    control: str,
    method: str,
    scheme: str,
    found: Correlation,
    note: str,
) -> Row:
    r, p = float(found.r), float(found.p_value)
    return {
        **place,
        "x": x,
        "y": y,
        "control": control,
        "method": method,
        "scheme": scheme,
        "r": None if np.isnan(r) else r,
        "r_sd": None,
        "p_value": None if np.isnan(p) else p,
        "n": int(found.n),
        "reason": str(found.reasons),
        "note": note,
    }
