"""Which countries have alike profiles of dependency, and how firm is that?

Reads   profiles_wide      (material, country, year) -> one column a feature
Writes  clusters           (material, country, year) -> x, y, cluster, filled_features, ..., reason
        country_clusters   (material, country) -> cluster, share_of_years, stability, consensus, ...
        cluster_agreement  (material, unit, run_a, run_b) -> adjusted_rand, ...
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from conf.settings import Settings
from jobs.countries.network import driver_frame, materials_part
from jobs.indicators.years import of_years
from jobs.progress import say
from jobs.tables import CLUSTER_AGREEMENT, CLUSTERS, COUNTRY_CLUSTERS, PROFILES_WIDE, Table
from jobs.warehouse import Warehouse
from udfs.clustering import (
    BACKGROUND,
    Prepared,
    Reason,
    Run,
    agreement,
    aligned,
    dbm_labels,
    embeddings_of_runs,
    hdbscan_labels,
    isolation,
    kmeans_labels,
    mode_clusters,
    planned_runs,
    prepare,
    stability,
)
from udfs.profiles import COLUMNS

READS = (PROFILES_WIDE,)
WRITES = (CLUSTERS, COUNTRY_CLUSTERS, CLUSTER_AGREEMENT)
SETTINGS = (
    "years",
    "seed",
    "profile_columns",
    "clusters_without_inputs",
    "log_influence",
    "cluster_detail",
    "cluster_background",
    "cluster_repeats",
)

Labels = NDArray[np.int64]
EMBEDDED = "run int, position int, x double, y double, label int"
CONSENSUS = "consensus"
ADAPTIVE = "adaptive"

part = materials_part


def embeddings(
    spark: SparkSession, prepared: Mapping[str, Prepared], settings: Settings
) -> dict[Run, pd.DataFrame]:
    """Return x, y and label of every profile kept, for each run; one task embeds one run."""
    z = {material: each.z for material, each in prepared.items() if each.kept.any()}
    options = settings.countries
    sizes = {material: len(rows) for material, rows in z.items()}
    runs = planned_runs(sizes, repeats=options.cluster_repeats)
    if not runs:
        return {}
    say(f"  {len(runs)} embeddings (--cluster-repeats {options.cluster_repeats})")
    numbers = spark.range(0, len(runs), 1, len(runs))
    embed_and_label = embeddings_of_runs(
        runs,
        z,
        seed=settings.seed,
        detail=options.cluster_detail,
        to_nearest=options.cluster_background == "nearest",
    )
    found = numbers.mapInPandas(embed_and_label, EMBEDDED).toPandas()
    by_run = dict(iter(found.sort_values(["run", "position"]).groupby("run")))
    return {run: by_run[number].reset_index(drop=True) for number, run in enumerate(runs)}


def labelings(runs: Mapping[Run, pd.DataFrame], z: NDArray[np.float64]) -> dict[str, Labels]:
    """Return labels by name of the runs of one material and of other algorithms, all aligned.

    Density-based merging with the data-driven bandwidth (`adaptive`), HDBSCAN and k-means work on
    the coordinates of the default run, the last on the profiles themselves as well.
    """
    default = next(run for run in runs if run.is_default)
    points = runs[default][["x", "y"]].to_numpy()
    labels = {default.name: runs[default]["label"].to_numpy(np.int64)}
    labels |= {run.name: each["label"].to_numpy(np.int64) for run, each in runs.items()}
    clusters = max(2, np.unique(labels[default.name][labels[default.name] > 0]).size)
    labels[f"dbm {ADAPTIVE}"] = dbm_labels(points, ADAPTIVE)
    labels["hdbscan"] = hdbscan_labels(points)
    labels["kmeans"] = kmeans_labels(points, clusters=clusters, seed=0)
    labels["kmeans on profiles"] = kmeans_labels(z, clusters=clusters, seed=0)
    reference = labels[default.name]
    return {name: aligned(each, reference) for name, each in labels.items()}


def cluster_rows(
    profiles: pd.DataFrame, prepared: Prepared, run: pd.DataFrame | None
) -> pd.DataFrame:
    """Return clusters of one material: every profile, those not clustered with the reason."""
    rows = profiles[["material", "country", "year"]].assign(
        x=np.nan,
        y=np.nan,
        cluster=None,
        filled_features=prepared.filled,
        features=len(prepared.columns),
        reason=prepared.reason,
    )
    if run is not None:
        rows.loc[prepared.kept, ["x", "y"]] = run[["x", "y"]].to_numpy()
        rows.loc[prepared.kept, "cluster"] = run["label"].to_numpy(object)
    return rows


def country_rows(
    clusters: pd.DataFrame,
    by_name: Mapping[str, Labels],
    default: str,
    z: NDArray[np.float64],
) -> pd.DataFrame:
    """Return country_clusters of one material: one row a country, clustered or not.

    clusters: as `cluster_rows` returns it. by_name: aligned labels of the rows that have one. z:
    their profiles.
    """
    rows = clusters[clusters["reason"].isna()]
    modes = {name: _modes(rows, labels) for name, labels in by_name.items()}
    own = mode_clusters(rows["country"], rows["year"], by_name[default])
    others = [modes[name] for name in modes if name.startswith("umap") and name != default]
    share, consensus = stability(others, own.cluster)
    found = pd.DataFrame(
        {
            "country": own.country,
            "cluster": own.cluster,
            "share_of_years": own.share_of_years,
            "n_years": own.years,
            "stability": share,
            "isolation": isolation(rows["country"], z),
            CONSENSUS: consensus,
            "hdbscan": modes["hdbscan"],
            "kmeans": modes["kmeans"],
        }
    )
    return found.assign(runs=1 + len(others), reason=None)


def _modes(rows: pd.DataFrame, labels: Labels) -> Labels:
    return mode_clusters(rows["country"], rows["year"], labels).cluster


def without_background_rows(
    clusters: pd.DataFrame, by_name: Mapping[str, Labels], default: str, z: NDArray[np.float64]
) -> tuple[pd.DataFrame, dict[str, Labels], NDArray[np.float64]]:
    """Leave out, with the reason, the country-years that the default run has in no cluster."""
    kept = by_name[default] != BACKGROUND
    left_out = clusters.index[clusters["reason"].isna()][~kept]
    clusters = clusters.copy()
    clusters.loc[left_out, ["cluster", "reason"]] = [None, Reason.BACKGROUND.value]
    return clusters, {name: labels[kept] for name, labels in by_name.items()}, z[kept]


def without_cluster(clusters: pd.DataFrame, found: pd.DataFrame | None) -> pd.DataFrame:
    """Return one row for each country without a cluster in any year, with its commonest reason."""
    rows = clusters
    if found is not None:
        rows = clusters[~clusters["country"].isin(found["country"])]
    reasons = rows.groupby("country")["reason"].agg(lambda reason: reason.mode().iloc[0])
    return reasons.reset_index().assign(n_years=0, runs=0)


def agreements(
    material: str, clusters: pd.DataFrame, by_name: Mapping[str, Labels], consensus: Labels
) -> Iterator[dict[str, Any]]:
    """Yield cluster_agreement of one material: every pair of clusterings, by both units."""
    rows = clusters[clusters["reason"].isna()]
    of_countries = {name: _modes(rows, labels) for name, labels in by_name.items()}
    units = {"country_year": dict(by_name), "country": {**of_countries, CONSENSUS: consensus}}
    for unit, labels in units.items():
        for a, b in combinations(labels, 2):
            index = agreement(labels[a], labels[b])
            yield {
                "material": material,
                "unit": unit,
                "run_a": a,
                "run_b": b,
                "adjusted_rand": None if np.isnan(index) else index,
                "n": labels[a].size,
                "clusters_a": _count(labels[a]),
                "clusters_b": _count(labels[b]),
                "background_share_a": float(np.mean(labels[a] == BACKGROUND)),
                "background_share_b": float(np.mean(labels[b] == BACKGROUND)),
            }


def _count(labels: Labels) -> int:
    return int(np.unique(labels[labels != BACKGROUND]).size)


def say_what_was_left_out(material: str, prepared: Prepared, profiles: pd.DataFrame) -> None:
    """Say which columns and how many profiles do not take part, and how many cells were filled."""
    for name, why in prepared.left_out.items():
        say(f"{material}: column {name} is left out of the clustering: {why}")
    reasons = pd.Series(prepared.reason, dtype=object).value_counts()
    for why, count in reasons.items():
        say(f"{material}: {count:,} of {len(profiles):,} profiles are not clustered: {why}")
    if filled := int(prepared.filled.sum()):
        cells = int(prepared.kept.sum()) * len(prepared.columns)
        say(f"{material}: {filled:,} of {cells:,} cells have no value and got the year's mean")


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Embed and cluster the materials asked for, all their years together."""
    options = settings.countries
    columns = COLUMNS[int(options.profile_columns)]
    wide = of_years(warehouse.read(PROFILES_WIDE), settings)
    wide = wide.where(F.col("material").isin(*settings.materials))
    frame = wide.select("material", "country", "year", *columns).toPandas()
    # An embedding depends on the order of its rows.
    frame = frame.sort_values(["material", "country", "year"], ignore_index=True)
    profiles = {str(name): rows for name, rows in frame.groupby("material")}
    prepared = {
        material: prepare(
            rows,
            columns,
            without_inputs=options.clusters_without_inputs,
            log_influence=options.log_influence,
        )
        for material, rows in profiles.items()
    }
    for material in settings.materials:
        if material in profiles:
            say_what_was_left_out(material, prepared[material], profiles[material])
        else:
            say(f"{material}: no profiles, so no clusters: no product of its network is traded")
    found = embeddings(warehouse.spark, prepared, settings)
    write(warehouse, settings, profiles, prepared, found)


