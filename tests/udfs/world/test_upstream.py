"""Planted truth (d): an unstable supplier from which importers do not buy reaches them via hubs.

What is planted is only seen by the whole inverse: V has no entry for supplier and importer, V
squared reaches the near ones (two stages), V cubed the far ones (three stages), and the transposed
V leads back to nobody. A supplier's hubs stand before it in every chain, since all of its risk goes
through them, so it is compared with all other suppliers.
"""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from tests.udfs.world.worlds import PLACEBO, small_world, stability_by_code
from udfs.contributions import contributions, supply_chains
from udfs.world import Strengths, flows, truth

SEEDS = range(1, 6)
DIRECT = 1e-5
"""Largest direct share of risk from the supplier, V[supplier, importer]: next to no trade."""
MISSED = 0.1
"""Share of the true contributions that a wrong orientation or a missing power may still find."""
LARGEST = 0.9
"""Share of importers on whom the supplier weighs most, apart from its hubs: what others weigh is
not planted, and IPF leaves a few importers with less than their share through the chain."""
EXACT = 1e-12
"""Relative: products of at most three shares, summed in another order."""
STAGES = {"near": 2, "far": 3}


class Links:
    """V of a product-year by plain loops, and the kernel's inverse, over the same countries."""

    def __init__(self, world, year, product):
        trade = flows(world, year, product)
        stability = stability_by_code(world, year)
        n = world.countries.code.size
        place = {int(code): at for at, code in enumerate(world.countries.code)}
        bought = {}
        for importer, value in zip(trade.importers, trade.values_kusd, strict=True):
            bought[importer] = bought.get(importer, 0.0) + value
        self.v = np.zeros((n, n))
        rows = zip(trade.exporters, trade.importers, trade.values_kusd, strict=True)
        for exporter, importer, value in rows:
            share = value / bought[importer]
            self.v[place[exporter], place[importer]] = share * (1 - stability[exporter] / 100)
        found = contributions(
            supply_chains(trade.exporters, trade.importers, trade.values_kusd, stability=stability),
            floor=0.0,
        )
        self.summand = np.zeros((n, n))
        for supplier, country, summand in zip(
            found.supplier, found.country, found.summand, strict=True
        ):
            self.summand[place[int(supplier)], place[int(country)]] = summand


@cache
def world_of(seed):
    return small_world(seed, countries=60, products=60, tier_sizes=(3, 4, 4, 3))


def chain_of(world):
    (found,) = world.chains.values()
    return found


def links_of(world):
    return Links(world, world.settings.years[0], chain_of(world).product)


def every_chain():
    return [(chain_of(world), links_of(world)) for world in map(world_of, SEEDS)]


@pytest.fixture(scope="module", params=SEEDS)
def world(request):
    return world_of(request.param)


@pytest.fixture(scope="module")
def chain(world):
    return chain_of(world)


@pytest.fixture(scope="module")
def links(world):
    return links_of(world)


@pytest.mark.parametrize("reach", STAGES)
def test_importers_buy_nothing_from_the_supplier(chain, links, reach):
    assert links.v[chain.supplier, list(getattr(chain, reach))].max() <= DIRECT


def weighs_most(chain, contribution):
    """Return for each importer whether the supplier outweighs all but its hubs and the importer."""
    found = []
    for reach in STAGES:
        hubs = [chain.hub] if reach == "near" else [chain.hub, chain.second_hub]
        for importer in getattr(chain, reach):
            others = np.delete(contribution[:, importer], [*hubs, chain.supplier, importer])
            found.append(contribution[chain.supplier, importer] > others.max())
    return found


def test_the_supplier_weighs_most_on_importers_beside_its_hubs():
    found = [weighs_most(chain, links.summand) for chain, links in every_chain()]
    assert np.concatenate(found).mean() >= LARGEST


def test_a_transposed_v_misses_the_supplier():
    true, wrong, rank = [], [], []
    for chain, links in every_chain():
        transposed = np.linalg.inv(np.eye(len(links.v)) - links.v.T)
        rank.extend(weighs_most(chain, transposed))
        importers = [*chain.near, *chain.far]
        true.append(links.summand[chain.supplier, importers].sum())
        wrong.append(transposed[chain.supplier, importers].sum())
    assert sum(wrong) < MISSED * sum(true)
    assert np.mean(rank) < MISSED


def test_without_the_last_power_of_v_the_supplier_is_missed(chain, links):
    v, near, far = links.v, list(chain.near), list(chain.far)
    identity = np.eye(len(v))
    one, two = identity + v, identity + v + v @ v
    assert (one[chain.supplier, near] < MISSED * links.summand[chain.supplier, near]).all()
    assert (two[chain.supplier, far] < MISSED * links.summand[chain.supplier, far]).all()


def test_stated_contributions_are_those_of_the_planted_path_and_part_of_the_whole(world, chain):
    stated = truth(world)["upstream_suppliers"]
    code = world.countries.code
    assert len(stated) == len(world.settings.years) * (len(chain.near) + len(chain.far))
    for year, rows in stated.groupby("year"):
        links = Links(world, year, chain.product)
        for row in rows.itertuples():
            importer = int(np.searchsorted(code, row.importer))
            path = [chain.supplier, chain.hub, importer]
            if row.stages == STAGES["far"]:
                path.insert(2, chain.second_hub)
            along = np.prod([links.v[a, c] for a, c in pairwise(path)])
            assert row.supplier == code[chain.supplier]
            assert importer in getattr(chain, "near" if row.stages == 2 else "far")
            assert row.contribution == pytest.approx(along, rel=EXACT)
            assert row.contribution <= links.summand[chain.supplier, importer] * (1 + EXACT)


@pytest.mark.parametrize("strengths", [PLACEBO, Strengths(upstream=0)])
def test_at_strength_zero_there_is_no_chain(strengths):
    world = small_world(1, countries=60, products=60, tier_sizes=(3, 4, 4, 3), strengths=strengths)
    assert not world.chains
    assert truth(world)["upstream_suppliers"].empty
