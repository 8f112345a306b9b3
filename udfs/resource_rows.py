"""Rows of the mineral tables: what Spark hands over, the numerics of minerals, rows back.

A row of `resource_flows` is a network that needs nothing else: flows, countries and their
stability. Each function below takes such rows; `udfs.resource_network` and `udfs.randomisation`
hold the numerics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from udfs.randomisation import SCHEMES
from udfs.resource_network import (
    Flows,
    Network,
    Topology,
    build_network,
    gather_flows,
    log_returns,
    region_stability,
    scarcity,
    shock_shares,
    topology,
    trade_risk,
    traded_volume,
    unit_prices,
    volatility,
)
from udfs.seeding import group_rng

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Key = tuple[Any, ...]

DRAWS_AT_ONCE = 50
"""Randomised networks held in memory together: about 20 MB for 230 countries."""
PROXY = "proxy"
GIVEN = "given"


@dataclass(frozen=True, slots=True)
class YearOfTrade:
    """What all minerals share in one year.

    countries: nodes after merging, ascending, shape (n,); members: codes that become `region`;
    stability, governance: by country code, shape (codes,), NaN where unknown; governance is None
    without an index.
    """

    countries: Ints
    members: Ints
    region: int
    stability: Floats
    governance: Floats | None


@dataclass(frozen=True, slots=True)
class Rules:
    """How flows become a network: see `build_network`, `shock_shares` and `topology`."""

    share_filter: float = 0.01
    share_denominator: Literal["links", "imports"] = "links"
    pagerank_form: Literal["normalised", "literal"] = "normalised"


@dataclass(frozen=True, slots=True)
class Reliance:
    """Import reliance by (resource, country) or (resource, country, year), 0 to 1.

    None as a whole = the proxy from trade; a key that is absent = not known.
    """

    given: Mapping[Key, float] | None = None

    def of(self, resource: str, year: int, countries: Ints, imports: Floats, exports: Floats):  # type: ignore[no-untyped-def]
        """Return the reliance of each country, NaN where unknown, and where it is from."""
        if self.given is None:
            safe = np.where(imports > 0, imports, 1.0)
            proxy = np.where(imports > 0, np.maximum((imports - exports) / safe, 0.0), 0.0)
            return proxy, np.full(countries.size, PROXY, object)
        found = np.array(
            [
                self.given.get((resource, int(c), year), self.given.get((resource, int(c)), np.nan))
                for c in countries
            ],
            np.float64,
        )
        return found, np.where(np.isnan(found), None, GIVEN)  # type: ignore[call-overload]


def gather(
    years: Mapping[int, YearOfTrade], *, weigh_region: bool
) -> Callable[[Key, pd.DataFrame], pd.DataFrame]:
    """Build the function from the trade rows of (resource, year) to a row of `resource_flows`.

    It takes exporter, importer, value_kusd, quantity_t; `weigh_region` weighs the stability of a
    merged region by what its members export of the resource to other countries.
    """

    def one_group(key: Key, rows: pd.DataFrame) -> pd.DataFrame:
        resource, year = str(key[0]), int(key[1])
        shared = years[year]
        rows = rows.sort_values(["importer", "exporter", "product"])  # sums in one order
        flows = gather_flows(
            rows["exporter"],
            rows["importer"],
            rows["value_kusd"],
            rows["quantity_t"].astype(np.float64),
            members=shared.members,
            region=shared.region,
        )
        abroad = rows[~rows["importer"].isin(shared.members)]
        exported = abroad.groupby("exporter")["value_kusd"].sum()
        weights = exported.reindex(shared.members, fill_value=0.0) if weigh_region else None
        governance = None if shared.governance is None else _scores(shared, shared.governance, None)
        return pd.DataFrame(
            [
                {
                    "resource": resource,
                    "year": year,
                    "exporters": flows.exporters,
                    "importers": flows.importers,
                    "values": flows.values,
                    "quantities": _nullable(flows.quantities),
                    "priced_values": flows.priced,
                    "countries": shared.countries,
                    "stability": _scores(shared, shared.stability, weights),
                    "governance": None if governance is None else _nullable(governance),
                }
            ]
        )

    return one_group


def _scores(shared: YearOfTrade, scores: Floats, weights: Any) -> Floats:
    own = np.full(shared.countries.size, np.nan)
    single = shared.countries != shared.region
    own[single] = scores[shared.countries[single]]
    if not single.all():
        known = ~np.isnan(scores[shared.members])
        of_members = None if weights is None else np.asarray(weights, np.float64)[known]
        if known.any():
            own[~single] = region_stability(scores[shared.members][known], of_members)
    return own


def _nullable(values: Floats) -> NDArray[np.object_]:
    return np.where(np.isnan(values), None, values)  # type: ignore[call-overload, no-any-return]


def flows_of(row: Any) -> Flows:
    """Return the flows of a row of `resource_flows`."""
    return Flows(
        exporters=np.asarray(row.exporters, np.int64),
        importers=np.asarray(row.importers, np.int64),
        values=_floats(row, "values"),
        quantities=_floats(row, "quantities"),
        priced=_floats(row, "priced_values"),
    )


def _floats(row: Any, name: str) -> Floats:
    # By item, as pandas names a tuple's field `values` otherwise.
    return np.asarray(row[name], np.float64)


def network_of(row: Any, rules: Rules) -> Network:
    """Return the links of a row of `resource_flows`."""
    return build_network(
        flows_of(row),
        threshold=rules.share_filter,
        countries=np.asarray(row.countries, np.int64),
    )


def shares_of(network: Network, scores: Floats, rules: Rules) -> Floats:
    """Return V of each link, shape (m,)."""
    imports = network.imports if rules.share_denominator == "imports" else None
    return shock_shares(network.sources, network.targets, network.values, scores, imports=imports)


def topology_of(network: Network, scores: Floats, rules: Rules) -> Topology:
    """Return what is read from V."""
    shares = shares_of(network, scores, rules)
    n = network.countries.size
    return topology(network.sources, network.targets, shares, n, form=rules.pagerank_form)


def _governance(row: Any, network: Network) -> tuple[Floats, float] | None:
    """Return the index with gaps at its median, and the linked value that rests on it."""
    if row.governance is None:
        return None
    scores = np.asarray(row.governance, np.float64)
    unknown = np.isnan(scores)
    filled = np.where(unknown, np.nanmedian(scores) if not unknown.all() else np.nan, scores)
    linked = network.values.sum()
    resting = network.values[unknown[network.sources]].sum()
    return filled, float(resting / linked) if linked > 0 else 0.0


def network_rows(
    reserves_kg: Mapping[str, float], coverage: Mapping[str, str], rules: Rules
) -> Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]:
    """Build the function from rows of `resource_flows` to rows of `resource_networks`."""

    def one(row: Any) -> dict[str, Any]:
        flows, network = flows_of(row), network_of(row, rules)
        stability = np.asarray(row.stability, np.float64)
        found = topology_of(network, stability, rules)
        plain = topology_of(network, np.zeros_like(stability), rules)
        volume = traded_volume(flows)
        scarce = scarcity(volume.kilograms, reserves_kg.get(row.resource, np.nan))
        governed = _governance(row, network)
        value, radius = float(flows.values.sum()), float(found.spectral_radius)
        return {
            "resource": row.resource,
            "year": row.year,
            "coverage": coverage[row.resource],
            "countries": network.countries.size,
            "traders": np.union1d(flows.exporters, flows.importers).size,
            "links": network.values.size,
            "value_kusd": value,
            "linked_value_share": network.values.sum() / value if value > 0 else None,
            "mean_degree": float(found.mean_degree),
            "lambda": radius,
            "resilience": 1 / radius if radius > 0 else None,
            "scc_share": float(found.scc_share),
            "ttv_kg": volume.kilograms,
            "ttv_value_share": volume.value_share,
            "ttv_reason": str(volume.reason),
            "scarcity": scarce.value,
            "scarcity_reason": str(scarce.reason),
            "lambda_unweighted": float(plain.spectral_radius),
            "lambda_governance": None
            if governed is None
            else float(topology_of(network, governed[0], rules).spectral_radius),
            "governance_filled_share": None if governed is None else governed[1],
        }

    return _row_by_row(lambda row: pd.DataFrame([one(row)]))


def _row_by_row(
    function: Callable[[Any], pd.DataFrame],
) -> Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]:
    def rows(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            for _, row in batch.iterrows():
                yield function(row)

    return rows


def risk_rows(reliance: Reliance, rules: Rules) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Build the function from all years of one resource to its rows of `resource_risk`."""

    def one_resource(rows: pd.DataFrame) -> pd.DataFrame:
        rows = rows.sort_values("year")
        years = pd.concat([_risk_of_year(row, reliance, rules) for _, row in rows.iterrows()])
        return _with_returns(years, rows["year"].to_numpy(np.int64))

    return one_resource


