"""The link test for Spark: blocks of pairs in, rows of results out, the matrix product inside.

`link_tests_of_pairs` serves a list of candidates, `link_tests_of_all_pairs` the whole cube, a block
of inputs at a time. Both take the standardised trade of all products along with the function, some
20 MB for 5,000 products and 230 countries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from udfs.link_test import (
    Correction,
    LinkTests,
    Profiles,
    Trade,
    all_pairs,
    country_null,
    country_p_values,
    pairs,
)
from udfs.seeding import group_rng

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Batches = Iterator[pa.RecordBatch]

COUNTRIES = "countries"
"""Name of the test that permutes countries instead of products."""
COLUMNS = ("rho", "null_mean", "null_sd", "z", "p_value", "n_countries")


@dataclass(frozen=True, slots=True)
class CountryTest:
    """What the test by countries needs: raw trade, and how p-values are drawn.

    products: HS codes in the order of `trade`; they seed the draws. draws: permutations of the
    countries, 0 = no p-value. seed: of the run.
    """

    trade: Trade
    testable: Profiles
    products: Sequence[str]
    draws: int
    seed: int


def link_tests_of_pairs(
    given: Mapping[str, Profiles], by_countries: CountryTest, schema: pa.Schema
) -> Callable[[Batches], Batches]:
    """Return the function that tests batches of pairs by every test of `given` and by countries.

    Args:
        given: test -> all products, made ready for it.
        by_countries: the test that permutes countries.
        schema: of the results: i, j, test and `COLUMNS`.

    The function takes batches with i and j, rows of the products; a batch with all pairs of an
    input does that input's work once.
    """

    def run(batches: Batches) -> Batches:
        for batch in batches:
            i, j = (batch.column(name).to_numpy().astype(np.int64) for name in ("i", "j"))
            for test, profiles in given.items():
                yield _batch(pairs(profiles, i, j), test, schema)
            yield _batch(_country_tests(by_countries, i, j), COUNTRIES, schema)

    return run


def link_tests_of_all_pairs(
    given: Profiles, test: str, schema: pa.Schema
) -> Callable[[Batches], Batches]:
    """Return the function that tests batches of inputs (column i) against every product but i."""

    def run(batches: Batches) -> Batches:
        for batch in batches:
            for block in all_pairs(given, batch.column("i").to_numpy().astype(np.int64)):
                yield _batch(block, test, schema, keep=block.inputs != block.outputs)

    return run


def p_counts_of_all_pairs(given: Profiles) -> Callable[[Batches], Batches]:
    """Return the function that counts how often each p-value occurs among all tested pairs."""

    def run(batches: Batches) -> Batches:
        for batch in batches:
            for block in all_pairs(given, batch.column("i").to_numpy().astype(np.int64)):
                tested = np.isfinite(block.rho) & (block.inputs != block.outputs)
                values, counts = np.unique(block.p_value[tested], return_counts=True)
                yield pa.RecordBatch.from_arrays(
                    [pa.array(values), pa.array(counts.astype(np.int64))],
                    names=["p_value", "pairs"],
                )

    return run


def q_of_counted(p_values: ArrayLike, counts: ArrayLike, *, method: Correction = "bh") -> Floats:
    """Return the q-value of each distinct p-value, shape (k,), in (0, 1].

    The same as `link_test.q_values` of the p-values written out `counts` times each: equal
    p-values have one q-value, that of their last rank.

    Args:
        p_values: distinct and rising, shape (k,).
        counts: how often each occurs, shape (k,).
        method: bh or by, see `q_values`.
    """
    p, rank = np.asarray(p_values, np.float64), np.cumsum(np.asarray(counts, np.int64))
    if not p.size:
        return np.empty(0)
    total = int(rank[-1])
    factor = total * (float((1 / np.arange(1, total + 1)).sum()) if method == "by" else 1.0)
    at_least: Floats = np.minimum.accumulate(np.minimum(p * factor / rank, 1.0)[::-1])[::-1]
    return at_least


def _country_tests(given: CountryTest, i: Ints, j: Ints) -> LinkTests:
    """Test pairs against the permutation of countries: moments in closed form, p-values drawn."""
    null = country_null(given.trade.imports[i], given.trade.exports[j])
    tested = given.testable.inputs[i] & given.testable.outputs[j] & np.isfinite(null.rho)
    p_value = np.full(i.size, np.nan)
    for source in np.unique(i[tested]) if given.draws else ():
        mine = np.flatnonzero(tested & (i == source))
        rng = group_rng(given.seed, COUNTRIES, given.products[source])
        p_value[mine] = country_p_values(
            given.trade.imports[source], given.trade.exports[j[mine]], draws=given.draws, rng=rng
        )
    undefined = np.where(tested, 0.0, np.nan)
    return LinkTests(
        inputs=i,
        outputs=j,
        rho=null.rho + undefined,
        null_mean=undefined,
        null_sd=null.sd + undefined,
        z=null.z + undefined,
        p_value=np.where(tested, p_value, 1.0),
        n_countries=np.minimum(given.testable.importers[i], given.testable.exporters[j]),
    )


def _batch(
    found: LinkTests, test: str, schema: pa.Schema, *, keep: NDArray[np.bool_] | None = None
) -> pa.RecordBatch:
    """Return tests as rows; what is undefined is null."""
    chosen = np.ones(found.rho.shape, np.bool_) if keep is None else keep
    columns = {"i": found.inputs[chosen], "j": found.outputs[chosen]}
    columns |= {name: getattr(found, name)[chosen] for name in COLUMNS}
    arrays = [
        pa.array([test] * np.count_nonzero(chosen))
        if field.name == "test"
        else pa.array(columns[field.name], from_pandas=True).cast(field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
