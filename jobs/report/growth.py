"""The regression of Table 1 and its variants, as a reader compares them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from conf.materials import Material
from jobs.report.figures import INK, PALETTE, Figure, drawn

DEFAULT = "default"
TERMS = {
    "rca": "RCA at the start",
    "exposure": "exposure",
    "hhi": "concentration (HHI)",
    "str": "systemic trade risk",
    "rca_inputs": "RCA, inputs",
    "exposure_inputs": "exposure, inputs",
    "hhi_inputs": "concentration, inputs",
    "str_inputs": "systemic trade risk, inputs",
}
"""Terms that every variant is compared by, in the order of the printed table."""
HERE, PRINTED = "here", "printed (K25)"


@dataclass(frozen=True)
class GrowthStory:
    """What the page shows of the regression of one material."""

    figure: Figure | None
    terms: list[dict[str, Any]]
    columns: dict[str, str]
    variants: list[dict[str, Any]]
    about: dict[str, Any]
    notes: list[str]
    diagnostics: list[dict[str, Any]]
    not_fitted: list[tuple[str, str]]
    why_not: str | None

    @property
    def printed(self) -> bool:
        """True if the paper prints any of its terms."""
        return any(pd.notna(row["printed_coefficient"]) for row in self.terms)


def story(material: Material, growth: pd.DataFrame, diagnostics: pd.DataFrame) -> GrowthStory:
    """Return what the page says of the regression of one material.

    Args:
        material: what it is about.
        growth: rows of `growth`.
        diagnostics: rows of `growth_diagnostics`.
    """
    unfitted = diagnostics[diagnostics["kind"] == "not_fitted"]
    not_fitted = list(unfitted[["model", "note"]].itertuples(index=False, name=None))
    main = growth[growth["kind"] == DEFAULT]
    if main.empty:
        main = growth[growth["kind"] == "variant"]
    if main.empty:
        why = str(not_fitted[0][1]) if not_fitted else "growth has no row of this material"
        return GrowthStory(None, [], {}, [], {}, [], _counts(diagnostics), not_fitted, why)
    model = _closest(main)
    own = main[main["model"] == model]
    place = own["term"].map(_place)
    own = own.assign(place=place).sort_values(["place", "term"]).drop(columns="place")
    columns = {term: name for term, name in TERMS.items() if (growth["term"] == term).any()}
    return GrowthStory(
        _figure(material, own),
        [row | {"name": called(row["term"])} for row in own.to_dict("records")],
        columns,
        _variants(growth, list(columns)),
        own.iloc[0].to_dict(),
        [
            f"{called(term)}: {note}"
            for term, note in own[["term", "printed_note"]].itertuples(index=False, name=None)
            if isinstance(note, str) and not term.startswith("cluster_")
        ],
        _counts(diagnostics[diagnostics["model"] == model]),
        not_fitted,
        None,
    )


def _closest(models: pd.DataFrame) -> str:
    """Return the model most like the paper's: ln, with the diagonal, plain errors."""
    like = (
        (models["rca_form"] == "ln").astype(int) * 4
        + (models["str_form"] == "with diagonal").astype(int) * 2
        + (models["covariance"] == "ols").astype(int)
    )
    best = models[like == like.max()]
    return str(best["model"].min())


def _place(term: str) -> int:
    """Return where a term stands: as printed, then clusters, tiers and the constant."""
    kinds = {"cluster": 1, "tier": 2, "const": 3}
    return (
        list(TERMS).index(term) - len(TERMS) if term in TERMS else kinds.get(term.split("_")[0], 4)
    )


def called(term: str) -> str:
    """Return a term in words."""
    if term in TERMS:
        return TERMS[term]
    kind, _, number = term.partition("_")
    return {"const": "constant", "cluster": f"cluster {number}", "tier": f"tier {number}"}.get(
        kind, term
    )


