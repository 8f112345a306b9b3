"""The models of growth for Spark: the rows of a material in, coefficients and diagnostics out.

Which windows and variants there are, and what of each fit is published, is decided here; the
numerics are in `udfs.growth`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from udfs.growth import (
    Fit,
    Form,
    NotFitted,
    Panel,
    Rows,
    Specification,
    Windows,
    Years,
    fit,
    rows_of,
    span,
)

Absent = Literal["zero", "skip"]

BASELINE: Years = (2008, 2009, 2010, 2011)
TARGET: Years = (2020, 2021, 2022, 2023)
"""Windows of the source."""
SWEEP_STARTS = range(2007, 2013)
SWEEP_ENDS = range(2019, 2024)
SWEEP_LENGTHS = (3, 4)
FORMS: tuple[Form, ...] = ("raw", "log1p", "asinh", "ln_offset")
DEFAULT = "ln, I1, ols"
"""Name of the default model, the reading of the source that agrees best with what it prints."""
INFLUENTIAL = 10
"""Rows of largest Cook's distance that are named."""
QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
TENTHS = 10

MISPRINT = (
    "printed as 0.26(10) with p < 0.0001; t = 2.6 gives p = 0.009, so one of the three is a "
    "misprint in the source"
)
OWN_NUMBERS = (
    "clusters of the source are numbered by its own embedding; compare no number to number"
)
PRINTED: Mapping[str, tuple[float | None, float | None, str | None]] = MappingProxyType(
    {
        "rca": (-0.13, 0.01, "the standard error is about 0.01"),
        "exposure": (None, 0.1, "the standard error is about 0.1"),
        "hhi": (None, 0.10, None),
        "str": (None, 0.075, "the standard error is 0.07 to 0.08"),
        "hhi_inputs": (0.26, 0.10, MISPRINT),
        "cluster_2": (0.96, 0.25, OWN_NUMBERS),
    }
)
"""Term -> coefficient, standard error and remark, as far as Table 1 of the source is known here."""
PRINTED_DUMMIES = MappingProxyType({"tier": (None, 0.2, None), "cluster": (None, 0.2, OWN_NUMBERS)})
"""The same for dummies without an entry of their own."""
PRINTED_FOR = "rare_earths"
"""The material of the source."""


def printed(material: str, term: str) -> tuple[float | None, float | None, str | None]:
    """Return coefficient, standard error and remark printed in the source; None = not known."""
    if material != PRINTED_FOR:
        return None, None, None
    return PRINTED.get(term) or PRINTED_DUMMIES.get(term.partition("_")[0]) or (None, None, None)


