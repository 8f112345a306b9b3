"""Does dependence hold back comparative advantage? The regression of Table 1, and its variants.

One row a country and product. The change of transformed mean RCA between two windows of years is
regressed by least squares on RCA, exposure, HHI and systemic trade risk of the first window, on the
same four of the inputs, and on dummies for cluster and tier.

Source: Klimek, Baum, Gerschberger and Hess (2025), Table 1. They print neither the transformation
nor the kind of errors; that RCA enters as a logarithm and the other indicators as they are follows
from the ratios of the printed standard errors. What "inputs" are can be read in three ways.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Form = Literal["ln", "ln_offset", "log1p", "asinh", "raw"]
Errors = Literal["ols", "country", "two_way"]
Inputs = Literal["I1", "I2", "I3", "none"]
Years = tuple[int, ...]

OFFSET = 0.01
"""Added to RCA by the form `ln_offset`, so that products not exported stay in."""
INDICATORS = ("rca", "exposure", "hhi", "str")
FIRST_CLUSTER = 1
"""Reference of the cluster dummies, background being 0; the lowest found if there is no 1."""
LEVEL = 0.95
"""Of the confidence intervals."""
GROUPS: dict[Errors, list[str]] = {
    "ols": [],
    "country": ["country"],
    "two_way": ["country", "product"],
}
"""Columns by which errors are clustered."""
DUMMIES = ("cluster_", "tier_")
COLLINEAR = 1e-8
"""Length of what is left of a column, over its own, below which it counts as collinear."""


class Drop(StrEnum):
    """Why a country and product traded in one of the windows is no row of a model."""

    BASELINE = "RCA of the baseline is undefined in this form (nothing exported)"
    TARGET = "RCA of the target is undefined in this form (nothing exported)"
    INDICATORS = "no exposure, HHI or STR in the baseline (nothing imported)"
    INPUTS = "no input product is loaded and traded in the baseline"
    INPUT_INDICATORS = "exposure, HHI, STR or RCA of the inputs is undefined in the baseline"
    CLUSTER = "the country has no cluster"


@dataclass(frozen=True, slots=True)
class Panel:
    """Indicators of one material: T years, P products, C countries.

    years (T,); products (P,); tiers (P,), tier of each product; countries (C,). rca, exposure, hhi,
    str, diagonal of (I-V)^-1 and weight (imports + exports, thousand current USD), shape (T, P, C),
    NaN where undefined. exporting (T, C): whether the country exports anything at all. edges
    (P, P): from input to output. is_input (P, C): whether the country needs the product for a
    strength. cluster (C,): -1 = none.
    """

    years: Years
    products: tuple[str, ...]
    tiers: Ints
    countries: Ints
    values: dict[str, Floats]
    exporting: Mask
    edges: Mask
    is_input: Mask
    cluster: Ints


@dataclass(frozen=True, slots=True)
class Windows:
    """Years of baseline and target RCA, and of the indicators: the baseline's, but in placebos."""

    baseline: Years
    target: Years
    indicators: Years

    @property
    def name(self) -> str:
        """Such as 2008-2011 to 2020-2023."""
        change = f"{span(self.baseline)} to {span(self.target)}"
        return (
            change
            if self.indicators == self.baseline
            else (f"{change} on indicators of {span(self.indicators)}")
        )


def span(years: Years) -> str:
    """Return the first and the last year, such as 2008-2011."""
    return f"{years[0]}-{years[-1]}"


@dataclass(frozen=True, slots=True)
class Specification:
    """One model: how RCA enters, what inputs are, which errors, STR with its diagonal or not."""

    name: str
    windows: Windows
    form: Form = "ln"
    inputs: Inputs = "I1"
    errors: Errors = "ols"
    diagonal: bool = True
    kind: str = "variant"
    absent: Literal["zero", "skip"] = "zero"


@dataclass(frozen=True, slots=True)
class Rows:
    """What a model is fitted on, and what is not.

    table: country, product, tier, cluster, change, and one column a regressor; dropped: rows left
    out by reason; candidates: rows in all, those in the table and those dropped together.
    """

    table: pd.DataFrame
    dropped: dict[str, int]
    candidates: int


