"""Who stands behind whose systemic trade risk, and how much each supplier weighs on the others.

Numerics first (arrays of one product-year in, a frozen result out), then the functions Spark
calls. Notation of `udfs.systemic_risk`: `V[a, c]` is the share of exporter `a` in the imports of
`c`, times `1 - PV_a/100`; `L = (I - V)^-1`; `STR_c` is the sum of column `c` of `L`.

Two readings of what supplier `a` adds to `STR_c`:
- *summand*: `L[a, c]`, as Klimek, Baum, Gerschberger and Hess (2025) write;
- *extraction*: by how much `STR_c` would fall if nobody depended on `a`, that is with row `a` of
  `V` set to zero: `STR_a L[a, c] / L[a, a]`, and `STR_a (L[a, a] - 1) / L[a, a]` for `c = a`
  (Sherman and Morrison 1950). It passes on the risk that `a` itself imports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from udfs.systemic_risk import leontief_inverse

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ALL_OTHERS = 0
"""Supplier under which contributions below the floor are summed; BACI has no country 0."""


@dataclass(frozen=True, slots=True)
class SupplyChains:
    """`L` of one product-year of n countries, of which m export.

    countries: codes, ascending, shape (n,); imports: shape (n,), unit of the flows; exporters:
    positions of the exporters among countries, shape (m,); summand: rows of L of the exporters,
    shape (m, n); all other rows of L are those of the identity. extraction: shape (m, n).
    damping: as in `udfs.systemic_risk.Inverse`.
    """

    countries: Ints
    imports: Floats
    exporters: Ints
    summand: Floats
    extraction: Floats
    damping: float


@dataclass(frozen=True, slots=True)
class Contributions:
    """What suppliers add to the risk of importers, one entry a pair, each of shape (p,).

    supplier, country: codes, supplier 0 = all others below the floor together, supplier = country
    the diagonal; summand, extraction: see the module; suppliers: number of suppliers behind an
    entry. Over the entries of a country, summand adds up to its systemic trade risk.
    """

    supplier: Ints
    country: Ints
    summand: Floats
    extraction: Floats
    suppliers: Ints


@dataclass(frozen=True, slots=True)
class Influence:
    """Weight of m suppliers on all other countries, each of shape (m,), >= 0.

    supplier: codes, ascending. For both readings the sum over the others, the mean over the
    others that import, and the mean weighted by their imports; NaN where no other imports.
    """

    supplier: Ints
    summand: Floats
    summand_mean: Floats
    summand_weighted: Floats
    extraction: Floats
    extraction_mean: Floats
    extraction_weighted: Floats


def supply_chains(
    exporters: ArrayLike, importers: ArrayLike, values: ArrayLike, *, stability: ArrayLike
) -> SupplyChains:
    """Return the inverse behind the systemic trade risk of one product in one year.

    Args:
        exporters: country codes, shape (f,).
        importers: country codes, shape (f,).
        values: value of each flow, shape (f,), >= 0; each pair stands once.
        stability: PV of each country, 0 to 100, high = stable, indexed by country code.

    Raises:
        ValueError: an exporter has no PV in [0, 100].
    """
    sources, targets = np.asarray(exporters, np.int64), np.asarray(importers, np.int64)
    flows = np.asarray(values, np.float64)
    countries, position = np.unique(np.concatenate([sources, targets]), return_inverse=True)
    a, c = position[: sources.size], position[sources.size :]
    n = countries.size
    imports: Floats = np.bincount(c, flows, n).astype(np.float64, copy=False)
    selling = np.flatnonzero(np.bincount(a, flows, n) > 0)

    pv = np.asarray(stability, np.float64)[countries[selling]]
    if not ((pv >= 0) & (pv <= 100)).all():
        code = countries[selling][~((pv >= 0) & (pv <= 100))][0]
        raise ValueError(
            f"exporter {code} has no stability in [0, 100]; fill missing scores before"
        )

    share = np.zeros((n, n))
    share[a, c] = flows
    v = share[selling] / np.where(imports > 0, imports, 1.0) * (1.0 - pv / 100.0)[:, None]
    among, damping = leontief_inverse(v[:, selling])
    summand = among @ (damping * v)  # L V = L - I on the rows of the exporters
    rows = np.arange(selling.size)
    summand[rows, selling] += 1.0
    risk, diagonal = summand.sum(axis=0)[selling], summand[rows, selling]
    without_self = summand.copy()
    without_self[rows, selling] -= 1.0
    return SupplyChains(
        countries=countries,
        imports=imports,
        exporters=selling,
        summand=summand,
        extraction=without_self * (risk / diagonal)[:, None],
        damping=damping,
    )


def contributions(chains: SupplyChains, *, floor: float) -> Contributions:
    """List the contributions of at least `floor`, the rest of each importer as supplier 0.

    Countries that import nothing have no systemic trade risk and do not occur as importers.
    """
    n = chains.countries.size
    own = np.zeros(chains.summand.shape, np.bool_)
    own[np.arange(chains.exporters.size), chains.exporters] = True
    importing = chains.imports > 0
    listed = (chains.summand >= floor) & importing & ~own
    rest = (chains.summand > 0) & ~listed & ~own & importing
    a, c = np.nonzero(listed)
    left = np.flatnonzero(rest.any(axis=0))
    buyers = np.flatnonzero(importing)
    diagonal, returning = np.ones(n), np.zeros(n)
    diagonal[chains.exporters] = chains.summand[own]
    returning[chains.exporters] = chains.extraction[own]
    codes = chains.countries
    return Contributions(
        supplier=np.concatenate(
            [codes[chains.exporters[a]], np.full(left.size, ALL_OTHERS), codes[buyers]]
        ),
        country=np.concatenate([codes[c], codes[left], codes[buyers]]),
        summand=np.concatenate(
            [chains.summand[a, c], _sums(chains.summand, rest)[left], diagonal[buyers]]
        ),
        extraction=np.concatenate(
            [chains.extraction[a, c], _sums(chains.extraction, rest)[left], returning[buyers]]
        ),
        suppliers=np.concatenate(
            [np.ones(a.size, np.int64), rest.sum(axis=0)[left], np.ones(buyers.size, np.int64)]
        ),
    )


def _sums(matrix: Floats, where: NDArray[np.bool_]) -> Floats:
    return np.asarray(np.where(where, matrix, 0.0).sum(axis=0), dtype=np.float64)


def influence(chains: SupplyChains) -> Influence:
    """Return the influence of each exporter in both readings, as sum and as two means."""
    others = np.tile(chains.imports > 0, (chains.exporters.size, 1))
    others[np.arange(chains.exporters.size), chains.exporters] = False
    bought = np.where(others, chains.imports, 0.0)

    def averages(matrix: Floats) -> tuple[Floats, Floats, Floats]:
        felt = np.where(others, matrix, 0.0)
        with np.errstate(invalid="ignore"):
            return (
                felt.sum(axis=1),
                felt.sum(axis=1) / others.sum(axis=1),
                (felt * bought).sum(axis=1) / bought.sum(axis=1),
            )

    return Influence(
        chains.countries[chains.exporters],
        *averages(chains.summand),
        *averages(chains.extraction),
    )


Batches = Iterator[pa.RecordBatch]


def contributions_of_batches(
    stability: Mapping[int, Floats], schema: pa.Schema, *, floor: float
) -> Callable[[Batches], Batches]:
    """Build the `mapInArrow` function from `trade_matrices` with material to `contributions`.

    stability: for each year PV by country code.
    """

    def columns(chains: SupplyChains) -> dict[str, NDArray[np.generic]]:
        found = contributions(chains, floor=floor)
        return {
            "supplier": found.supplier,
            "country": found.country,
            "contribution": found.summand,
            "extraction": found.extraction,
            "suppliers": found.suppliers,
        }

    return _of_batches(stability, schema, columns)


def influences_of_batches(
    stability: Mapping[int, Floats], schema: pa.Schema
) -> Callable[[Batches], Batches]:
    """Build the `mapInArrow` function from `trade_matrices` with material to `influences`."""

    def columns(chains: SupplyChains) -> dict[str, NDArray[np.generic]]:
        found = influence(chains)
        return {name: getattr(found, name) for name in Influence.__dataclass_fields__}

    return _of_batches(stability, schema, columns)


def _of_batches(
    stability: Mapping[int, Floats],
    schema: pa.Schema,
    columns: Callable[[SupplyChains], dict[str, NDArray[np.generic]]],
) -> Callable[[Batches], Batches]:
    """Turn each product-year into a batch of `schema`, with material, year and product beside."""

    def compute(batches: Batches) -> Batches:
        for batch in batches:
            for row in batch.to_pylist():
                flows = (np.asarray(row[name]) for name in ("exporters", "importers", "values"))
                chains = supply_chains(*flows, stability=stability[row["year"]])
                found = columns(chains)
                size = len(found["supplier"])
                yield pa.RecordBatch.from_arrays(
                    [
                        pa.array(found[field.name], field.type, from_pandas=True)
                        if field.name in found
                        else pa.repeat(pa.scalar(row[field.name], field.type), size)
                        for field in schema
                    ],
                    schema=schema,
                )

    return compute
