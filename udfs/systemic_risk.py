"""Systemic trade risk: how much a country's imports rest on unstable suppliers, near and far.

Numerics first (arrays of one product-year in, a frozen result out), then the function Spark
calls.

Notation of Klimek, Baum, Gerschberger and Hess (2025): `V[a, c]` is the share of exporter `a` in
the imports of `c`, times `1 - PV_a/100`; `L = (I - V)^-1 = I + V + V^2 + ...`; systemic trade risk
is `x = 1 + V'x`, the column sums of `L`; the influence of `a` is the row sum of `L` without
`L[a, a]`. The printed formula reads rows for columns; why this is the intended one is shown in the
README.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import lapack

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

SINGULAR_FROM = 1 - 1e-9
"""A spectral radius of V from which I - V counts as singular."""
DAMPED_RADIUS = 0.85
"""Spectral radius to which a singular V is scaled down; the result says so in `damping`."""
HALVED_FROM = 80
"""Countries from which the solve in halves is the faster one."""
GETRI_BLOCK = 64
"""Columns of workspace for LAPACK's blocked getri; SciPy's default is 1.7 times slower."""


@dataclass(frozen=True, slots=True)
class Inverse:
    """What indicators need of `L = (I - damping V)^-1`, each of shape (n,).

    columns: column sums, >= 1; off_diagonal_rows: row sums without the diagonal, >= 0, as exact
    for a small supplier as for a large one; damping: 1 where V was used as it is, less than 1
    where I - V was singular and V was scaled down.
    """

    columns: Floats
    off_diagonal_rows: Floats
    damping: float


@dataclass(frozen=True, slots=True)
class ProductYear:
    """Indicators of one product-year, each of shape (n,), one entry a country that trades it.

    countries: codes, ascending; imports, exports: in the unit of the flows; exposure: imports /
    (imports + exports), in [0, 1]; hhi: in (0, 1]; systemic_risk: >= 1; influence: >= 0;
    imputed_share: share of imports whose supplier's PV is imputed, in [0, 1]; of imports and not
    of V, in which a supplier that was given a PV of 100 would not count. exposure is NaN
    where a country trades only zero values; hhi, systemic_risk and imputed_share are NaN where
    it imports nothing. damping: see `Inverse`.
    """

    countries: Ints
    imports: Floats
    exports: Floats
    exposure: Floats
    hhi: Floats
    systemic_risk: Floats
    influence: Floats
    imputed_share: Floats
    damping: float


def spectral_radius(v: Floats) -> float:
    """Return the largest absolute eigenvalue of `v`, shape (n, n); 0 for n = 0."""
    return float(np.abs(np.linalg.eigvals(v)).max()) if v.size else 0.0


def damping_of(v: Floats) -> float:
    """Return the factor that makes I - factor * V safely regular: 1 unless V's radius reaches 1.

    The largest column sum bounds the radius, so the eigenvalues are only asked for where a
    country imports from suppliers without any stability (methods: guard for a singular system).
    """
    if v.shape[0] == 0 or v.sum(axis=0).max() < SINGULAR_FROM:
        return 1.0
    radius = spectral_radius(v)
    return 1.0 if radius < SINGULAR_FROM else DAMPED_RADIUS / radius


def leontief_inverse(v: ArrayLike) -> tuple[Floats, float]:
    """Return `L = (I - damping V)^-1`, shape (n, n), and the damping that was needed.

    `v` has exporters in rows and importers in columns and entries in [0, 1].
    """
    v = np.asarray(v, dtype=np.float64)
    damping = damping_of(v)
    return _inverse_of_identity_minus(v * damping), damping


def _inverse_of_identity_minus(v: Floats) -> Floats:
    n = v.shape[0]
    if n == 0:
        return np.empty((0, 0))
    system = np.negative(v, order="F")
    system.flat[:: n + 1] += 1.0
    lu, pivots, failed = lapack.dgetrf(system, overwrite_a=True)
    inverse, failed_too = lapack.dgetri(lu, pivots, GETRI_BLOCK * n, True)[:2]
    if failed or failed_too:
        raise np.linalg.LinAlgError(f"I - V is singular for {n} countries; expected radius < 1")
    return np.asarray(inverse, dtype=np.float64)


def invert_sums(
    sellers: Ints, buyers: Ints, weights: Floats, exports: Mask, imports: Mask
) -> Inverse:
    """Return column sums and off-diagonal row sums of `(I - V)^-1`, solving only where V has loops.

    V is given by its entries: `V[sellers, buyers] = weights`, each of shape (m,). `exports` and
    `imports`, shape (n,), say which countries do.

    Only the core, countries that both export and import, can lie on a loop or in the middle of a
    chain. With K the core, S the pure suppliers, N the pure importers, x column sums and y row
    sums, `x_K = L_KK' (1 + V_SK' 1)`, `x_N = 1 + V_EN' x_E` and `y_K = L_KK (1 + V_KN 1)`, so one
    inverse of the size of the core serves all. Row sums without the diagonal are
    `V y - (diag L - 1)`: what a supplier passes on, less what of it comes back to itself. Neither
    has the 1 of the diagonal, in which the digits of a small supplier would be lost.
    """
    n = exports.size
    core = np.flatnonzero(exports & imports)
    ends = np.flatnonzero(imports & ~exports)
    position = np.full(n, -1)
    position[core] = np.arange(core.size)
    row, column = position[sellers], position[buyers]
    inside = (row >= 0) & (column >= 0)
    loops = np.zeros((core.size, core.size))
    loops[row[inside], column[inside]] = weights[inside]
    damping = damping_of(loops)
    if damping != 1.0:
        weights, loops = weights * damping, loops * damping
    crossing = np.where(inside, 0.0, weights)
    columns = 1.0 + _sums(buyers, crossing, n)
    rows = 1.0 + _sums(sellers, crossing, n)
    returning = np.zeros(n)
    columns[core], rows[core], returning[core] = _solve_core(loops, columns[core], rows[core])
    columns[ends] = 1.0 + _sums(buyers, weights * columns[sellers], n)[ends]
    passed_on = _sums(sellers, weights * rows[buyers], n)
    return Inverse(columns, np.maximum(passed_on - returning, 0.0), damping)


def _sums(groups: Ints, weights: Floats, n: int) -> Floats:
    """Return the sum of the weights of each group, shape (n,)."""
    return np.bincount(groups, weights, n).astype(np.float64, copy=False)


def _solve_core(v: Floats, from_left: Floats, from_right: Floats) -> tuple[Floats, Floats, Floats]:
    """Return `from_left L`, `L from_right` and `diag L - 1` for `L = (I - v)^-1`, shapes (n,).

    Large systems are cut into halves, `[[A, -B], [-C, D]]` with `P = A^-1` and
    `S = (D - C P B)^-1`: matrix products run nearer to the machine's best than an inverse, and
    neither the off-diagonal blocks of L nor all of its first are needed. As `L >= 0` bounds P and
    S entry by entry, no pivot is needed between halves.
    """
    n = v.shape[0]
    if n < HALVED_FROM:
        inverse = _inverse_of_identity_minus(v)
        return from_left @ inverse, inverse @ from_right, _diagonal_less_one(v, inverse)
    h = n // 2
    b, c = v[:h, h:], v[h:, :h]
    p = _inverse_of_identity_minus(v[:h, :h])
    pb, cp = p @ b, c @ p
    seen_from_second = v[h:, h:] + c @ pb
    s = _inverse_of_identity_minus(seen_from_second)
    pbs = pb @ s
    left = (from_left[h:] + from_left[:h] @ pb) @ s
    right = s @ (from_right[h:] + cp @ from_right[:h])
    return (
        np.concatenate([from_left[:h] @ p + left @ cp, left]),
        np.concatenate([p @ from_right[:h] + pb @ right, right]),
        np.concatenate(
            [
                _diagonal_less_one(v[:h, :h], p) + np.einsum("ij,ji->i", pbs, cp),
                _diagonal_less_one(seen_from_second, s),
            ]
        ),
    )


def _diagonal_less_one(v: Floats, inverse: Floats) -> Floats:
    """Return `diag L - 1`, shape (n,), as `diag(V L)`, in which no digits cancel."""
    return np.asarray(np.einsum("ij,ji->i", v, inverse), np.float64)


def product_year(
    exporters: ArrayLike,
    importers: ArrayLike,
    values: ArrayLike,
    *,
    stability: ArrayLike,
    imputed: ArrayLike | None = None,
) -> ProductYear:
    """Compute exposure, HHI, systemic trade risk and influence of one product in one year.

    Args:
        exporters: country codes, shape (m,), small non-negative integers.
        importers: country codes, shape (m,).
        values: value of each flow, shape (m,), >= 0 and finite; each pair stands once.
        stability: PV of each country, 0 to 100, high = stable, indexed by country code.
        imputed: True where that PV was not observed, indexed by country code; None = observed.

    Raises:
        ValueError: negative, NaN or infinite values, self-trade, a pair that stands twice, or an
            exporter without a PV in [0, 100].

    Source: Klimek et al. (2025), Methods, "Exposure", "HHI", "Systemic trade risk", "Influence".
    """
    sources, targets = np.asarray(exporters, np.int64), np.asarray(importers, np.int64)
    flows, pv = np.asarray(values, np.float64), np.asarray(stability, np.float64)
    _check_flows(sources, targets, flows)

    present = np.zeros(int(max(sources.max(initial=-1), targets.max(initial=-1))) + 1, np.bool_)
    present[sources] = present[targets] = True
    countries = np.flatnonzero(present)
    n = countries.size
    position = np.cumsum(present) - 1
    a, c = position[sources], position[targets]

    bought = _sums(c, flows, n)
    sold = _sums(a, flows, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_import = np.where(bought > 0, 1.0 / bought, 0.0)
        exposure = bought / (bought + sold)
    pairs = np.zeros((n, n), np.bool_)
    pairs[a, c] = True
    if np.count_nonzero(pairs) != a.size:
        raise ValueError("a pair of exporter and importer stands more than once in a product-year")
    share = flows * per_import[c]
    risk = np.zeros(n)
    exporting = sold > 0
    _check_stability(countries[exporting], pv)
    risk[exporting] = 1.0 - pv[countries[exporting]] / 100.0
    sums = invert_sums(a, c, share * risk[a], exporting, bought > 0)

    nothing = np.where(bought > 0, 0.0, np.nan)
    unsure = share * np.asarray(imputed, np.bool_)[sources] if imputed is not None else 0.0 * share
    return ProductYear(
        countries=countries,
        imports=bought,
        exports=sold,
        exposure=exposure,
        hhi=_sums(c, np.square(share), n) + nothing,
        systemic_risk=sums.columns + nothing,
        influence=sums.off_diagonal_rows,
        imputed_share=np.minimum(_sums(c, unsure, n), 1.0) + nothing,
        damping=sums.damping,
    )


def _check_flows(sources: Ints, targets: Ints, flows: Floats) -> None:
    if not np.isfinite(flows).all() or (flows < 0).any():
        bad = flows[~(np.isfinite(flows) & (flows >= 0))][0]
        raise ValueError(f"a flow has the value {bad}; expected a finite number >= 0")
    if (sources == targets).any():
        code = sources[sources == targets][0]
        raise ValueError(f"country {code} trades with itself; reject such rows before")


def _check_stability(exporters: Ints, pv: Floats) -> None:
    known = exporters[exporters < pv.size]
    unknown = [*known[~((pv[known] >= 0) & (pv[known] <= 100))], *exporters[exporters >= pv.size]]
    if unknown:
        raise ValueError(
            f"{len(unknown)} exporters have no stability in [0, 100], first {unknown[0]}; "
            "fill missing scores before (udfs.stability.fill)"
        )


def comparative_advantage(
    exports: Floats, country_exports: Floats, product_exports: float, world_exports: float
) -> Floats:
    """Return Balassa's `RCA = (X_cp / X_c) / (X_p / X)`, shape (n,), >= 0.

    NaN where the country exports nothing at all or nobody exports the product.
    Source: Balassa (1965); Klimek et al. (2025), Methods, "Comparative advantage".
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        advantage = (exports / country_exports) / (product_exports / world_exports)
    return np.where((country_exports > 0) & (product_exports > 0), advantage, np.nan)