@dataclass(frozen=True, slots=True)
class Fit:
    """Least squares on n rows; arrays of shape (k,), one entry a term, or (n,), one a row.

    terms: const, the regressors, cluster_c, tier_t. std_error: by the errors asked for. p_value:
    two-sided, by t with `degrees` of freedom, n - k or clusters - 1. low, high: 95 % interval.
    notes: why a term has none of these, None where it has. vif: variance inflation, >= 1, NaN for
    the constant. cook: Cook's distance, shape (n,). left_out: terms not estimated, and why.
    """

    terms: tuple[str, ...]
    coefficient: Floats
    std_error: Floats
    p_value: Floats
    low: Floats
    high: Floats
    notes: tuple[str | None, ...]
    vif: Floats
    n: int
    degrees: int
    r_squared: float
    adjusted_r_squared: float
    fitted: Floats
    residual: Floats
    cook: Floats
    left_out: dict[str, str]


class NotFitted(ValueError):
    """A model that cannot be fitted; the message says why."""


def transformed(rca: ArrayLike, form: Form) -> Floats:
    """Return RCA in the form given; NaN where it is undefined, as the logarithm of zero."""
    x = np.asarray(rca, np.float64)
    if form == "ln":
        return np.log(x, out=np.full(x.shape, np.nan), where=x > 0)
    if form == "ln_offset":
        return np.log(x + OFFSET)
    if form == "log1p":
        return np.log1p(x)
    return np.arcsinh(x) if form == "asinh" else x


def window_mean(panel: Panel, name: str, years: Years) -> Floats:
    """Return the mean over the years in which the indicator is defined, shape (P, C)."""
    x = panel.values[name][_places(panel, years)]
    count = np.count_nonzero(~np.isnan(x), axis=0)
    mean: Floats = np.full(count.shape, np.nan)
    np.divide(np.nansum(x, axis=0), count, out=mean, where=count > 0)
    return mean


def mean_rca(panel: Panel, years: Years, absent: Literal["zero", "skip"] = "zero") -> Floats:
    """Return mean RCA over the years, shape (P, C); NaN for a country that exports nothing.

    A year in which a country exports, but neither sells nor buys this product, counts as 0 or not
    at all (`absent`); one in which it only buys it counts as 0.
    """
    if absent == "skip":
        return window_mean(panel, "rca", years)
    places = _places(panel, years)
    count = np.broadcast_to(panel.exporting[places].sum(axis=0), panel.is_input.shape)
    mean: Floats = np.full(count.shape, np.nan)
    np.divide(np.nansum(panel.values["rca"][places], axis=0), count, out=mean, where=count > 0)
    return mean


def _places(panel: Panel, years: Years) -> list[int]:
    return [panel.years.index(year) for year in years]


def of_inputs(panel: Panel, indicator: Floats, weight: Floats, inputs: Inputs) -> Floats:
    """Return the mean of an indicator over inputs, weighted by trade, shape (P, C).

    I1: the direct inputs of each product. I2: all input products of the country, one number for
    all its products. I3: input products of the country in the tier of the product. NaN without
    a traded input that has a value.

    Args:
        panel: whose edges, tiers and input products count.
        indicator: of each product and country, shape (P, C); NaN is left out.
        weight: imports + exports of all years behind the indicator, shape (P, C).
        inputs: one of the three readings.
    """
    carried = np.where(np.isnan(indicator) | np.isnan(weight), 0.0, weight)
    total = np.where(carried > 0, np.nan_to_num(indicator) * carried, 0.0)
    if inputs == "I1":
        to_output = panel.edges.T.astype(np.float64)
    elif inputs == "I2":
        to_output = np.ones((len(panel.products),) * 2)
    else:
        to_output = (panel.tiers[:, None] == panel.tiers).astype(np.float64)
    if inputs != "I1":
        carried, total = carried * panel.is_input, total * panel.is_input
    mean: Floats = np.full(indicator.shape, np.nan)
    weights = to_output @ carried
    np.divide(to_output @ total, weights, out=mean, where=weights > 0)
    return mean


