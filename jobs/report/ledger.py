"""Who stands behind a country's systemic trade risk in the seeds, directly and through others.

One account a country and year: the mean over the seeds that `profiles` has as str_all_tier0, split
by supplier, so that the lines of an account add up to it.
"""

from __future__ import annotations

import pandas as pd

OTHERS = 0
"""Supplier that stands for all below the floor of `contributions`."""
FLOW = ["year", "product", "country"]
LINE = ["year", "country", "supplier"]


def ledger(
    contributions: pd.DataFrame,
    trade: pd.DataFrame,
    stability: pd.DataFrame,
    indicators: pd.DataFrame,
) -> pd.DataFrame:
    """Split the trade-weighted mean of str over products by supplier, year and country.

    Args:
        contributions: year, product, supplier, country, contribution.
        trade: year, product, exporter, importer, value_kusd.
        stability: country, year, pv.
        indicators: year, product, country, imports_kusd, exports_kusd, str, damping.

    Returns:
        year, country, supplier, contribution (>= 0; with supplier = country it is what stays of the
        1 that everybody has, plus loops), direct (its part V = (1 - pv/100) times share, in one
        step; 0 for the diagonal), share of the supplier in the imports of all these products, pv.
        Supplier 0: all that `contributions` sums up; its pv is NaN.
    """
    weights = _weights(indicators)
    direct = _direct(trade, stability, indicators)
    keys = [*FLOW, "supplier"]
    lines = contributions[[*keys, "contribution"]].merge(direct, on=keys, how="outer")
    lines.loc[lines["contribution"].isna(), "supplier"] = OTHERS
    lines = lines.merge(weights, on=FLOW).fillna({"contribution": 0.0, "direct": 0.0, "value": 0.0})
    for column in ("contribution", "direct"):
        lines[column] *= lines["weight"]
    account = lines.groupby(LINE, as_index=False)[["contribution", "direct", "value"]].sum()
    imports = account.groupby(["year", "country"])["value"].transform("sum")
    account["share"] = (account.pop("value") / imports.where(imports > 0)).fillna(0.0)
    scores = stability.rename(columns={"country": "supplier"})[["supplier", "year", "pv"]]
    return account.merge(scores, on=["supplier", "year"], how="left")


def _weights(indicators: pd.DataFrame) -> pd.DataFrame:
    """Return year, product, country, weight: share in imports + exports with a defined str."""
    known = indicators.dropna(subset=["str"])
    traded = known["imports_kusd"] + known["exports_kusd"]
    whole = traded.groupby([known["year"], known["country"]]).transform("sum")
    return known[FLOW].assign(weight=traded / whole)


def _direct(trade: pd.DataFrame, stability: pd.DataFrame, indicators: pd.DataFrame) -> pd.DataFrame:
    """Return V of each flow: year, product, country, supplier, direct, value."""
    flows = trade.rename(
        columns={"exporter": "supplier", "importer": "country", "value_kusd": "value"}
    )
    scores = stability.rename(columns={"country": "supplier"})[["supplier", "year", "pv"]]
    flows = flows.merge(scores, on=["supplier", "year"], how="left")
    flows = flows.merge(indicators[[*FLOW, "damping"]], on=FLOW, how="left")
    imports = flows.groupby(FLOW)["value"].transform("sum")
    share = flows["value"] / imports.where(imports > 0)
    risk = 1 - flows["pv"] / 100
    return flows[[*FLOW, "supplier", "value"]].assign(direct=share * risk * flows["damping"])


def changes(account: pd.DataFrame) -> pd.DataFrame:
    """Return how the line of each supplier moved from a country's first year to its last.

    account: see `ledger`. Columns: country, supplier, change (of the contribution), and share and
    pv of both years as share_first, share_last, pv_first, pv_last; a supplier without a line in a
    year counts as 0, and its pv is NaN only if it stands behind nobody in that year. A country with
    one year has no rows.
    """
    years = account.groupby("country")["year"]
    first, last = years.transform("min"), years.transform("max")
    keys, values = ["country", "supplier"], ["contribution", "share"]
    ends = [account.loc[(account["year"] == end) & (first < last)] for end in (first, last)]
    both = ends[0][keys + values].merge(
        ends[1][keys + values], on=keys, how="outer", suffixes=("_first", "_last")
    )
    amounts = [f"{name}_{end}" for name in ("contribution", "share") for end in ("first", "last")]
    both[amounts] = both[amounts].fillna(0.0)
    both["change"] = both["contribution_last"] - both["contribution_first"]
    spans = years.agg(year_first="min", year_last="max").reset_index()
    both = both.merge(spans, on="country")
    scores = account.drop_duplicates(["supplier", "year"]).set_index(["supplier", "year"])["pv"]
    for end in ("first", "last"):
        both = both.join(scores.rename(f"pv_{end}"), on=["supplier", f"year_{end}"])
    return both.drop(
        columns=[f"{name}_{end}" for name in ("contribution", "year") for end in ("first", "last")]
    )
