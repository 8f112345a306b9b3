"""What a synthetic world is made of: its settings, its plans, and the arrays they become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SYNTHETIC = "synthetic"
"""Release of generated trade and edition of generated scores."""
GENERATOR = 2
"""Raised whenever the same settings make another world, so that its truth is not taken for this."""
FIRST_TIER, LAST_TIER = 0, 4
GROUPS = (1, 2, 3, 4)
EXTREME = 0
"""Group number of the two extreme countries."""
UNSTABLE_SHARE = 0.6
"""Share of the world, by size, that counts as unstable in how groups choose suppliers."""


@dataclass(frozen=True, slots=True)
class Strengths:
    """How strong each planted signal is, from 0 (placebo: not there) to 1 (default).

    network: exports of an output pull imports of its true inputs. groups: countries of a group
    share a dependency profile, two countries have extreme ones. growth: the coefficients of the
    growth equation are multiplied by it; its noise stays. upstream: unstable suppliers reach
    importers through hubs.
    """

    network: float = 1.0
    groups: float = 1.0
    growth: float = 1.0
    upstream: float = 1.0

    def __post_init__(self) -> None:
        """Refuse strengths outside [0, 1]."""
        for item in fields(self):
            value = getattr(self, item.name)
            if not 0 <= value <= 1:
                raise ValueError(
                    f"the strength of {item.name} is {value}; expected 0 (placebo) to 1 (default)"
                )


@dataclass(frozen=True, slots=True)
class GrowthEquation:
    """The planted equation: change of ln RCA between the windows, per country and product.

    `change = intercept + ln_rca ln RCA + exposure E + hhi H + str S + tier + group + noise`, with
    ln of the mean RCA and the means of the others over the base years. tier and group are indexed
    by their number, with 0 at the reference (tier 0, group 1). noise_sd: standard deviation of the
    independent normal noise. The intercept is not chosen but follows (see `udfs.world.growth`).
    """

    ln_rca: float = -0.1
    exposure: float = -0.3
    hhi: float = -0.2
    str: float = -0.2
    tier: tuple[float, ...] = (0.0, 0.05, 0.1, 0.15, 0.2)
    group: tuple[float, ...] = (0.2, 0.0, 0.15, -0.1, 0.1)
    noise_sd: float = 0.3


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """Everything that decides a world, beside its countries and products.

    years: ascending. base_years, target_years: windows of the growth equation; growth is planted
    if all of them are among `years`. flows_log_mean, flows_log_sd: of the number of flows of a
    product in a year, which is log-normal; defaults as in BACI. tier_sizes: products in tiers 1 to
    4 of each material.
    """

    seed: int
    years: tuple[int, ...] = tuple(range(2007, 2024))
    base_years: tuple[int, ...] = (2008, 2009, 2010, 2011)
    target_years: tuple[int, ...] = (2020, 2021, 2022, 2023)
    flows_log_mean: float = 7.15
    flows_log_sd: float = 1.05
    tier_sizes: tuple[int, ...] = (8, 16, 16, 8)
    strengths: Strengths = field(default_factory=Strengths)
    growth: GrowthEquation = field(default_factory=GrowthEquation)

    def __post_init__(self) -> None:
        """Refuse years out of order, overlapping windows and more tiers than there are."""
        for name in ("years", "base_years", "target_years"):
            years = getattr(self, name)
            if not years or any(late <= early for early, late in pairwise(years)):
                raise ValueError(f"{name} are {years}; expected ascending years, each once")
        if self.base_years[-1] >= self.target_years[0]:
            raise ValueError(
                f"the base years end in {self.base_years[-1]}, the target years begin in "
                f"{self.target_years[0]}; expected the base before the target"
            )
        if len(self.tier_sizes) != LAST_TIER or min(self.tier_sizes) < 1:
            raise ValueError(
                f"tier_sizes are {self.tier_sizes}; expected {LAST_TIER} numbers of products >= 1"
            )

    @property
    def has_windows(self) -> bool:
        """True if the years hold both windows, so that growth can be planted."""
        return {*self.base_years, *self.target_years} <= set(self.years)


@dataclass(frozen=True)
class Countries:
    """The countries of a world, in the order of every array's country axis; C of them.

    code: BACI's numeric codes, ascending. iso3: as in BACI's list. size: share of the world, sums
    to 1. group: 1 to 4, or 0 for the two extremes. estimate: WGI estimate, shape (C, years), NaN
    where WGI scores nobody. rank: its percentile rank. stability: the rank, with the median of the
    year where there is none; 0 to 100, high = stable.
    """

    code: Ints
    name: tuple[str, ...]
    iso3: tuple[str, ...]
    size: Floats
    group: Ints
    estimate: Floats
    rank: Floats
    stability: Floats

    @property
    def risk(self) -> Floats:
        """Return 1 - stability / 100, mean over the years, shape (C,)."""
        return np.asarray(1 - self.stability.mean(axis=1) / 100)

    @property
    def is_unstable(self) -> NDArray[np.bool_]:
        """Return which countries form the riskiest UNSTABLE_SHARE of the world, shape (C,)."""
        riskiest_first = np.argsort(-self.risk, kind="stable")
        before = np.cumsum(self.size[riskiest_first]) - self.size[riskiest_first]
        unstable = np.zeros(self.size.size, np.bool_)
        unstable[riskiest_first[before < UNSTABLE_SHARE]] = True
        return unstable


@dataclass(frozen=True, slots=True)
class Proposal:
    """A pair of products that a name suggests: input -> output, true or a decoy.

    tier is that of the input; output_tier that of the output in the network, or the one a decoy
    would have if it were believed.
    """

    material: str
    input: str
    output: str
    true: bool
    tier: int
    output_tier: int


@dataclass(frozen=True)
class Networks:
    """The production networks of all materials.

    tiers: (material, product) -> tier, the distance from the seeds over true pairs. proposals:
    what names suggest, true pairs and decoys. planted: products that flows are planted in, those
    of the networks and the outputs of decoys, each of one material, with the tier that counts in
    the growth equation.
    """

    tiers: Mapping[tuple[str, str], int]
    proposals: tuple[Proposal, ...]
    planted: Mapping[str, int]

    def outputs(self) -> dict[str, list[str]]:
        """Return the true outputs of each input."""
        found: dict[str, list[str]] = {}
        for pair in self.proposals:
            if pair.true and pair.output not in found.setdefault(pair.input, []):
                found[pair.input].append(pair.output)
        return found


@dataclass(frozen=True, slots=True)
class Chain:
    """An unstable supplier that reaches importers through hubs; positions of countries.

    `supplier` sells to `hub`, the hub to `second_hub` and to each of `near` (two stages from the
    supplier), the second hub to each of `far` (three stages).
    """

    material: str
    product: str
    supplier: int
    hub: int
    second_hub: int
    near: tuple[int, ...]
    far: tuple[int, ...]

    @property
    def members(self) -> tuple[int, ...]:
        """Return all countries of the chain."""
        return (self.supplier, self.hub, self.second_hub, *self.near, *self.far)

    def sales(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """Return who sells to whom."""
        return (
            (self.supplier, (self.hub,)),
            (self.hub, (self.second_hub, *self.near)),
            (self.second_hub, self.far),
        )


@dataclass(frozen=True)
class Growth:
    """What was planted between the windows; arrays of one entry a planted (product, country).

    intercept: the same for all. product: row in `World.planted`; country: position. ln_rca,
    exposure, hhi, systemic_risk: the regressors, NaN where undefined (a country that imports
    nothing). change: of ln mean RCA, NaN where the country leaves the product.
    """

    intercept: float
    product: Ints
    country: Ints
    ln_rca: Floats
    exposure: Floats
    hhi: Floats
    systemic_risk: Floats
    change: Floats


@dataclass(frozen=True)
class World:
    """A synthetic world: everything that `flows` needs, small enough to send to every worker.

    products: HS codes in ascending order with their descriptions. outputs: true outputs of each
    input. chains: by product. planted: row in `exports` of each product that signals are planted
    in, in the order of `networks.planted`. exports: thousand USD, shape (planted, C, years).
    growth: None if the years do not hold both windows.
    """

    settings: WorldSettings
    countries: Countries
    products: Mapping[str, str]
    networks: Networks
    outputs: Mapping[str, Sequence[str]]
    chains: Mapping[str, Chain]
    planted: Mapping[str, int]
    exports: Floats
    growth: Growth | None = None


@dataclass(frozen=True, slots=True)
class Flows:
    """Trade in one product in one year, sorted by exporter, then importer; all of shape (n,).

    exporters, importers: BACI's codes; values_kusd: thousand USD, >= 0.001, three decimals;
    quantities_t: metric tons, three decimals, NaN where not reported.
    """

    exporters: Ints
    importers: Ints
    values_kusd: Floats
    quantities_t: Floats