@dataclass(frozen=True, slots=True)
class YearContext:
    """What a year's products share, each array indexed by country code.

    stability: PV, 0 to 100; imputed: True where PV was filled; country_exports: exports over all
    products loaded, in the unit of the flows.
    """

    stability: Floats
    imputed: NDArray[np.bool_]
    country_exports: Floats


Batches = Iterator[pa.RecordBatch]


def indicators_of_batches(
    years: Mapping[int, YearContext], schema: pa.Schema
) -> Callable[[Batches], Batches]:
    """Build the `mapInArrow` function from rows of `trade_matrices` to rows of `indicators`."""

    def compute(batches: Batches) -> Batches:
        for batch in batches:
            if batch.num_rows:
                yield _indicators_of_batch(batch, years, schema)

    return compute


def _indicators_of_batch(
    batch: pa.RecordBatch, years: Mapping[int, YearContext], schema: pa.Schema
) -> pa.RecordBatch:
    columns: dict[str, list[Any]] = {name: [] for name in schema.names}
    all_years = batch.column("year").to_numpy()
    offsets = batch.column("exporters").offsets.to_numpy()
    exporters = batch.column("exporters").values.to_numpy()
    importers = batch.column("importers").values.to_numpy()
    values = batch.column("values").values.to_numpy()
    sizes = np.empty(batch.num_rows, np.int64)
    for row, year in enumerate(all_years):
        context = years[int(year)]
        flows = slice(offsets[row], offsets[row + 1])
        found = product_year(
            exporters[flows],
            importers[flows],
            values[flows],
            stability=context.stability,
            imputed=context.imputed,
        )
        sizes[row] = found.countries.size
        columns["country"].append(found.countries)
        columns["imports_kusd"].append(found.imports)
        columns["exports_kusd"].append(found.exports)
        columns["exposure"].append(found.exposure)
        columns["hhi"].append(found.hhi)
        columns["str"].append(found.systemic_risk)
        columns["influence"].append(found.influence)
        columns["pv_imputed_share"].append(found.imputed_share)
        columns["damping"].append(np.full(found.countries.size, found.damping))
        columns["rca"].append(
            comparative_advantage(
                found.exports,
                context.country_exports[found.countries],
                found.exports.sum(),
                context.country_exports.sum(),
            )
        )
    repeated = np.repeat(np.arange(batch.num_rows), sizes)
    columns["year"] = [all_years[repeated]]
    arrays = [
        batch.column("product").take(pa.array(repeated))
        if field.name == "product"
        else pa.array(np.concatenate(columns[field.name]), field.type, from_pandas=True)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
