"""The dossier of an edge, from the tables of a small warehouse to the terminal."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from conf.problem import Problem
from conf.settings import load
from jobs.network.chosen import rows_of
from jobs.network.edge_dossiers import Evidence, edge, print_dossier
from jobs.pipeline import all_jobs, execute
from jobs.tables import COUNTRIES, INDICATORS, MATCHES, PRODUCTS, RESPONSES
from tests.jobs.network.planted import PRODUCTS_HERE, SEED, planted_warehouse

pytestmark = pytest.mark.spark

EXACT = 1e-12
"""Sums over 40 countries in another order."""
HOSTILE = "\x1b]0;owned\x07\x1b[2J[bold red]\u202eevil"
"""Sets a terminal's title, clears it, is markup of rich, and turns the direction of writing."""
ANSWERS = ("glass frit\nglass frit for enamels", "glass frit", "none", "batteries")


@pytest.fixture(scope="module")
def evidence(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dossiers")
    warehouse = planted_warehouse(spark, folder)
    verdicts = folder / "verdicts.csv"
    verdicts.write_text(
        f"material,input,output,verdict,reason\nlithium,{SEED},000002,accept,{'[b]seen[/b]'}\n"
    )
    settings = load(
        {
            "warehouse": warehouse.root, "materials": "lithium", "country_draws": "9",
            "verdicts": str(verdicts),
        },
        environment={},
    )  # fmt: skip
    execute([all_jobs()[name] for name in ("links", "tiers")], warehouse, settings)
    named = dict(PRODUCTS_HERE.descriptions) | {SEED: f"Lithium {HOSTILE}"}
    listed = pd.DataFrame(named.items(), columns=["product", "description"])
    warehouse.replace(PRODUCTS, rows_of(spark, PRODUCTS, listed.assign(nomenclature="HS92")))
    names = pd.DataFrame({"country": range(1, 41), "name": [f"{HOSTILE} {n}" for n in range(40)]})
    codes = dict.fromkeys(["iso2", "iso3", "wgi_code"], None)
    warehouse.replace(COUNTRIES, rows_of(spark, COUNTRIES, names.assign(**codes)))
    answers = pd.DataFrame({"replicate": range(1, 5), "text": ANSWERS}).assign(
        material="lithium", input=SEED, prompt_version="1", model="m", nomenclature="HS92",
        asked_at=datetime(2026, 1, 1, tzinfo=UTC), source="recorded",
    )  # fmt: skip
    warehouse.replace(RESPONSES, rows_of(spark, RESPONSES, answers))
    matches = pd.DataFrame(
        [
            ("glass frit", "pick", "000001", None, np.nan),
            ("glass frit for enamels", "pick", "000003", "000001", np.nan),
            ("batteries", "pick", "850780", None, np.nan),
            ("glass frit", "tfidf", "000009", None, 0.4),
        ],
        columns=["line", "method", "product", "second", "similarity"],
    ).assign(nomenclature="HS92", runner_up=None, margin=np.nan, source="recorded")
    warehouse.replace(MATCHES, rows_of(spark, MATCHES, matches))
    return Evidence(warehouse, settings)


def test_a_dossier_holds_the_lines_that_named_the_output_by_either_good(evidence):
    (found,) = edge(evidence, SEED, "000001")
    assert [(s.line, s.answers, s.compared) for s in found.sentences] == [
        ("glass frit", 2, "000009"),
        ("glass frit for enamels", 1, None),
    ]
    assert found.sentences[0].compared_similarity == pytest.approx(0.4)
    assert (found.status, found.votes, found.replicates) == ("in the network", 7, 10)


def test_null_and_traders_are_those_of_brute_force(evidence):
    (found,) = edge(evidence, SEED, "000001")
    trade = evidence.warehouse.read(INDICATORS).toPandas()
    side = {name: trade.pivot(index="product", columns="country", values=name)
            for name in ("imports_kusd", "exports_kusd")}  # fmt: skip
    imports = side["imports_kusd"].loc[SEED]
    others = side["exports_kusd"].drop(index=SEED)
    expected = [np.corrcoef(imports, row)[0, 1] for row in others.to_numpy()]
    np.testing.assert_allclose(np.sort(found.null), np.sort(expected), atol=EXACT)
    assert found.decided["rho"] == pytest.approx(expected[0], abs=EXACT)
    assert found.null.mean() == pytest.approx(found.decided["null_mean"], abs=EXACT)
    at_least = (found.null >= found.decided["rho"] - EXACT).mean()
    assert found.decided["p_value"] == pytest.approx(at_least, abs=EXACT)
    largest = imports.nlargest(5)
    assert [t.country for t in found.importers] == [f"{HOSTILE} {c - 1}" for c in largest.index]
    np.testing.assert_allclose([t.value_kusd for t in found.importers], largest)
    np.testing.assert_allclose([t.share for t in found.importers], largest / imports.sum())


def test_untested_pair_has_no_null_and_no_exporters(evidence):
    (found,) = edge(evidence, SEED, "850780")
    assert not found.tested and found.exporters == [] and len(found.importers) == 5
    assert found.decided["reason"] == "untested, kept: trade of the output not loaded"


def test_a_verdict_is_shown_beside_what_the_test_said(evidence):
    (found,) = edge(evidence, SEED, "000002")
    assert found.decided["verdict"] == "accept" and found.status == "in the network"
    assert "by the test: not confirmed by p_value" in found.decided["reason"]
    assert {test["test"]: test["kept"] for test in found.tests}["paper_reversed"] is False


def test_a_pair_that_is_no_candidate_is_told_what_is_near(evidence):
    with pytest.raises(Problem) as caught:
        edge(evidence, SEED, "000003")
    assert f"{SEED} -> 000003 is no candidate of lithium" in str(caught.value)
    assert f"{SEED} leads to 3 products" in str(caught.value)
    with pytest.raises(Problem, match=r"283690 is not in the HS92 product list .nearest: 283691"):
        edge(evidence, "283690", "000001")


@pytest.mark.parametrize("output", ["000001", "000002", "850780"])
def test_nothing_that_others_wrote_steers_the_terminal(evidence, capsys, output):
    (found,) = edge(evidence, SEED, output)
    print_dossier(found)
    printed = capsys.readouterr().out
    assert {c for c in printed if not c.isprintable()} <= {"\n"}
    assert "[bold red]" in printed and "owned" in printed
    if output == "000002":
        assert "[b]seen[/b]" in printed
    if found.tested:
        assert printed.count("<- rho =") == 1 and "Trade" in printed