def _risk_of_year(row: Any, reliance: Reliance, rules: Rules) -> pd.DataFrame:
    flows, network = flows_of(row), network_of(row, rules)
    stability = np.asarray(row.stability, np.float64)
    found = topology_of(network, stability, rules)
    plain = topology_of(network, np.zeros_like(stability), rules)
    governed = _governance(row, network)
    pagerank_governance = (
        np.full(stability.size, np.nan)
        if governed is None
        else topology_of(network, governed[0], rules).pagerank
    )
    sellers = np.searchsorted(network.countries, flows.exporters)
    exports = np.bincount(sellers, flows.values, network.countries.size).astype(np.float64)
    imports = network.imports
    relied, source = reliance.of(row.resource, int(row.year), network.countries, imports, exports)
    price = unit_prices(flows, network.countries)
    table = pd.DataFrame(
        {
            "resource": row.resource,
            "year": int(row.year),
            "country": network.countries,
            "imports_kusd": imports,
            "exports_kusd": exports,
            "stability": stability,
            "in_degree": found.in_degree,
            "out_degree": found.out_degree,
            "in_strength": found.in_strength,
            "pagerank": found.pagerank,
            "import_reliance": relied,
            "import_reliance_source": source,
            "trade_risk": trade_risk(found.pagerank, relied),
            "in_strength_trade_risk": trade_risk(found.in_strength, relied),
            "pagerank_unweighted": plain.pagerank,
            "trade_risk_unweighted": trade_risk(plain.pagerank, relied),
            "pagerank_governance": pagerank_governance,
            "trade_risk_governance": trade_risk(pagerank_governance, relied),
            "price": price.values,
            "price_reason": price.reasons.astype(str),
        }
    )
    trading = np.isin(network.countries, np.concatenate([flows.exporters, flows.importers]))
    return table[trading]