def write(
    warehouse: Warehouse,
    settings: Settings,
    profiles: Mapping[str, pd.DataFrame],
    prepared: Mapping[str, Prepared],
    found: Mapping[Run, pd.DataFrame],
) -> None:
    """Put together and replace the three tables."""
    clusters, countries = [_empty(CLUSTERS)], [_empty(COUNTRY_CLUSTERS)]
    pairs: list[dict[str, Any]] = []
    for material, rows in profiles.items():
        runs = {run: each for run, each in found.items() if run.material == material}
        default = next((run for run in runs if run.is_default), None)
        own = cluster_rows(rows, prepared[material], runs[default] if default else None)
        clustered = None
        if default is not None:
            z, by_name = prepared[material].z, labelings(runs, prepared[material].z)
            if settings.countries.cluster_background == "drop":
                own, by_name, z = without_background_rows(own, by_name, default.name, z)
                dropped = int((own["reason"] == Reason.BACKGROUND.value).sum())
                say(f"{material}: {dropped:,} profiles are left out: {Reason.BACKGROUND.value}")
            if len(z):
                clustered = country_rows(own, by_name, default.name, z)
                countries.append(clustered.assign(material=material))
                consensus = clustered[CONSENSUS].to_numpy(np.int64)
                pairs += agreements(material, own, by_name, consensus)
        clusters.append(own)
        countries.append(without_cluster(own, clustered).assign(material=material))
    spark, where = warehouse.spark, part(settings)
    warehouse.replace(CLUSTERS, driver_frame(spark, CLUSTERS, clusters), where)
    warehouse.replace(COUNTRY_CLUSTERS, driver_frame(spark, COUNTRY_CLUSTERS, countries), where)
    agreed = [_empty(CLUSTER_AGREEMENT), pd.DataFrame(pairs)]
    warehouse.replace(CLUSTER_AGREEMENT, driver_frame(spark, CLUSTER_AGREEMENT, agreed), where)


def _empty(table: Table) -> pd.DataFrame:
    return pd.DataFrame(columns=[column.name for column in table.columns])
