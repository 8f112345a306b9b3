"""Does trade confirm that product j is made from product i? A correlation and its exact null.

Whoever makes j from i should buy i and sell j, so imports of i are correlated with exports of j
over countries. Size alone correlates everything with everything, so the question is whether
rho_ij is large *among products*: hold i, replace j by every other product in turn, and see where
rho_ij stands. That null is enumerated in full, never sampled.

Notation of Klimek, Baum, Gerschberger and Hess (2025), Methods, "Production network": `m` imports
of input i, `e` exports of output j, both over n countries with zeros kept; rho their correlation;
`Z = (rho - null_mean) / null_sd`. The test that permutes countries instead of products is here
for comparison: its moments have closed forms, but it calls size a link.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

Values = Literal["raw", "log1p", "share", "asinh_rca"]
Correction = Literal["bh", "by"]

TIE = 1e-12
"""Correlations closer than this are equal; sums of 230 terms differ by 1e-14 with their order."""
FLAT = 1e-12
"""Spread of a vector, relative to its largest entry, up to which it counts as constant."""
MIN_COUNTRIES = 10
"""Fewest countries that must trade a product for it to be tested or to take part in a null."""
ROWS = 64
"""Input products per block of all pairs: 64 x 5,000 correlations are 2.6 MB."""


@dataclass(frozen=True, slots=True)
class Trade:
    """Imports and exports of products by countries, in any one unit.

    imports, exports: each of shape (n products, n countries), >= 0, a zero where there is no
    trade. Products and countries stand in the same order in both.
    """

    imports: Floats
    exports: Floats

    def __post_init__(self) -> None:
        """Refuse arrays that cannot be trade."""
        if self.imports.ndim != 2 or self.imports.shape != self.exports.shape:
            raise ValueError(
                f"imports have shape {self.imports.shape}, exports {self.exports.shape}; "
                "expected one shape (n products, n countries)"
            )
        for side, values in (("imports", self.imports), ("exports", self.exports)):
            wrong = ~(np.isfinite(values) & (values >= 0))
            if wrong.any():
                row, column = np.argwhere(wrong)[0]
                raise ValueError(
                    f"{side} of product {row} by country {column} are {values[row, column]}; "
                    "expected a finite number >= 0 (fill missing trade with 0)"
                )

    def reversed(self) -> Trade:
        """Return the placebo: exports of i against imports of j, a chain run backwards."""
        return Trade(self.exports, self.imports)


def dense_trade(rows: pd.DataFrame) -> tuple[list[str], list[int], Trade]:
    """Return products, country codes and their trade, both sorted, zeros where no row is.

    rows: product, country, imports_kusd, exports_kusd; each product and country once.
    """
    row, products = pd.factorize(rows["product"], sort=True)
    column, countries = pd.factorize(rows["country"], sort=True)
    sides = []
    for name in ("imports_kusd", "exports_kusd"):
        side = np.zeros((len(products), len(countries)))
        side[row, column] = rows[name].to_numpy()
        sides.append(side)
    return list(products), [int(code) for code in countries], Trade(*sides)


@dataclass(frozen=True, slots=True)
class Profiles:
    """Trade made ready for the test: each row centred and of length 1, so that rho = m . e.

    imports, exports: shape (n products, n countries); rows that cannot be tested are zero.
    importers, exporters: shape (n products,), number of countries with trade on that side.
    inputs, outputs: shape (n products,), True where the imports (exports) vary over countries and
    at least the required number of countries trade the product.
    """

    imports: Floats
    exports: Floats
    importers: Ints
    exporters: Ints
    inputs: Mask
    outputs: Mask


@dataclass(frozen=True, slots=True)
class LinkTests:
    """Tests of pairs of products; all arrays have one shape, (n pairs,) or (n inputs, n products).

    inputs, outputs: row of i and of j in `Profiles`. rho: in [-1, 1], NaN where either side
    cannot be tested. null_mean, null_sd: mean and standard deviation (ddof 0) of rho_ij' over all
    testable outputs j' other than i; the same for all pairs of one input. z: NaN where rho is or
    where the null has no spread. p_value: one-sided, in (0, 1], 1 where rho is NaN. n_countries:
    the smaller of the number of importers of i and of exporters of j.
    """

    inputs: Ints
    outputs: Ints
    rho: Floats
    null_mean: Floats
    null_sd: Floats
    z: Floats
    p_value: Floats
    n_countries: Ints


@dataclass(frozen=True, slots=True)
class CountryNull:
    """Exact moments of rho when the countries of one side are permuted, each of shape (k,).

    rho: as observed, in [-1, 1], NaN where a side is constant. sd: 1/sqrt(n - 1); the mean is 0.
    skewness: NaN for n < 3. z: rho / sd; far from normal for trade, so use sampled p-values.
    """

    rho: Floats
    sd: Floats
    skewness: Floats
    z: Floats


def transformed(values: Floats, *, kind: Values) -> Floats:
    """Return `values`, shape (n products, n countries), on the scale on which to correlate.

    raw: as they are (Klimek et al. 2025). log1p: ln(1 + x). share: of the country's total over
    all products, 0 where it has none. asinh_rca: asinh of Balassa's index
    `(x_pc / X_c) / (X_p / X)`, 0 where the product or the country has no trade; needs all
    products, since the totals are sums over the rows given.
    """
    if kind == "raw":
        return values
    if kind == "log1p":
        return np.asarray(np.log1p(values))
    of_country = values.sum(axis=0)
    share: Floats = np.divide(values, of_country, out=np.zeros_like(values), where=of_country > 0)
    if kind == "share":
        return share
    if kind == "asinh_rca":
        world = float(values.sum())
        of_world = values.sum(axis=1, keepdims=True) / (world if world > 0 else 1.0)
        rca = np.divide(share, of_world, out=np.zeros_like(share), where=of_world > 0)
        return np.asarray(np.arcsinh(rca))
    raise ValueError(f"values {kind!r} are unknown; expected raw, log1p, share or asinh_rca")


def standardised(values: ArrayLike) -> tuple[Floats, Mask]:
    """Centre each row and scale it to length 1; a constant row becomes zeros.

    Returns the rows, shape (k, n), and where they vary, shape (k,).
    """
    rows = np.asarray(values, dtype=np.float64)
    if rows.shape[1] == 0:
        return rows.copy(), np.zeros(rows.shape[0], np.bool_)
    centred = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    varies = length > FLAT * np.abs(rows).max(axis=1, keepdims=True) * np.sqrt(rows.shape[1])
    unit = np.divide(centred, length, out=np.zeros_like(centred), where=varies)
    return unit, varies[:, 0]


def profiles(
    trade: Trade, *, values: Values = "raw", min_countries: int = MIN_COUNTRIES
) -> Profiles:
    """Transform and standardise both sides, and find out which products can be tested."""
    imports, imports_vary = standardised(transformed(trade.imports, kind=values))
    exports, exports_vary = standardised(transformed(trade.exports, kind=values))
    importers = np.count_nonzero(trade.imports, axis=1).astype(np.int64)
    exporters = np.count_nonzero(trade.exports, axis=1).astype(np.int64)
    inputs = imports_vary & (importers >= min_countries)
    outputs = exports_vary & (exporters >= min_countries)
    return Profiles(
        imports=imports * inputs[:, None],
        exports=exports * outputs[:, None],
        importers=importers,
        exporters=exporters,
        inputs=inputs,
        outputs=outputs,
    )


def pairs(given: Profiles, inputs: ArrayLike, outputs: ArrayLike) -> LinkTests:
    """Test listed pairs i -> j, each against the enumerated null of its input.

    Args:
        given: all products; every testable output takes part in every null.
        inputs: rows of the inputs, shape (n pairs,).
        outputs: rows of the outputs, shape (n pairs,).

    The p-value is `(1 + #{j' : rho_ij' >= rho_ij}) / (1 + J)` over the J testable outputs j' that
    are neither i nor j. It is thus the share of products, j among them, that correlate with i at
    least as much as j does: never 0, and uniform for a j drawn at random.
    Source: Klimek et al. (2025), Methods; p that count the observed value: Phipson and Smyth
    (2010), doi:10.2202/1544-6115.1585.
    """
    i, j = np.asarray(inputs, np.int64), np.asarray(outputs, np.int64)
    found = _untested(given, i, j)
    columns, position = _output_columns(given)
    exports = given.exports[columns]
    listed = np.flatnonzero(given.inputs[i])
    listed = listed[np.argsort(i[listed], kind="stable")]
    sources, starts = np.unique(i[listed], return_index=True)
    of_sources = np.split(listed, starts[1:])
    for block in _blocks(sources.size):
        correlations = _correlations(given.imports[sources[block]], exports)
        for row, source, mine in zip(correlations, sources[block], of_sources[block], strict=True):
            null = _null(row, position[source])
            found.null_mean[mine], found.null_sd[mine] = _moments(null)
            mine = mine[given.outputs[j[mine]]]
            rho = row[position[j[mine]]]
            at_least = (null >= rho[:, None] - TIE).sum(axis=1)
            found.rho[mine] = rho
            found.p_value[mine] = _p_values(at_least, null.size, j[mine] != source)
    return _with_z(found)


def null_of_input(given: Profiles, source: int) -> Floats:
    """Return the enumerated null of one input: its correlation with every testable output but it.

    Shape (J,), in the order of the products; empty where the input cannot be tested.
    """
    if not given.inputs[source]:
        return np.empty(0)
    columns, position = _output_columns(given)
    row = _correlations(given.imports[source][None, :], given.exports[columns])[0]
    return _null(row, position[source])


def all_pairs(
    given: Profiles, inputs: ArrayLike | None = None, *, rows: int = ROWS
) -> Iterator[LinkTests]:
    """Test inputs against every output as `pairs` does, a block of inputs at a time.

    Args:
        given: all products.
        inputs: rows of the inputs, shape (k,); None = all products.
        rows: inputs in a block; bounds memory.

    Yields blocks of shape (up to `rows`, n products) in the order of the inputs, with i = j among
    them. A sorted row answers all its counts at once, so a row of J outputs costs J log J.
    """
    n = given.inputs.size
    chosen = np.arange(n) if inputs is None else np.asarray(inputs, np.int64)
    columns, position = _output_columns(given)
    exports = given.exports[columns]
    for block in _blocks(chosen.size, rows):
        sources = chosen[block]
        found = _untested(given, sources[:, None], np.arange(n)[None, :])
        tested = np.flatnonzero(given.inputs[sources])
        correlations = _correlations(given.imports[sources[tested]], exports)
        for place, row in zip(tested, correlations, strict=True):
            source = sources[place]
            null = np.sort(_null(row, position[source]))
            found.null_mean[place], found.null_sd[place] = _moments(null)
            at_least = null.size - np.searchsorted(null, row - TIE, side="left")
            found.rho[place, columns] = row
            found.p_value[place, columns] = _p_values(at_least, null.size, columns != source)
        yield _with_z(found)


def _blocks(size: int, rows: int = ROWS) -> Iterator[slice]:
    return (slice(start, min(start + rows, size)) for start in range(0, size, rows))


def _output_columns(given: Profiles) -> tuple[Ints, Ints]:
    """Return the testable outputs, and the column of each product among them (-1 = none)."""
    columns = np.flatnonzero(given.outputs)
    position = np.full(given.outputs.size, -1, np.int64)
    position[columns] = np.arange(columns.size)
    return columns, position


def _correlations(imports: Floats, exports: Floats) -> Floats:
    return np.clip(imports @ exports.T, -1.0, 1.0)


def _null(row: Floats, own: np.int64) -> Floats:
    """Return the correlations of an input with all outputs but itself (`own` = -1: not there)."""
    return np.delete(row, own) if own >= 0 else row


def _moments(null: Floats) -> tuple[float, float]:
    return (float(null.mean()), float(null.std())) if null.size else (np.nan, np.nan)


def _p_values(at_least: Ints, size: int, in_null: Mask) -> Floats:
    """Return the p-values of pairs; one whose output is in its null counted itself once."""
    return np.asarray((at_least + ~in_null) / (size + ~in_null))


def _untested(given: Profiles, inputs: Ints, outputs: Ints) -> LinkTests:
    inputs, outputs = np.broadcast_arrays(inputs, outputs)
    shape = inputs.shape
    return LinkTests(
        inputs=inputs,
        outputs=outputs,
        rho=np.full(shape, np.nan),
        null_mean=np.full(shape, np.nan),
        null_sd=np.full(shape, np.nan),
        z=np.full(shape, np.nan),
        p_value=np.ones(shape),
        n_countries=np.minimum(given.importers[inputs], given.exporters[outputs]),
    )


def _with_z(found: LinkTests) -> LinkTests:
    """Fill in z where the null has a spread."""
    np.subtract(found.rho, found.null_mean, out=found.z)
    found.z[found.null_sd <= TIE] = np.nan
    np.divide(found.z, found.null_sd, out=found.z, where=found.null_sd > TIE)
    return found


def share_of_years(tests: Sequence[LinkTests], *, level: float = 0.05) -> Floats:
    """Return for each pair the share of years, in [0, 1], with p <= `level`.

    `tests` holds the same pairs year by year. Years in which a pair cannot be tested do not count;
    NaN for a pair that can be tested in no year.
    """
    tested = np.isfinite([one.rho for one in tests])
    passed = tested & (np.array([one.p_value for one in tests]) <= level)
    years = tested.sum(axis=0)
    return np.asarray(passed.sum(axis=0) / np.where(years > 0, years, np.nan))


def country_null(imports: ArrayLike, exports: ArrayLike) -> CountryNull:
    """Return the moments of rho over all n! orders of the countries, for k pairs at once.

    Args:
        imports: of the inputs, shape (k, n).
        exports: of the outputs, shape (k, n).

    Mean 0, variance 1/(n - 1), and `E[rho^3] = g_m g_e / ((n - 1)(n - 2))` with g the population
    skewness of each side, so the skewness is `g_m g_e sqrt(n - 1) / (n - 2)`.
    Source: Pitman (1937), "Significance tests which may be applied to samples from any
    populations. II", on the moments of the correlation coefficient.
    """
    m, imports_vary = standardised(imports)
    e, exports_vary = standardised(exports)
    n = m.shape[1]
    undefined = np.where(imports_vary & exports_vary, 0.0, np.nan)
    rho = np.clip((m * e).sum(axis=1), -1.0, 1.0) + undefined
    sd = np.full(rho.shape, 1 / np.sqrt(n - 1) if n > 1 else np.nan) + undefined
    skewness = np.full(rho.shape, np.nan)
    if n > 2:
        of_sides = n * (m**3).sum(axis=1) * (e**3).sum(axis=1)  # g = sqrt(n) sum(u^3), |u| = 1
        skewness = of_sides * np.sqrt(n - 1) / (n - 2) + undefined
    return CountryNull(rho=rho, sd=sd, skewness=skewness, z=rho / sd)


def country_p_values(
    imports: ArrayLike, exports: ArrayLike, *, draws: int, rng: np.random.Generator
) -> Floats:
    """Return one-sided p-values of an input against k outputs when countries are permuted.

    Args:
        imports: of the input, shape (n,).
        exports: of the outputs, shape (k, n).
        draws: permutations of the countries; each serves all k outputs.
        rng: seeded from the key of the input, so that the order of work does not matter.

    Returns:
        `(1 + #{draws with rho >= rho observed}) / (1 + draws)`, shape (k,), in (0, 1]; 1 where a
        side is constant.
    """
    m, imports_vary = standardised(np.asarray(imports, np.float64)[None, :])
    e, exports_vary = standardised(exports)
    shuffled = rng.permuted(np.repeat(m, draws, axis=0), axis=1)
    extreme = (shuffled @ e.T >= (m @ e.T) - TIE).sum(axis=0)
    return np.where(imports_vary & exports_vary, (1 + extreme) / (1 + draws), 1.0)


def q_values(p_values: ArrayLike, *, method: Correction = "bh") -> Floats:
    """Return the smallest false discovery rate at which each hypothesis is rejected, in (0, 1].

    Args:
        p_values: shape (m,); NaN = not a hypothesis: takes no part and stays NaN.
        method: `bh` Benjamini and Hochberg (1995), for independent or positively dependent
            p-values, as those of one input are; `by` Benjamini and Yekutieli (2001), for any.
    """
    p = np.asarray(p_values, np.float64)
    if method not in ("bh", "by"):
        raise ValueError(f"correction {method!r} is unknown; expected 'bh' or 'by'")
    known = np.flatnonzero(~np.isnan(p))
    if ((p[known] < 0) | (p[known] > 1)).any():
        raise ValueError("a p-value lies outside [0, 1]; pass probabilities, NaN for none")
    ranks = np.arange(1, known.size + 1)
    factor = known.size * ((1 / ranks).sum() if method == "by" else 1.0)
    descending = known[np.argsort(-p[known], kind="stable")]
    q = np.full(p.shape, np.nan)
    q[descending] = np.minimum.accumulate(np.minimum(p[descending] * factor / ranks[::-1], 1.0))
    return q
