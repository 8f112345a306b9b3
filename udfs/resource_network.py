"""Trade in a mineral as a network: who is hit when a supplier fails, and how far it spreads.

Klimek, Obersteiner and Thurner (2015), "Systemic trade-risk of critical resources", for one
mineral in one year. `M[i, j]` is the value that exporter i sells to importer j, `1 - PS_i/100` the
instability of i, and `V[i, j] = (1 - PS_i/100) M[i, j] / sum_i M[i, j]` the share of a shock in i
that reaches j. Whatever replaces political stability (a resource governance index, or nothing at
all) is an argument, never a second code path.

A network is a list of links (sources, targets, weights). Every function that takes links takes a
stack of them too, shape (draws, m), and treats all networks of the stack at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from udfs.spectral_radius import spectral_radii

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Names = NDArray[np.object_]

SHARE_FILTER = 0.01
"""A flow counts as a link if it is more than this share of the importer's imports."""
DAMPING = 0.85
"""PageRank's damping, in units of 1/lambda."""
PAGERANK_GAP = 1e-14
"""Last term of the PageRank series over its sum; what is left out is at most 0.85/0.15 times it."""
PAGERANK_TERMS = 2_000
"""Terms after which the series has failed: 0.85 to that power is 1e-141."""
KG_PER_TONNE = 1000.0


class Reason(StrEnum):
    """Why a value is what it is, or why there is none."""

    COMPUTED = "computed"
    """Nothing stood in the way."""
    NO_EXPORTS = "no exports"
    """The country exports nothing of the resource in that year."""
    NO_QUANTITY = "no quantity"
    """No flow has a known quantity above zero."""
    ZERO_PRICE = "zero price"
    """Goods were shipped at no value, so that a logarithm does not exist."""
    NO_PRICE = "no price in both years"
    """A return needs a price in the year and in the year before."""
    FEW_RETURNS = "fewer than two returns"
    """A standard deviation needs two returns."""
    NO_RESERVES = "no reserves"
    """No figure for the reserves of the resource is known."""


@dataclass(frozen=True, slots=True)
class Flows:
    """Trade of one resource in one year, one entry a pair of countries, each of shape (m,).

    exporters, importers: country codes, sorted by importer then exporter; values: thousand USD;
    quantities: metric tons, NaN where unknown; priced: the part of the value whose quantity is
    known, thousand USD.
    """

    exporters: Ints
    importers: Ints
    values: Floats
    quantities: Floats
    priced: Floats


@dataclass(frozen=True, slots=True)
class Network:
    """Links of one resource in one year that passed the share filter.

    countries: codes, ascending, shape (n,); sources, targets: positions in countries, shape (m,);
    values: thousand USD, shape (m,); imports: of each country before the filter, shape (n,).
    """

    countries: Ints
    sources: Ints
    targets: Ints
    values: Floats
    imports: Floats


@dataclass(frozen=True, slots=True)
class Topology:
    """What K15 reads from V; a stack of d networks of n countries gives (d,) and (d, n).

    mean_degree: links per country, shape (d,); in_degree: suppliers of a country, out_degree: its
    customers, shape (d, n); in_strength: share of a country's imports that a shock to all its
    suppliers would hit, in [0, 1], shape (d, n); scc_share: largest strongly connected component
    over n, in (0, 1], shape (d,); spectral_radius: lambda, in [0, 1], 0 without cycles, shape (d,);
    pagerank: see `pagerank`, shape (d, n). One network gives () and (n,).
    """

    mean_degree: Floats
    in_degree: Ints
    out_degree: Ints
    in_strength: Floats
    scc_share: Floats
    spectral_radius: Floats
    pagerank: Floats


@dataclass(frozen=True, slots=True)
class Answers:
    """Values, NaN where there is none, and the `Reason` of each; all of one shape."""

    values: Floats
    reasons: Names


@dataclass(frozen=True, slots=True)
class Volume:
    """Total traded volume in kg, NaN without a quantity, and the share of value it covers."""

    kilograms: float
    value_share: float
    reason: Reason