def rows_of(panel: Panel, specification: Specification) -> Rows:
    """Return the rows of a model: country x product, traded in the baseline or the target."""
    windows, form = specification.windows, specification.form
    absent = specification.absent
    before = mean_rca(panel, windows.baseline, absent)
    after = mean_rca(panel, windows.target, absent)
    indicators = _indicators(panel, specification)
    columns = {"rca": transformed(before, form), **indicators}
    change = transformed(after, form) - columns["rca"]
    # Trade of the whole window: a year without any counts for nothing, not for the mean of others.
    weight = np.nansum(panel.values["weight"][_places(panel, windows.indicators)], axis=0)
    causes: list[tuple[Drop, Mask]] = [
        (Drop.BASELINE, np.isnan(columns["rca"])),
        (Drop.TARGET, np.isnan(change)),
        (Drop.INDICATORS, np.any([np.isnan(x) for x in indicators.values()], axis=0)),
    ]
    if specification.inputs != "none":
        given = {"rca": before, **indicators}
        of = {
            f"{name}_inputs": of_inputs(panel, x, weight, specification.inputs)
            for name, x in given.items()
        }
        traded = of_inputs(panel, np.ones(weight.shape), weight, specification.inputs)
        of["rca_inputs"] = transformed(of["rca_inputs"], form)
        columns |= of
        undefined = np.any([np.isnan(x) for x in of.values()], axis=0)
        causes += [(Drop.INPUTS, np.isnan(traded)), (Drop.INPUT_INDICATORS, undefined)]
    if (panel.cluster >= 0).any():
        missing = np.broadcast_to(panel.cluster < 0, change.shape)
        causes.append((Drop.CLUSTER, missing))
    return _kept(panel, columns | {"change": change}, causes, _candidates(panel, windows))


def _indicators(panel: Panel, specification: Specification) -> dict[str, Floats]:
    years = specification.windows.indicators
    found = {name: window_mean(panel, name, years) for name in INDICATORS[1:]}
    if not specification.diagonal:
        off = {**panel.values, "str": panel.values["str"] - panel.values["diagonal"]}
        found["str"] = window_mean(replace(panel, values=off), "str", years)
    return found


def _candidates(panel: Panel, windows: Windows) -> Mask:
    years = sorted({*windows.baseline, *windows.target})
    return np.asarray((panel.values["weight"][_places(panel, tuple(years))] > 0).any(axis=0))


def _kept(
    panel: Panel, columns: dict[str, Floats], causes: list[tuple[Drop, Mask]], candidates: Mask
) -> Rows:
    left, dropped = candidates.copy(), {}
    for cause, mask in causes:
        dropped[cause.value] = int(np.count_nonzero(left & mask))
        left &= ~mask
    product, country = np.nonzero(left)
    table = pd.DataFrame(
        {
            "country": panel.countries[country],
            "product": np.array(panel.products, dtype=object)[product],
            "tier": panel.tiers[product],
            "cluster": panel.cluster[country],
            **{name: x[product, country] for name, x in columns.items()},
        }
    )
    return Rows(table, dropped, int(np.count_nonzero(candidates)))


