"""Randomised networks of minerals timed: the job, and networkx called once for each draw.

On the minerals of the bundled sample, all its years and the three schemes: how minerals differ in
size decides what their draws cost, and the synthetic years have nothing like it.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from statistics import median

import networkx as nx
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conf.settings import Settings
from jobs.benchmark.measure import Record, Stopwatch, folder_bytes, repeated
from jobs.pipeline import execute, needed_for
from jobs.tables import RANDOMISED_NETWORKS, RANDOMISED_RISK, RANDOMISED_SUMMARY, RESOURCE_FLOWS
from jobs.warehouse import Warehouse
from udfs.randomisation import SCHEMES
from udfs.resource_network import DAMPING, Network, shock_shares
from udfs.resource_rows import Rules, network_of
from udfs.seeding import group_rng

DRAWS = (25, 50, 100)
"""Draws of each mineral, year and scheme; the last is the number that is compared."""
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def randomised(warehouse: Warehouse, settings: Settings, times: int) -> Record:
    """resource_flows -> the three randomised tables; stages: seconds by number of draws."""
    *before, job = needed_for("randomised_networks")
    execute(before, warehouse, settings)
    took = {}
    for draws in DRAWS:
        minerals = settings.minerals.model_copy(update={"draws": draws})
        chosen = settings.model_copy(update={"minerals": minerals})
        runs = repeated(lambda _, chosen=chosen: execute([job], warehouse, chosen), times)  # type: ignore[misc]
        took[f"{draws} draws"] = median(run.seconds for run in runs[1:] or runs)
    tables = (RANDOMISED_NETWORKS, RANDOMISED_RISK, RANDOMISED_SUMMARY)
    return Record(
        runs,
        stages=took,
        facts={
            "rows": warehouse.read(RESOURCE_FLOWS).count() * len(SCHEMES) * DRAWS[-1],
            "written": sum(folder_bytes(warehouse.files.folder / t.name) for t in tables),
        },
    )


def networkx_draws(flows: Sequence[str], *, every: int, cores: int, watch: Stopwatch) -> None:
    """Draw one network of `every` for each mineral, year and scheme, and index each by itself."""
    with watch.stage("read"):
        rows = pd.concat([pd.read_parquet(file, engine="pyarrow") for file in flows])
        tasks = [
            (scheme, network_of(row, Rules()), np.asarray(row.stability), DRAWS[-1] // every)
            for _, row in rows.iterrows()
            for scheme in SCHEMES
        ]
    with watch.stage("groups"), multiprocessing.get_context("fork").Pool(cores) as pool:
        pool.starmap(_index_draws, tasks, chunksize=1)


def _index_draws(scheme: str, network: Network, stability: Floats, draws: int) -> None:
    links, n = (network.sources, network.targets, network.values), stability.size
    rng = group_rng(1, scheme)
    for _ in range(draws):
        drawn = SCHEMES[scheme](*links, n, draws=1, rng=rng)
        indices(drawn.sources[0], drawn.targets[0], drawn.values[0], stability)


def indices(
    sources: Ints, targets: Ints, values: Floats, stability: Floats
) -> tuple[float, float, float, Floats, Floats]:
    """Return mean degree, component share, lambda, PageRank and in-strength of a network.

    By networkx: components, the spectrum, and Katz centrality, which is the series of shocks.
    """
    n, shares = stability.size, shock_shares(sources, targets, values, stability)
    hit = shares > 0
    links = sources[hit].tolist(), targets[hit].tolist(), shares[hit].tolist()
    network = nx.empty_graph(n, create_using=nx.DiGraph)
    network.add_weighted_edges_from(zip(*links, strict=True))
    largest = max(map(len, nx.strongly_connected_components(network)))
    radius = float(np.abs(nx.adjacency_spectrum(network)).max()) if largest > 1 else 0.0
    in_strength = np.array([strength for _, strength in network.in_degree(weight="weight")])
    for source, _, link in network.edges(data=True):
        link["weight"] /= network.out_degree(source)
    katz = nx.katz_centrality_numpy(
        network, alpha=DAMPING / (radius or 1.0), normalized=False, weight="weight"
    )
    series = np.array([katz[country] for country in range(n)])
    degree = network.number_of_edges() / n
    return degree, largest / n, radius, series / series.sum(), in_strength
