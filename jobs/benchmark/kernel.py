"""The solve of one product-year by itself, beside a dense inverse and the machine's ceiling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from jobs.benchmark.measure import Record, repeated
from jobs.benchmark.peers import year_contexts
from udfs.systemic_risk import YearContext, leontief_inverse, product_year

LAYERS = 400
"""Product-years measured, evenly spaced over the list of products."""
Floats = NDArray[np.float64]


class Layer:
    """One product-year in the forms the contestants take."""

    def __init__(self, row: dict[str, object], context: YearContext, countries: NDArray[np.int64]):
        """Prepare flows, the dense V of all `countries`, and V of those that export and import."""
        self.context = context
        self.exporters = np.asarray(row["exporters"], np.int16)
        self.importers = np.asarray(row["importers"], np.int16)
        self.values = np.asarray(row["values"], np.float64)
        n = countries.size
        sources = np.searchsorted(countries, self.exporters)
        targets = np.searchsorted(countries, self.importers)
        imports = np.bincount(targets, self.values, n)
        risk = 1 - context.stability[self.exporters] / 100
        self.dense = np.zeros((n, n))
        self.dense[sources, targets] = risk * self.values / imports[targets]
        core = np.intersect1d(sources, targets)
        self.core = np.ascontiguousarray(self.dense[np.ix_(core, core)])

    def solve(self) -> None:
        """Carry out the project's kernel, all indicators of the product-year."""
        product_year(
            self.exporters,
            self.importers,
            self.values,
            stability=self.context.stability,
            imputed=self.context.imputed,
        )

    def invert_core(self) -> None:
        """Carry out the inverse inside the kernel: countries that both export and import."""
        leontief_inverse(self.core)

    def invert_all(self) -> None:
        """Invert the dense matrix of all countries."""
        np.linalg.inv(np.eye(self.dense.shape[0]) - self.dense)

    def multiply_core(self) -> None:
        """Multiply two matrices of the core's size."""
        self.core @ self.core

    def multiply_all(self) -> None:
        """Multiply two matrices of all countries."""
        self.dense @ self.dense


def measure(matrices: Path, trade: Path, stability: Path, *, times: int) -> Record:
    """Time each contestant on the same layers, one thread.

    facts: `NAME seconds` a layer and `NAME flops` a second, where a product and an inverse of
    size n both count as 2 n^3 operations; `layers`, `countries` and `core`, the mean size of it.
    """
    context = year_contexts(trade, stability, cores=1)
    layers = _layers(matrices, context)
    work: dict[str, Callable[[Layer], None]] = {
        "kernel": Layer.solve,
        "inverse of core": Layer.invert_core,
        "dense inverse": Layer.invert_all,
        "matmul of core": Layer.multiply_core,
        "matmul of all": Layer.multiply_all,
    }
    core = np.array([layer.core.shape[0] for layer in layers], np.float64)
    everyone = float(layers[0].dense.shape[0])
    facts = {"layers": len(layers), "countries": everyone, "core": core.mean()}
    runs = []
    for name, contestant in work.items():
        runs += (took := repeated(lambda _, f=contestant: [f(layer) for layer in layers], times))
        size = np.full(core.size, everyone) if name in ("dense inverse", "matmul of all") else core
        seconds = median(run.seconds for run in took)
        facts[f"{name} seconds"] = seconds / len(layers)
        facts[f"{name} flops"] = float((2 * size**3).sum()) / seconds
    return Record(runs, facts=facts)


def _layers(matrices: Path, years: dict[int, YearContext]) -> Sequence[Layer]:
    table = pq.read_table(matrices).sort_by("product")
    countries = np.union1d(
        *(table.column(name).combine_chunks().flatten() for name in ("exporters", "importers"))
    ).astype(np.int64)
    step = max(1, table.num_rows // LAYERS)
    rows = table.take(np.arange(0, table.num_rows, step)).to_pylist()
    return [Layer(row, years[row["year"]], countries) for row in rows]