def design(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the regressors with constant and dummies, and the terms left out with why.

    Left out are references, terms that are the same in every row, and terms that are a linear
    combination of those before them.
    """
    x = table.drop(columns=["country", "product", "tier", "cluster", "change"]).copy()
    x.insert(0, "const", 1.0)
    left_out: dict[str, str] = {}
    for kind, first in (("cluster", FIRST_CLUSTER), ("tier", 0)):
        levels = sorted(level for level in set(table[kind].tolist()) if level >= 0)
        reference = next((level for level in levels if level >= first), min(levels, default=None))
        for level in levels:
            if level != reference:
                x[f"{kind}_{level}"] = (table[kind] == level).astype(np.float64)
        left_out[f"{kind}_{reference}" if levels else kind] = (
            "reference of the dummies" if levels else "no country has a cluster"
        )
    kept = _independent(x)
    for name in sorted(set(x.columns) - set(kept)):
        constant = x[name].nunique() < 2
        left_out[name] = "the same in every row" if constant else "follows from the terms before it"
    return x[kept], left_out


def _independent(x: pd.DataFrame) -> list[str]:
    """Return the columns that are no linear combination of those before them."""
    basis: list[Floats] = []
    names = []
    for name in x:
        column = x[name].to_numpy(np.float64)
        length = np.linalg.norm(column)
        rest = column
        for _ in range(2):  # once is not orthogonal enough
            for direction in basis:
                rest = rest - (direction @ rest) * direction
        if length > 0 and np.linalg.norm(rest) > COLLINEAR * length:
            basis.append(rest / np.linalg.norm(rest))
            names.append(str(name))
    return names


def fit(table: pd.DataFrame, *, errors: Errors = "ols") -> Fit:
    """Fit the change on all other columns and on dummies of cluster and tier.

    Args:
        table: as in `Rows`.
        errors: plain, clustered by country, or two-way by country and product (Cameron, Gelbach
            and Miller 2011), with the small-sample factors g/(g-1) (n-1)/(n-k).

    Raises:
        NotFitted: there are not more rows than terms, or too few clusters for the errors.
    """
    import statsmodels.api as sm

    if table.empty:
        raise NotFitted("no rows are left")
    x, left_out = design(table)
    n, k = x.shape
    if n <= k:
        raise NotFitted(f"{n} rows are left for {k} terms; expected more rows than terms")
    plain = sm.OLS(table["change"].to_numpy(np.float64), x.to_numpy(np.float64)).fit()
    covariance, degrees = _covariance(plain, table, errors)
    notes = _without_error(x, table, np.diag(covariance), errors)
    known = np.array([note is None for note in notes], np.bool_)
    error = np.sqrt(np.diag(covariance), out=np.full(k, np.nan), where=known)
    beta = np.asarray(plain.params, np.float64)
    reach = stats.t.ppf(0.5 + LEVEL / 2, degrees) * error
    return Fit(
        terms=tuple(x.columns),
        coefficient=beta,
        std_error=error,
        p_value=2 * stats.t.sf(np.abs(beta / error), degrees),
        low=beta - reach,
        high=beta + reach,
        notes=notes,
        vif=variance_inflation(x.to_numpy(np.float64)),
        n=n,
        degrees=degrees,
        r_squared=float(plain.rsquared),
        adjusted_r_squared=float(plain.rsquared_adj),
        fitted=np.asarray(plain.fittedvalues),
        residual=np.asarray(plain.resid),
        cook=cooks_distance(x.to_numpy(np.float64), np.asarray(plain.resid)),
        left_out=left_out,
    )


def _without_error(
    x: pd.DataFrame, table: pd.DataFrame, variance: Floats, errors: Errors
) -> tuple[str | None, ...]:
    """Return why a term has no standard error, None where it has one.

    A dummy of a single country or product fits that one exactly on average, so errors clustered
    by it come out near zero and mean nothing.
    """
    notes: list[str | None] = []
    for term, of_term in zip(x.columns, variance, strict=True):
        alone = [
            name
            for name in GROUPS[errors]
            if term.startswith(DUMMIES) and table.loc[x[term] != 0, name].nunique() < 2
        ]
        if alone:
            notes.append(f"only one {alone[0]} has it, which errors clustered by it cannot judge")
        else:
            notes.append(None if of_term > 0 else "its variance is not positive: too few clusters")
    return tuple(notes)


def _covariance(plain: object, table: pd.DataFrame, errors: Errors) -> tuple[Floats, int]:
    """Return the covariance of the coefficients and the degrees of freedom of t."""
    if errors == "ols":
        return np.asarray(plain.cov_params()), int(plain.df_resid)  # type: ignore[attr-defined]
    names = GROUPS[errors]
    groups = [pd.factorize(table[name])[0] for name in names]
    smallest = min(int(group.max()) + 1 for group in groups)
    if smallest < 2:
        raise NotFitted(f"errors clustered by {' and '.join(names)} need two of each")
    robust = plain.get_robustcov_results(  # type: ignore[attr-defined]
        "cluster", groups=groups[0] if errors == "country" else np.column_stack(groups)
    )
    return np.asarray(robust.cov_params()), smallest - 1


def variance_inflation(x: Floats) -> Floats:
    """Return 1/(1-R2) of each column on the others, shape (k,); NaN for the constant, the first."""
    if x.shape[1] < 2:
        return np.full(x.shape[1], np.nan)
    centred = x[:, 1:] - x[:, 1:].mean(axis=0)
    scaled = centred / np.linalg.norm(centred, axis=0)
    inverse = np.linalg.inv(np.linalg.qr(scaled, mode="r"))
    return np.concatenate([[np.nan], (inverse**2).sum(axis=1)])


def cooks_distance(x: Floats, residual: Floats) -> Floats:
    """Return how far each row moves all fitted values (Cook 1977), shape (n,), >= 0.

    NaN for a row that alone decides a coefficient, so that its residual says nothing.
    """
    n, k = x.shape
    leverage = (np.linalg.qr(x)[0] ** 2).sum(axis=1)
    free = 1 - leverage
    variance = residual @ residual / (n - k)
    distance: Floats = np.full(n, np.nan)
    decided = free <= COLLINEAR
    whole = residual**2 * leverage
    np.divide(whole, k * variance * free**2, out=distance, where=~decided & (variance > 0))
    return distance
