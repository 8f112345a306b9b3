"""The p-value of a network among its randomisations, where the truth is that it is one of them."""

import numpy as np
import pytest
from scipy.stats import chisquare

from jobs.minerals.randomised_networks import drawn_networks, over_years, summary
from jobs.tables import RESOURCE_FLOWS, RESOURCE_NETWORKS
from udfs.randomisation import SCHEMES
from udfs.resource_rows import Rules, network_rows

pytestmark = pytest.mark.spark

MINERALS, DRAWS, COUNTRIES, LINKS = 400, 19, 10, 30
RING = MINERALS
"""Number of the one mineral that has a signal."""
RING_SIZE, RING_WORLD = 3, 40
"""Countries in the ring and in its world, so many that hardly a draw holds a ring by chance."""
YEAR = 2010
EVERY_LINK = Rules(share_filter=0.0)
LEAST_P = 1e-3
"""Of a true hypothesis; the seed is fixed, so the test either always passes or never."""
CHANCE = 3.0
"""Standard deviations by which a share of minerals may miss its expectation."""


def flows(number, cells, values, stability):
    """A row of resource_flows; cells are importer * (n - 1) + exporter among the others."""
    n = stability.size
    importers, other = np.divmod(cells, n - 1)
    return {
        "resource": f"mineral {number}",
        "year": YEAR,
        "exporters": (other + (other >= importers)).tolist(),
        "importers": importers.tolist(),
        "values": values.tolist(),
        "quantities": [None] * len(cells),
        "priced_values": [0.0] * len(cells),
        "countries": list(range(n)),
        "stability": stability.tolist(),
        "governance": None,
    }


def without_signal(number, rng):
    """Links anywhere, values independent of them: as likely as each of its draws in any scheme."""
    cells = np.sort(rng.choice(COUNTRIES * (COUNTRIES - 1), LINKS, replace=False))
    return flows(number, cells, rng.lognormal(0, 2, LINKS), rng.uniform(0, 99, COUNTRIES))


def ring(number, rng):
    """The only unstable countries buy nearly all from each other, in a ring: the largest lambda."""
    pairs = RING_WORLD * (RING_WORLD - 1)
    importers = np.arange(RING_SIZE)
    before = (importers - 1) % RING_SIZE
    around = importers * (RING_WORLD - 1) + before - (before > importers)
    rest = rng.choice(np.setdiff1d(np.arange(pairs), around), pairs // 4, replace=False)
    cells = np.sort(np.concatenate([around, rest]))
    values = np.where(np.isin(cells, around), 1e3, 1.0)
    return flows(number, cells, values, np.where(np.arange(RING_WORLD) < RING_SIZE, 5.0, 99.0))


@pytest.fixture(scope="module")
def p_values(spark):
    """P by scheme, indicator and mineral, as the jobs compute it."""
    rng = np.random.default_rng(11)
    rows = [without_signal(number, rng) for number in range(MINERALS)] + [ring(RING, rng)]
    trade = spark.createDataFrame(rows, RESOURCE_FLOWS.result_schema)
    coverage = {row["resource"]: "complete" for row in rows}
    indicators = network_rows({}, coverage, EVERY_LINK)
    observed = trade.mapInPandas(indicators, RESOURCE_NETWORKS.result_schema)
    drawn = drawn_networks(trade, (0,), EVERY_LINK, draws=DRAWS, seed=1)
    found = summary(over_years(drawn), observed).toPandas()
    return found.set_index(["scheme", "indicator", "resource"])["p_value"].sort_index()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_p_is_uniform_without_signal(p_values, scheme):
    found = p_values[scheme, "lambda"].drop(f"mineral {RING}")
    ranks = np.rint(found * (DRAWS + 1)).astype(int)
    seen = np.bincount(ranks, minlength=DRAWS + 2)[1:]
    assert seen.sum() == MINERALS
    assert chisquare(seen).pvalue > LEAST_P


@pytest.mark.parametrize("scheme", ["degree", "in_degree"])
@pytest.mark.parametrize("level", [0.05, 0.2, 0.5])
def test_p_of_an_indicator_with_ties_is_small_no_more_often_than_it_says(p_values, scheme, level):
    found = p_values[scheme, "scc_share"].drop(f"mineral {RING}")
    assert (found <= level).mean() <= level + CHANCE * np.sqrt(level * (1 - level) / MINERALS)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_p_is_the_least_there_is_where_value_runs_in_a_ring(p_values, scheme):
    assert p_values[scheme, "lambda", f"mineral {RING}"] == pytest.approx(1 / (DRAWS + 1))