@dataclass(frozen=True, slots=True)
class Scarcity:
    """S = ln(traded volume / reserves), both in kg; NaN with a reason where one is missing."""

    value: float
    reason: Reason


def gather_flows(
    exporters: ArrayLike,
    importers: ArrayLike,
    values: ArrayLike,
    quantities: ArrayLike,
    *,
    members: ArrayLike = (),
    region: int = -1,
) -> Flows:
    """Add up the codes of a resource and merge the members of a region into one country.

    Args:
        exporters: Country codes, shape (k,); a pair may stand once for each HS code.
        importers: Country codes, shape (k,).
        values: Thousand USD, shape (k,), finite and >= 0.
        quantities: Metric tons, shape (k,), >= 0, NaN where unknown.
        members: Codes that become `region`; trade among them disappears (methods E.1).
        region: Code of the merged country.

    Raises:
        ValueError: A value is negative, NaN or infinite, or a quantity negative or infinite.
    """
    value, quantity = np.asarray(values, np.float64), np.asarray(quantities, np.float64)
    _require(np.isfinite(value) & (value >= 0), value, "a value", "a finite number >= 0")
    amount = np.isnan(quantity) | (np.isfinite(quantity) & (quantity >= 0))
    _require(amount, quantity, "a quantity", "a finite number >= 0, or NaN where unknown")
    source = _merged(exporters, members, region)
    target = _merged(importers, members, region)
    abroad = source != target
    value, quantity = value[abroad], quantity[abroad]
    pairs, pair = np.unique(
        np.column_stack([target[abroad], source[abroad]]), axis=0, return_inverse=True
    )
    size = pairs.shape[0]
    known = ~np.isnan(quantity)
    shipped = _sums(pair, np.where(known, quantity, 0.0), size)
    return Flows(
        exporters=pairs[:, 1],
        importers=pairs[:, 0],
        values=_sums(pair, value, size),
        quantities=np.where(_sums(pair, known, size) > 0, shipped, np.nan),
        priced=_sums(pair, np.where(known, value, 0.0), size),
    )


def _merged(codes: ArrayLike, members: ArrayLike, region: int) -> Ints:
    countries = np.asarray(codes, np.int64)
    return np.where(np.isin(countries, np.asarray(members, np.int64)), region, countries)


def _sums(cells: Ints, amounts: ArrayLike, size: int) -> Floats:
    """Return the sum of the amounts in each of `size` cells."""
    return np.asarray(np.bincount(cells, np.asarray(amounts, np.float64), size), np.float64)


def _require(valid: NDArray[np.bool_], found: Floats, what: str, expected: str) -> None:
    if not valid.all():
        raise ValueError(f"{what} is {found[~valid][0]}; expected {expected}")


def mirror_maximum(by_exporter: Flows, by_importer: Flows) -> Flows:
    """Join what exporters and importers report of the same trade: the larger value of each pair.

    The quantity is the larger one too, independently. For un-reconciled sources such as Comtrade
    only; BACI is reconciled already (methods E.1). A pair that one side omits counts as reported
    by the other.
    """
    both = [by_exporter, by_importer]
    reported = np.column_stack(
        [np.concatenate([f.importers for f in both]), np.concatenate([f.exporters for f in both])]
    )
    pairs, pair = np.unique(reported, axis=0, return_inverse=True)
    values, quantities = np.zeros(len(pairs)), np.full(len(pairs), np.nan)
    np.maximum.at(values, pair, np.concatenate([f.values for f in both]))
    np.fmax.at(quantities, pair, np.concatenate([f.quantities for f in both]))
    return Flows(
        exporters=pairs[:, 1],
        importers=pairs[:, 0],
        values=values,
        quantities=quantities,
        priced=np.where(np.isnan(quantities), 0.0, values),
    )


