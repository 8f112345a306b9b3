"""Known steps: an edge, a chain of others, or the last hurdle that was not taken."""

import shutil

import pandas as pd
import pytest

from conf.materials import Material, Seed, Step, material
from conf.settings import materials_available
from jobs.network.edge_dossiers import Evidence, dossiers
from jobs.network.known_steps import NetworkRows, found_steps
from jobs.pipeline import all_jobs, execute
from jobs.tables import COUNTRIES, INDICATORS, PRODUCTS
from jobs.warehouse import Warehouse

SEED = "100000"
LISTED = {f"{n}00000" for n in range(1, 10)}


def rows(**tables):
    columns = {
        "edges": ["input", "output", "votes", "tested"],
        "removed": ["input", "output", "reason", "path"],
        "decided": ["input", "output", "reason"],
        "votes": ["input", "output", "votes", "replicates"],
    }
    return NetworkRows(
        **{name: pd.DataFrame(tables.get(name, []), columns=columns[name]) for name in columns}
    )


def of(inputs, outputs, tables):
    step = Step("it", tuple(inputs.split()), tuple(outputs.split()))
    one = Material("m", "M", (Seed(SEED, "is it"),), (), steps=(step,))
    return found_steps(one, tables, LISTED)[0]


EDGE_ROWS = [(SEED, "200000", 8, False), ("200000", "300000", 6, True)]


def test_an_edge_is_told_with_its_votes_and_its_test():
    found = of("200000 100000", "300000 200000", rows(edges=EDGE_ROWS))
    assert found.state == "edge" and found.path == []
    assert found.edges == [("200000", "300000"), (SEED, "200000")]
    assert found.told == (
        "200000 -> 300000, 6 votes, confirmed by trade; 100000 -> 200000, 8 votes, untested"
    )


def test_the_shortest_way_round_is_told_with_why_there_is_no_edge():
    found = of(SEED, "300000", rows(edges=EDGE_ROWS, votes=[(SEED, "300000", 3, 10)]))
    assert found.state == "path" and found.path == [SEED, "200000", "300000"]
    assert found.told == (
        "by way of 100000 -> 200000 -> 300000; "
        "100000 -> 300000: 3 of 10 answers name it, 5 are needed"
    )


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        (f"{SEED} 999999", "999999 not in the product list of this revision"),
        (f"200000 {SEED}", "taken out, backward"),
        (f"{SEED} 400000", "not confirmed by p_value, limit 0.05"),
        ("500000 400000", "500000 has no answers"),
        (f"{SEED} 500000", "named by no answer"),
        ("600000 700000", "9 of 10 answers name it, but 600000 is not reached from the seeds"),
        ("300000 700000", "9 of 10 answers name it, but it starts in the last tier"),
    ],
)
def test_an_absent_step_says_which_hurdle_it_did_not_take(pair, told):
    tables = rows(
        edges=EDGE_ROWS,
        removed=[("200000", SEED, "backward", "")],
        decided=[
            ("200000", SEED, "confirmed by p_value, limit 0.05"),
            (SEED, "400000", "not confirmed by p_value, limit 0.05"),
        ],
        votes=[
            *(("200000", SEED, 9, 10), (SEED, "400000", 9, 10)),
            *(("600000", "700000", 9, 10), ("300000", "700000", 9, 10)),
        ],
    )
    found = of(*pair.split(), tables)
    assert found.state == "absent" and found.told == f"{pair.replace(' ', ' -> ')}: {told}"


@pytest.mark.parametrize("key", materials_available())
def test_every_material_has_known_steps(key):
    assert len(material(key).steps) >= 2


ABSENT = {
    ("lithium", "primary cells"): "283691 -> 850619: named by no answer",
    ("lithium", "aluminium"): "283691 -> 760110: not confirmed by p_value, limit 0.05",
}
"""Steps without an edge in the network of the sample, and why: a cell with a lithium anode is made
of the metal, two steps on; aluminium is refused by trade in 73 raw materials, in paper mode."""


@pytest.fixture(scope="module")
def networks(sample, sample_settings, tmp_path_factory):
    """The networks of every material on the trade of the sample."""
    root = tmp_path_factory.mktemp("networks")
    for table in (PRODUCTS, COUNTRIES, INDICATORS):
        shutil.copytree(f"{sample.root}/{table.name}", root / table.name)
    settings = sample_settings.model_copy(
        update={
            "warehouse": str(root),
            "materials": tuple(materials_available()),
            "network": sample_settings.network.model_copy(update={"compared_matcher": "none"}),
        }
    )
    warehouse = Warehouse(sample.spark, str(root))
    jobs = ("responses", "matches", "votes", "candidates", "links", "tiers")
    execute([all_jobs()[name] for name in jobs], warehouse, settings)
    return Evidence(warehouse, settings)


@pytest.mark.spark
@pytest.mark.parametrize("key", materials_available())
def test_known_steps_are_in_the_networks_of_the_sample_or_explained(networks, key):
    listed = set(networks.products.descriptions)
    found = found_steps(material(key), networks.rows_of_network(key), listed)
    assert {s.step.name for s in found if s.state != "edge"} == {n for k, n in ABSENT if k == key}
    for step in found:
        assert step.edges or (step.path and ABSENT[key, step.step.name] in step.told)


@pytest.mark.spark
@pytest.mark.parametrize("key", materials_available())
def test_every_edge_of_a_known_step_has_a_dossier_with_the_lines_that_proposed_it(networks, key):
    listed = set(networks.products.descriptions)
    steps = found_steps(material(key), networks.rows_of_network(key), listed)
    pairs = [pair for step in steps for pair in step.edges]
    found = dossiers(networks, key, pairs)
    assert [(one.input, one.output) for one in found] == pairs
    for one in found:
        assert one.status == "in the network" and one.votes >= material(key).votes
        assert max(s.answers for s in one.sentences) <= one.votes
        assert sum(s.answers for s in one.sentences) >= one.votes