def _with_returns(rows: pd.DataFrame, years: Ints) -> pd.DataFrame:
    prices = rows.pivot(index="country", columns="year", values="price").reindex(columns=years)
    returns = log_returns(prices.to_numpy(np.float64), years)
    at = (
        prices.index.get_indexer(pd.Index(rows["country"])),
        prices.columns.get_indexer(pd.Index(rows["year"])),
    )
    return rows.assign(
        log_return=returns.values[at], log_return_reason=returns.reasons[at].astype(str)
    )


def volatility_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `resource_volatility` of one resource; takes country, year, log_return."""
    returns = rows.pivot(index="country", columns="year", values="log_return")
    values = returns.to_numpy(np.float64)
    found = volatility(values)
    return pd.DataFrame(
        {
            "resource": rows["resource"].iloc[0],
            "country": returns.index,
            "volatility": found.values,
            "returns": np.count_nonzero(~np.isnan(values), axis=1),
            "reason": found.reasons.astype(str),
        }
    )


def draw_rows(
    compared: tuple[int, ...], rules: Rules, *, draws: int, seed: int
) -> Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]:
    """Build the function from rows of `resource_flows` with a `scheme` to one row a draw.

    The generator follows from the resource, the year and the scheme, so that tasks may hold
    whatever rows; another number of draws is another set of draws. Shares are relative to imports
    over links, since drawn links have no other imports. Columns: resource, year, scheme,
    realisation, mean_degree, lambda, scc_share and, in the order of `compared`, arrays pagerank
    and in_strength, with null for a country that does not trade the resource in the year.
    """

    def one(row: Any) -> pd.DataFrame:
        network = network_of(row, rules)
        stability = np.asarray(row.stability, np.float64)
        links, n = (network.sources, network.targets, network.values), network.countries.size
        rng = group_rng(seed, row.resource, int(row.year), row.scheme)
        blocks = []
        for first in range(0, draws, DRAWS_AT_ONCE):
            block = min(DRAWS_AT_ONCE, draws - first)
            drawn = SCHEMES[row.scheme](*links, n, draws=block, rng=rng)
            shares = shock_shares(drawn.sources, drawn.targets, drawn.values, stability)
            blocks.append(
                topology(drawn.sources, drawn.targets, shares, n, form=rules.pagerank_form)
            )
        at, trading = _positions(row, network, compared)
        return pd.DataFrame(
            {
                "resource": row.resource,
                "year": int(row.year),
                "scheme": row.scheme,
                "realisation": np.arange(draws),
                "mean_degree": np.concatenate([b.mean_degree for b in blocks]),
                "lambda": np.concatenate([b.spectral_radius for b in blocks]),
                "scc_share": np.concatenate([b.scc_share for b in blocks]),
                "pagerank": _listed([b.pagerank for b in blocks], at, trading),
                "in_strength": _listed([b.in_strength for b in blocks], at, trading),
            }
        )

    return _row_by_row(one)


def _positions(row: Any, network: Network, compared: tuple[int, ...]) -> tuple[Ints, Any]:
    codes = np.asarray(compared, np.int64)
    traders = np.union1d(row.exporters, row.importers)
    at = np.minimum(np.searchsorted(network.countries, codes), network.countries.size - 1)
    return at, np.isin(codes, traders)


def _listed(blocks: list[Floats], at: Ints, trading: NDArray[np.bool_]) -> list[Any]:
    chosen = np.concatenate([block[:, at] for block in blocks])
    return list(_nullable(np.where(trading, chosen, np.nan)))