def region_stability(stability: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the stability of a merged region: the mean of its members, both of shape (members,).

    K15 does not say how its EU node came by its value. Weights (say, exports) are the alternative;
    if all of them are zero the plain mean stands.
    """
    scores = np.asarray(stability, np.float64)
    if weights is None or not np.any(weights):
        return float(scores.mean())
    return float(np.average(scores, weights=np.asarray(weights, np.float64)))


def build_network(
    flows: Flows, *, threshold: float = SHARE_FILTER, countries: ArrayLike | None = None
) -> Network:
    """Keep the flows above `threshold` of the importer's imports before any filter.

    Args:
        flows: Trade, merged already; only pairs of two different countries.
        threshold: Share that a link must exceed, >= 0.
        countries: Codes of the nodes, so that degrees and shares of several years or resources
            have the same denominator; None = those that trade the resource.

    Raises:
        ValueError: A flow's country is not among `countries`.

    Source: K15, Methods, "Resource-specific international trade networks".
    """
    traders = np.unique(np.concatenate([flows.exporters, flows.importers]))
    nodes = traders if countries is None else np.unique(np.asarray(countries, np.int64))
    strangers = np.setdiff1d(traders, nodes)
    if strangers.size:
        raise ValueError(
            f"{strangers.size} trading countries, first {strangers[0]}, are not among the "
            f"{nodes.size} countries of the network; add them or leave out their flows"
        )
    targets = np.searchsorted(nodes, flows.importers)
    imports = _sums(targets, flows.values, nodes.size)
    linked = flows.values > threshold * imports[targets]
    return Network(
        countries=nodes,
        sources=np.searchsorted(nodes, flows.exporters[linked]),
        targets=targets[linked],
        values=flows.values[linked],
        imports=imports,
    )


def shock_shares(
    sources: Ints,
    targets: Ints,
    values: Floats,
    stability: ArrayLike,
    *,
    imports: ArrayLike | None = None,
) -> Floats:
    """Return `V[i, j] = (1 - PS_i/100) M[i, j] / sum_i M[i, j]` of each link, in [0, 1].

    Args:
        sources: Exporter of each link, shape (m,) or (draws, m).
        targets: Importer of each link, same shape.
        values: M of each link, same shape, > 0.
        stability: PS of each country, 0 to 100, high = stable, shape (n,). RGI instead of PS is
            RGI here; no index at all is zeros, and V is then the plain share.
        imports: Denominator of each importer, shape (n,); None = the sum over its links, so that
            the shares of an importer add up to one. The total before the filter is the other way.

    Raises:
        ValueError: An exporter has no stability in [0, 100].
    """
    scores = np.asarray(stability, np.float64)
    used = scores[sources]
    _require((used >= 0) & (used <= 100), used, "an exporter's stability", "a score in [0, 100]")
    if imports is not None:
        totals = np.asarray(imports, np.float64)[targets]
    else:
        importers = _numbered_through(np.atleast_2d(targets), scores.size)
        bought = _sums(importers.ravel(), values.ravel(), int(importers.max(initial=-1)) + 1)
        totals = bought[importers].reshape(values.shape)
    return np.asarray((1 - used / 100) * values / totals, np.float64)


def _numbered_through(countries: Ints, n: int) -> Ints:
    """Number the countries of a stack, shape (draws, m), through: draw * n + country."""
    return countries + n * np.arange(countries.shape[0])[:, None]


def topology(
    sources: Ints,
    targets: Ints,
    shares: Floats,
    n: int,
    *,
    form: Literal["normalised", "literal"] = "normalised",
) -> Topology:
    """Compute degrees, in-strength, components, lambda and PageRank of one or many networks.

    Args:
        sources: Exporter of each link, shape (m,) or (draws, m), 0 to n - 1.
        targets: Importer of each link, same shape; each pair stands once.
        shares: V of each link, same shape, in [0, 1]; a link of share 0 (from a country of
            stability 100) is no link, as K15's B is V > 0.
        n: Number of countries.
        form: Of PageRank, see `pagerank`.

    Source: K15, Methods; methods E.2.
    """
    lead = sources.shape[:-1]
    draws = lead[0] if lead else 1
    hit = np.atleast_2d(shares > 0)
    a = _numbered_through(np.atleast_2d(sources), n)[hit]
    c = _numbered_through(np.atleast_2d(targets), n)[hit]
    v = np.atleast_2d(shares)[hit]
    nodes = draws * n
    matrix = np.repeat(np.arange(draws), n)

    graph = sparse.csr_array((v, (a, c)), shape=(nodes, nodes))
    components, component = connected_components(graph, connection="strong")
    sizes = np.zeros(draws)
    np.maximum.at(sizes, matrix, np.bincount(component, minlength=components)[component])
    radii = spectral_radii(a, c, v, component.astype(np.int64), matrix, draws)
    out_degree = np.bincount(a, minlength=nodes)
    with np.errstate(invalid="ignore"):
        mean_degree = np.bincount(matrix[a], minlength=draws) / np.float64(n)
        scc_share = sizes / np.float64(n)
    return Topology(
        mean_degree=mean_degree.reshape(lead),
        in_degree=np.bincount(c, minlength=nodes).reshape(*lead, n),
        out_degree=out_degree.reshape(*lead, n),
        in_strength=_sums(c, v, nodes).reshape(*lead, n),
        scc_share=scc_share.reshape(lead),
        spectral_radius=radii.reshape(lead),
        pagerank=_pagerank(a, c, v, out_degree, radii, form).reshape(*lead, n),
    )


def _pagerank(
    sources: Ints,
    targets: Ints,
    shares: Floats,
    out_degree: Ints,
    radii: Floats,
    form: Literal["normalised", "literal"],
) -> Floats:
    """Sum the series `x = 1 + A 1 + A A 1 + ...` for all networks at once; shape (nodes,).

    K15 prints `PR_i = alpha sum_j V_ij / k_out,j PR_j + (1 - alpha)` with `alpha = 0.85 / lambda`.
    Its words say that j hands its shock in parts 1 / k_out,j to those who import from j, which is
    V_ji; and as lambda is below 0.85 throughout, 1 - alpha is negative and so is every PR. The
    normalised form follows the words, `A = alpha V' K^-1`, and divides x by its sum, in which the
    constant cancels. The literal form keeps printed orientation and constant. Both set alpha to
    0.85 where lambda is 0: without cycles A is nilpotent and any alpha converges (methods E.3).
    """
    nodes = out_degree.size
    if not nodes:
        return np.zeros(0)
    n = nodes // radii.size
    alpha = np.repeat(DAMPING / np.where(radii > 0, radii, 1.0), n)
    parts = 1.0 / np.maximum(out_degree, 1)
    to, fro = (sources, targets) if form == "literal" else (targets, sources)
    handed = sparse.csr_array((alpha[fro] * shares * parts[fro], (to, fro)), shape=(nodes, nodes))
    x: Floats = np.ones(nodes)
    term = x
    for _ in range(PAGERANK_TERMS):
        term = np.asarray(handed @ term)
        x = x + term
        if (term <= PAGERANK_GAP * x).all():
            break
    else:
        raise ArithmeticError(
            f"PageRank did not converge in {PAGERANK_TERMS} terms; expected a radius of at most "
            f"{DAMPING}: check that no pair of exporter and importer stands twice"
        )
    if form == "literal":
        return (1 - alpha) * x
    return np.asarray(x / np.repeat(x.reshape(radii.size, n).sum(axis=1), n))


def trade_risk(measure: ArrayLike, import_reliance: ArrayLike) -> Floats:
    """Return TradeRisk, `PR * IR`, or its in-strength form, `w_in * IR`, of each country.

    Args:
        measure: PageRank or in-strength, any shape.
        import_reliance: Net imports over apparent consumption, same shape, at most 1; a net
            exporter is at 0 or below and has no TradeRisk, an unknown reliance is NaN and so is
            the TradeRisk.

    Raises:
        ValueError: A reliance above 1 (it is a share, not a percentage).
    """
    reliance = np.asarray(import_reliance, np.float64)
    _require(~(reliance > 1), reliance.ravel(), "an import reliance", "a share of at most 1")
    return np.asarray(measure, np.float64) * np.maximum(reliance, 0.0)


def unit_prices(flows: Flows, countries: ArrayLike) -> Answers:
    """Return the export unit value `p_i = sum_j M[i, j] / sum_j K[i, j]` in USD per kg, shape (n,).

    K15 calls it the price in region i, though it sums over the destinations of i. Flows without a
    quantity count neither above nor below the line.
    """
    nodes = np.asarray(countries, np.int64)
    known = ~np.isnan(flows.quantities)
    sellers = np.searchsorted(nodes, flows.exporters)
    tonnes = _sums(sellers[known], flows.quantities[known], nodes.size)
    value = _sums(sellers, flows.priced, nodes.size)
    price = np.divide(value, tonnes, out=np.full(nodes.size, np.nan), where=tonnes > 0)
    exports = np.bincount(sellers, minlength=nodes.size) > 0
    reasons = np.select(
        [~exports, tonnes <= 0, price == 0],
        [Reason.NO_EXPORTS, Reason.NO_QUANTITY, Reason.ZERO_PRICE],
        Reason.COMPUTED,
    )
    return Answers(price, reasons.astype(object))


def log_returns(prices: ArrayLike, years: ArrayLike) -> Answers:
    """Return `ln(p_t / p_{t-1})`, shape (n, years); NaN in the first year and across gaps.

    Args:
        prices: Of each country and year, shape (n, years), >= 0, NaN where there is none.
        years: Of each column, strictly increasing.
    """
    price, year = np.asarray(prices, np.float64), np.asarray(years, np.int64)
    before = np.full(price.shape, np.nan)
    adjacent = np.diff(year) == 1
    before[:, 1:] = np.where(adjacent, price[:, :-1], np.nan)
    missing = np.isnan(price) | np.isnan(before)
    zero = ~missing & ((price == 0) | (before == 0))
    usable = ~(missing | zero)
    ratio = np.divide(price, before, out=np.ones(price.shape), where=usable)
    reasons = np.select([missing, zero], [Reason.NO_PRICE, Reason.ZERO_PRICE], Reason.COMPUTED)
    return Answers(np.where(usable, np.log(ratio), np.nan), reasons.astype(object))


def volatility(returns: ArrayLike) -> Answers:
    """Return the standard deviation (ddof = 1) of each row of returns, shape (n, years) -> (n,)."""
    value = np.asarray(returns, np.float64)
    known = ~np.isnan(value)
    count = known.sum(axis=1)
    enough = count >= 2
    mean = np.where(known, value, 0.0).sum(axis=1) / np.maximum(count, 1)
    squares = np.square(np.where(known, value - mean[:, None], 0.0)).sum(axis=1)
    deviation = np.where(enough, np.sqrt(squares / np.maximum(count - 1, 1)), np.nan)
    reasons = np.where(enough, Reason.COMPUTED, Reason.FEW_RETURNS)
    return Answers(deviation, reasons.astype(object))


def traded_volume(flows: Flows) -> Volume:
    """Return TTV, the sum of all known quantities in kg, with the share of value they stand for."""
    tonnes = float(np.nansum(flows.quantities))
    value = float(flows.values.sum())
    covered = float(flows.priced.sum()) / value if value > 0 else float("nan")
    if not tonnes > 0:
        return Volume(float("nan"), covered, Reason.NO_QUANTITY)
    return Volume(tonnes * KG_PER_TONNE, covered, Reason.COMPUTED)


def scarcity(traded_kg: float, reserves_kg: float) -> Scarcity:
    """Return `S = ln(TTV / R)`; NaN stands for an unknown volume or unknown reserves.

    Both in kg. K15's printed S divides kg by the unit of the reserves table (methods E.6 b).

    Raises:
        ValueError: Reserves of zero or less, which no table means.
    """
    if reserves_kg <= 0:
        raise ValueError(f"reserves are {reserves_kg} kg; expected more than 0, or NaN if unknown")
    if np.isnan(reserves_kg):
        return Scarcity(float("nan"), Reason.NO_RESERVES)
    if not traded_kg > 0:
        return Scarcity(float("nan"), Reason.NO_QUANTITY)
    return Scarcity(float(np.log(traded_kg / reserves_kg)), Reason.COMPUTED)