def default_windows(years: Sequence[int], *, baseline: Years = (), target: Years = ()) -> Windows:
    """Return the windows asked for; else 2008-2011 and 2020-2023; else the ends of the years.

    Raises:
        NotFitted: a year is not loaded, windows overlap, or there are fewer than two years.
    """
    loaded = sorted(set(years))
    if len(loaded) < 2:
        raise NotFitted(f"{len(loaded)} years loaded; a change of RCA needs at least two")
    printed = not {*BASELINE, *TARGET} - set(loaded)
    length = min(len(BASELINE), len(loaded) // 2)
    first = baseline or (BASELINE if printed else tuple(loaded[:length]))
    last = target or (TARGET if printed else tuple(loaded[-length:]))
    if missing := sorted({*first, *last} - set(loaded)):
        raise NotFitted(
            f"years {', '.join(map(str, missing))} of the windows {span(first)} and "
            f"{span(last)} are not loaded; there are {span(tuple(loaded))}"
        )
    if first[-1] >= last[0]:
        raise NotFitted(f"the baseline {span(first)} does not end before the target {span(last)}")
    return Windows(first, last, first)


def sweep(years: Sequence[int], default: Windows) -> list[Windows]:
    """Return other windows of 3 or 4 years: baselines from 2007-2012, targets to 2019-2023."""
    found = []
    for length in SWEEP_LENGTHS:
        for start in SWEEP_STARTS:
            for end in SWEEP_ENDS:
                first = tuple(range(start, start + length))
                last = tuple(range(end - length + 1, end + 1))
                if first[-1] < last[0] and {*first, *last} <= set(years):
                    found.append(Windows(first, last, first))
    return [windows for windows in found if windows != default]


def placebo(years: Sequence[int], default: Windows) -> list[Windows]:
    """Return windows whose change comes before the indicators, which so cannot have caused it.

    A change between two windows in a row before the target is regressed on the indicators of the
    target; whatever effect is found there was not one of dependence on later growth.
    """
    earlier = sorted(year for year in set(years) if year < default.target[0])
    length = min(len(default.baseline), len(earlier) // 2)
    if not length:
        return []
    first, second = tuple(earlier[:length]), tuple(earlier[length : 2 * length])
    return [Windows(first, second, default.target)]


def specifications(
    years: Sequence[int], windows: Windows, *, absent: Absent = "zero"
) -> list[Specification]:
    """Return every model, the default first."""
    default = Specification(DEFAULT, windows, kind="default", absent=absent)
    bare = replace(default, name="ln, no inputs, ols", inputs="none", kind="variant")
    variants = [
        replace(default, name="ln, I2, ols", inputs="I2"),
        replace(default, name="ln, I3, ols", inputs="I3"),
        *(replace(default, name=f"{form}, I1, ols", form=form) for form in FORMS),
        replace(default, name="ln, I1, country", errors="country"),
        replace(default, name="ln, I1, two_way", errors="two_way"),
        replace(default, name="ln, I1, ols, STR without diagonal", diagonal=False),
        replace(bare, name="ln, no inputs, country", errors="country"),
        replace(bare, name="ln, no inputs, two_way", errors="two_way"),
        replace(bare, name="ln, no inputs, ols, STR without diagonal", diagonal=False),
        *(replace(bare, name=f"{form}, no inputs, ols", form=form) for form in FORMS),
    ]
    moved = [
        replace(model, name=f"{model.name}, {prefix}{other.name}", windows=other, kind=kind)
        for model in (default, bare)
        for kind, prefix, others in (
            ("placebo", "placebo: ", placebo(years, windows)),
            ("window", "", sweep(years, windows)),
        )
        for other in others
    ]
    return [default, bare, *(replace(model, kind="variant") for model in variants), *moved]


@dataclass(frozen=True, slots=True)
class Options:
    """Years asked for by hand (empty = the default) and how years without exports count."""

    baseline: Years = ()
    target: Years = ()
    absent: Absent = "zero"


def panel_of(rows: pd.DataFrame, edges: pd.DataFrame, exporting: pd.DataFrame) -> Panel:
    """Return the arrays of one material.

    Args:
        rows: year, product, country, tier, weight, rca, exposure, hhi, str, diagonal, is_input,
            cluster (NaN = none); one row a year, product and country.
        edges: input, output; products without rows are left out.
        exporting: year, country of all countries that export anything in a year.
    """
    years, at_year = np.unique(rows["year"].to_numpy(np.int64), return_inverse=True)
    products, at_product = np.unique(rows["product"].to_numpy(str), return_inverse=True)
    countries, at_country = np.unique(rows["country"].to_numpy(np.int64), return_inverse=True)
    at = (at_year, at_product, at_country)
    values = {}
    for name in ("rca", "exposure", "hhi", "str", "diagonal", "weight"):
        values[name] = np.full((len(years), len(products), len(countries)), np.nan)
        values[name][at] = rows[name].to_numpy(np.float64)
    tiers = np.zeros(len(products), np.int64)
    tiers[at_product] = rows["tier"].to_numpy(np.int64)
    cluster = np.full(len(countries), -1, np.int64)
    cluster[at_country] = rows["cluster"].fillna(-1).to_numpy(np.int64)
    is_input = np.zeros((len(products), len(countries)), np.bool_)
    is_input[at_product, at_country] = rows["is_input"].to_numpy(np.bool_)
    exports = np.zeros((len(years), len(countries)), np.bool_)
    known = exporting[exporting["year"].isin(years) & exporting["country"].isin(countries)]
    exports[np.searchsorted(years, known["year"]), np.searchsorted(countries, known["country"])] = (
        True
    )
    links = np.zeros((len(products),) * 2, np.bool_)
    traded = edges[edges["input"].isin(products) & edges["output"].isin(products)]
    links[
        np.searchsorted(products, traded["input"].to_numpy(str)),
        np.searchsorted(products, traded["output"].to_numpy(str)),
    ] = True
    return Panel(
        years=tuple(years.tolist()),
        products=tuple(products.tolist()),
        tiers=tiers,
        countries=countries,
        values=values,
        exporting=exports,
        edges=links,
        is_input=is_input,
        cluster=cluster,
    )


def models_of_material(
    edges: pd.DataFrame, exporting: pd.DataFrame, options: Options, columns: Sequence[str]
) -> Callable[[tuple[str], pd.DataFrame], pd.DataFrame]:
    """Build the function for groups (material) that fits all models.

    Args:
        edges: material, input, output.
        exporting: year, country that exports anything.
        options: windows.
        columns: names of the result: rows with a term belong to growth, others to diagnostics.
    """

    def one_group(key: tuple[str], rows: pd.DataFrame) -> pd.DataFrame:
        own = edges[edges["material"] == key[0]]
        panel = panel_of(rows, own, exporting)
        found = pd.DataFrame(list(_models(key[0], panel, options)))
        return found.reindex(columns=list(columns)).astype(object).where(found.notna(), None)

    return one_group


def _models(material: str, panel: Panel, options: Options) -> Iterator[dict[str, Any]]:
    try:
        windows = default_windows(panel.years, baseline=options.baseline, target=options.target)
    except NotFitted as why:
        yield not_fitted(material, DEFAULT, str(why))
        return
    for model in specifications(panel.years, windows, absent=options.absent):
        rows = rows_of(panel, model)
        head = {"material": material, "model": model.name}
        yield from (head | row for row in row_counts(rows))
        try:
            found = fit(rows.table, errors=model.errors)
        except NotFitted as why:
            yield not_fitted(material, model.name, _with_causes(str(why), rows))
            continue
        described = head | _description(model, rows, found)
        yield from (described | row for row in _coefficients(material, found))
        yield from (head | row for row in _left_out(found))
        if model.kind in ("default", "variant"):
            yield from (head | row for row in diagnostics(rows.table, found))


def not_fitted(material: str, model: str, why: str) -> dict[str, Any]:
    """Return the row that says why there is no model."""
    return {"material": material, "model": model, "kind": "not_fitted", "key": "model", "note": why}


def _with_causes(why: str, rows: Rows) -> str:
    causes = "; ".join(f"{count} {cause}" for cause, count in rows.dropped.items() if count)
    return f"{why}; of {rows.candidates} candidates dropped: {causes}" if causes else why


def row_counts(rows: Rows) -> Iterator[dict[str, Any]]:
    """Yield the rows used and those dropped by reason, which add up to the candidates."""
    counts = {"candidates": rows.candidates, "used": len(rows.table), **rows.dropped}
    for key, count in counts.items():
        yield {"kind": "rows", "key": key, "value": float(count)}
    for kind in ("tier", "cluster"):
        levels, sizes = np.unique(rows.table[kind].to_numpy(np.int64), return_counts=True)
        for level, size in zip(levels.tolist(), sizes.tolist(), strict=True):
            key = str(level) if level >= 0 else "none"
            yield {"kind": f"n_by_{kind}", "key": key, "value": float(size)}


def _description(model: Specification, rows: Rows, found: Fit) -> dict[str, Any]:
    windows = model.windows
    return {
        "n": found.n,
        "countries": rows.table["country"].nunique(),
        "products": rows.table["product"].nunique(),
        "r2": found.r_squared,
        "adjusted_r2": found.adjusted_r_squared,
        "covariance": model.errors,
        "inputs": model.inputs,
        "rca_form": model.form,
        "str_form": "with diagonal" if model.diagonal else "without diagonal",
        "baseline_from": windows.baseline[0],
        "baseline_to": windows.baseline[-1],
        "target_from": windows.target[0],
        "target_to": windows.target[-1],
        "indicators_from": windows.indicators[0],
        "indicators_to": windows.indicators[-1],
        "variant": model.kind,
    }


def _coefficients(material: str, found: Fit) -> Iterator[dict[str, Any]]:
    for k, term in enumerate(found.terms):
        coefficient, error, note = printed(material, term)
        yield {
            "term": term,
            "coefficient": found.coefficient[k],
            "std_error": found.std_error[k],
            "p_value": found.p_value[k],
            "ci_low": found.low[k],
            "ci_high": found.high[k],
            "note": found.notes[k],
            "printed_coefficient": coefficient,
            "printed_std_error": error,
            "printed_note": note,
        }


def _left_out(found: Fit) -> Iterator[dict[str, Any]]:
    for term, why in found.left_out.items():
        yield {"kind": "left_out_term", "key": term, "note": why}


def diagnostics(table: pd.DataFrame, found: Fit) -> Iterator[dict[str, Any]]:
    """Yield collinearity, the most influential rows, and the shape of the residuals."""
    for term, value in zip(found.terms[1:], found.vif[1:], strict=True):
        yield {"kind": "vif", "key": term, "value": value}
    largest = np.argsort(-np.nan_to_num(found.cook), kind="stable")[:INFLUENTIAL]
    for row in largest.tolist():
        country, product = int(table["country"].iloc[row]), str(table["product"].iloc[row])
        alone = bool(np.isnan(found.cook[row]))
        yield {
            "kind": "influence",
            "key": f"{country} {product}",
            "value": None if alone else found.cook[row],
            "country": country,
            "product": product,
            "fitted": found.fitted[row],
            "residual": found.residual[row],
            "note": "the row alone decides a coefficient" if alone else None,
        }
    for share in QUANTILES:
        value = float(np.quantile(found.residual, share))
        yield {"kind": "residual_quantile", "key": f"{share:.2f}", "value": value}
    yield from _by_fitted(found.fitted, found.residual)


def _by_fitted(
    fitted: NDArray[np.float64], residual: NDArray[np.float64]
) -> Iterator[dict[str, Any]]:
    order = np.argsort(fitted, kind="stable")
    for number, rows in enumerate(np.array_split(order, min(TENTHS, len(order))), start=1):
        yield {
            "kind": "residual_by_fitted",
            "key": f"{number:02d} of {min(TENTHS, len(order))}",
            "value": float(residual[rows].mean()),
            "fitted": float(fitted[rows].mean()),
            "residual": float(residual[rows].std()),
        }