def _figure(material: Material, own: pd.DataFrame) -> Figure:
    shown = own[own["term"] != "const"].assign(source=HERE)
    # Clusters bear the numbers of their own embedding, so theirs is no comparison.
    comparable = ~shown["term"].str.startswith("cluster_")
    printed = shown[comparable].dropna(subset=["printed_coefficient"]).assign(source=PRINTED)
    half = 1.96 * printed["printed_std_error"].astype(float)
    printed = printed.assign(
        coefficient=printed["printed_coefficient"],
        std_error=printed["printed_std_error"],
        ci_low=printed["printed_coefficient"] - half,
        ci_high=printed["printed_coefficient"] + half,
    )
    data = pd.concat([shown, printed] if len(printed) else [shown], ignore_index=True)
    data["name"] = data["term"].map(called)
    told = ", ".join(
        f"{name} {value:.2f} ({error:.2f})"
        for name, value, error in shown.assign(name=shown["term"].map(called))[
            ["name", "coefficient", "std_error"]
        ].itertuples(index=False, name=None)
    )
    columns = ["name", "source", "coefficient", "ci_low", "ci_high"]
    return Figure(
        f"{material.key}_growth",
        f"{material.name}: what goes with growth of comparative advantage",
        f"Coefficients with standard errors: {told}.",
        _intervals(data[columns]),
        data[["term", "source", "coefficient", "std_error", "ci_low", "ci_high"]],
    )


def _intervals(data: pd.DataFrame) -> str:
    names = list(dict.fromkeys(data["name"]))
    sources = list(dict.fromkeys(data["source"]))
    base = alt.Chart(data).encode(
        y=alt.Y("name:N", sort=names, title=None, axis=alt.Axis(labelLimit=150)),
        yOffset=alt.YOffset("source:N", sort=sources),
        color=alt.Color(
            "source:N",
            scale=alt.Scale(domain=sources, range=list(PALETTE[: len(sources)])),
            legend=alt.Legend(title=None, orient="top", symbolType="circle")
            if len(sources) > 1
            else None,
        ),
    )
    title = "Coefficient and 95 % interval"
    lines = base.mark_rule(strokeWidth=2).encode(x=alt.X("ci_low:Q", title=title), x2="ci_high:Q")
    dots = base.mark_point(filled=True, size=36, opacity=1).encode(
        x="coefficient:Q", shape=alt.Shape("source:N", scale=alt.Scale(domain=sources), legend=None)
    )
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color=INK, strokeDash=[3, 3])
    chart = alt.layer(zero.encode(x="zero:Q"), lines, dots)
    return drawn(chart, 70 + 13 * len(names) * (len(sources) + 0.6).__ceil__())


def _variants(growth: pd.DataFrame, terms: list[str]) -> list[dict[str, Any]]:
    kinds = {DEFAULT: 0, "variant": 1, "window": 2, "placebo": 3}
    order = growth["kind"].map(kinds).fillna(len(kinds))
    models = growth.assign(order=order).sort_values(["order", "model"])["model"].unique()
    rows = []
    for model in models:
        mine = growth[growth["model"] == model].set_index("term")
        first = mine.iloc[0]
        rows.append(
            {
                "model": model,
                "kind": first["kind"],
                "n": int(first["n"]),
                "r2": float(first["r2"]),
                "cells": [
                    (float(mine.loc[t, "coefficient"]), float(mine.loc[t, "std_error"]))
                    if t in mine.index
                    else None
                    for t in terms
                ],
            }
        )
    return rows


def _counts(diagnostics: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the diagnostics that are read one by one, in the order of the table."""
    kinds = ["rows", "n_by_tier", "n_by_cluster", "vif", "influence", "residual_quantile"]
    shown = diagnostics[diagnostics["kind"].isin([*kinds, "left_out_term"])]
    return shown.sort_values("kind", key=lambda kind: kind.map({k: n for n, k in enumerate(kinds)}),
                             kind="stable").to_dict("records")  # fmt: skip
