"""A person's verdicts override the test, and rows of every pair go when they are out of date."""

import networkx as nx
import pandas as pd
import pytest

from conf.problem import Problem
from conf.settings import load
from jobs.network.links import overridden
from jobs.network.verdicts import Verdict, verdict_digest, verdicts
from jobs.report.networks import graph
from jobs.tables import EDGES, LINKS, TIERS
from tests.jobs.network.planted import PRODUCTS_HERE, SEED, planted_warehouse, run, write_trade

spark_needed = pytest.mark.spark
HEAD = "material,input,output,verdict,reason,by,date\n"


@pytest.fixture
def read(tmp_path):
    def of(text, **changes):
        path = tmp_path / "verdicts.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        given = {"verdicts": str(path), "materials": "lithium", **changes}
        return verdicts(load(given, environment={}), PRODUCTS_HERE)

    return of


def test_a_file_is_read_with_its_optional_columns_or_without(read):
    assert read(HEAD + "lithium,283691,850780,accept,cathodes,A. B.,2026-11-02\n") == [
        Verdict("lithium", SEED, "850780", "accept", "cathodes", "A. B.", "2026-11-02")
    ]
    short = (
        b"\xef\xbb\xbfmaterial,input,output,verdict,reason\r\nlithium,283691,850780,reject,no\r\n"
    )
    assert read(short) == [Verdict("lithium", SEED, "850780", "reject", "no")]
    assert read(HEAD) == []
    assert verdicts(load({}, environment={}), PRODUCTS_HERE) == []


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("litium,283691,850780,accept,x", r"line 2: material 'litium' \(nearest: lithium"),
        ("lithium,28369,850780,accept,x", r"input '28369' .*nearest: 283691 Lithium carbonates"),
        ("lithium,283691,850781,accept,x", r"output '850781' .*nearest: 850780 Electric"),
        ("lithium,283691,850780,acept,x", r"verdict 'acept' \(nearest: accept\); expected accept"),
        ("lithium,283691,850780,accept,", "line 2: no reason is given"),
        (
            "lithium,283691,850780,accept,x\nlithium,283691,850780,reject,y",
            "line 3: lithium 283691 850780 has a verdict already",
        ),
    ],
)
def test_a_wrong_row_is_an_error_that_names_what_was_meant(read, row, words):
    with pytest.raises(Problem, match=words):
        read(f"{HEAD}{row}\n")


def test_all_that_is_wrong_is_said_at_once(read):
    with pytest.raises(Problem) as found:
        read(f"{HEAD}litium,28369,850780,acept,\n")
    assert str(found.value).count("line 2") == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("material;input;output\n", "expected material, input, output, verdict, reason"),
        ("material,input,output,verdikt,reason\n", r"'verdikt' \(nearest: verdict\)"),
        ("", "has the columns none"),
        (b"material,\xff\n", "is not UTF-8"),
    ],
)
def test_a_file_of_another_kind_is_an_error(read, text, words):
    with pytest.raises(Problem, match=words):
        read(text)


def test_a_file_that_is_not_there_is_an_error():
    with pytest.raises(Problem, match=r"--verdicts: nowhere\.csv cannot be read"):
        verdict_digest(load({"verdicts": "nowhere.csv"}, environment={}))


def test_a_verdict_overrides_the_tests_that_decide_and_no_other():
    rows = pd.DataFrame(
        [
            ("lithium", SEED, "850780", "paper", False, "not confirmed by p_value, limit 0.05"),
            ("lithium", SEED, "850780", "robust", False, "not confirmed by q_value, limit 0.1"),
            ("lithium", SEED, "850780", "countries", False, "not confirmed by p_value"),
            ("lithium", SEED, "000001", "paper", True, "confirmed by p_value, limit 0.05"),
            ("cobalt", SEED, "850780", "paper", False, "not confirmed by p_value, limit 0.05"),
        ],
        columns=["material", "input", "output", "test", "kept", "reason"],
    )
    given = [
        Verdict("lithium", SEED, "850780", "accept", "cathodes", "A. B."),
        Verdict("lithium", SEED, "000001", "reject", "nonsense"),
    ]
    found = overridden(rows, given, ["paper", "robust"])
    assert found["kept"].tolist() == [True, True, False, False, False]
    assert found["verdict"].tolist() == ["accept", "accept", None, "reject", None]
    assert found["reason"].tolist() == [
        "verdict: accept: cathodes (A. B.); by the test: not confirmed by p_value, limit 0.05",
        "verdict: accept: cathodes (A. B.); by the test: not confirmed by q_value, limit 0.1",
        "not confirmed by p_value",
        "verdict: reject: nonsense; by the test: confirmed by p_value, limit 0.05",
        "not confirmed by p_value, limit 0.05",
    ]


@pytest.fixture
def planted(spark, tmp_path):
    return planted_warehouse(spark, tmp_path)


@spark_needed
def test_accept_brings_in_what_the_test_refused_and_reject_takes_out(planted, tmp_path, capsys):
    jobs = ("links", "tiers", "network_variants")
    run(planted, *jobs)
    before = edges(planted)
    assert set(before) == {"000001", "850780"}  # confirmed, and untested but kept
    assert set(before.values()) == {None}

    file = tmp_path / "verdicts.csv"
    file.write_text(
        f"{HEAD}lithium,{SEED},000001,reject,not so,,\nlithium,{SEED},850780,reject,nor so,,\n"
        f"lithium,{SEED},000002,accept,seen in a plant,A. B.,\nlithium,{SEED},000005,accept,x,,\n"
    )
    capsys.readouterr()
    run(planted, *jobs, verdicts=str(file))
    said = capsys.readouterr().out
    assert edges(planted) == {"000002": "accept"}
    assert f"{SEED} -> 000005 changes nothing: the pair is no candidate" in said
    assert "nearest: 00000" in said and "verdicts: 1 accept, 2 reject" in said
    rows = planted.read(LINKS).where("test = 'paper'").toPandas().set_index("output")
    assert rows.loc["000002", "reason"].startswith(
        "verdict: accept: seen in a plant (A. B.); by the test: not confirmed by p_value"
    )
    assert rows.loc["000002", "p_value"] > 0.05 and rows.loc["000001", "p_value"] <= 0.05
    variants = planted.spark.read.format("delta").load(f"{planted.root}/network_variants")
    tested = variants.where("tier = 1 and variant not like '%no trade test'").collect()
    assert {row.product for row in tested} == {"000002"}
    assert "untested links dropped" in {row.variant for row in tested}

    run(planted, *jobs)
    assert edges(planted) == before


def edges(warehouse):
    return {row.output: row.verdict for row in warehouse.read(EDGES).collect()}


@spark_needed
def test_rejected_edge_stays_out_where_untested_ones_are_let_in(planted, tmp_path):
    file = tmp_path / "verdicts.csv"
    file.write_text(f"{HEAD}lithium,{SEED},850780,reject,no,,\n")
    run(planted, "links", "tiers", "network_variants", untested="drop", verdicts=str(file))
    variants = planted.spark.read.format("delta").load(f"{planted.root}/network_variants")
    let_in = variants.where("variant = 'untested links kept' and tier > 0").collect()
    assert {row.product for row in let_in} == {"000001"}


@spark_needed
def test_a_changed_file_of_verdicts_is_noticed_and_an_unchanged_one_too(planted, tmp_path, capsys):
    file = tmp_path / "verdicts.csv"
    for reason, expected in (("one", "done"), ("one", "up to date"), ("another", "done")):
        file.write_text(f"{HEAD}lithium,{SEED},000002,accept,{reason},,\n")
        capsys.readouterr()
        run(planted, verdicts=str(file))
        assert f"links: {expected}" in capsys.readouterr().out


def all_pairs(warehouse):
    return warehouse.read(LINKS).where("material = 'all'").count()


@spark_needed
def test_rows_of_every_pair_stay_while_they_are_current_and_then_go(planted, capsys):
    run(planted, all_pairs="true")
    assert all_pairs(planted) == 30 * 29
    run(planted, country_draws="19")  # without --all-pairs, and nothing that they depend on
    assert all_pairs(planted) == 30 * 29
    capsys.readouterr()
    run(planted, p_value="0.01")
    assert all_pairs(planted) == 0
    assert "tests of every pair were of other trade, settings or code" in capsys.readouterr().out


@spark_needed
def test_rows_of_every_pair_go_with_the_trade_they_were_made_from(planted):
    run(planted, all_pairs="true")
    write_trade(planted, seed=4)
    run(planted)
    assert all_pairs(planted) == 0 and planted.read(LINKS).count() == 15


def test_an_accepted_edge_is_marked_in_exports():
    tiers = pd.DataFrame(
        {"product": [SEED, "000001"], "tier": [0, 1], "trade_loaded": True, "answered": True}
    )
    edge = {"input": SEED, "output": "000001", "votes": 5, "tested": True, "z": 0.1}
    made = graph(tiers, pd.DataFrame([{**edge, "verdict": "accept"}]), {})
    assert made.edges[SEED, "000001"]["verdict"] == "accept"
    assert (
        "verdict"
        not in graph(tiers, pd.DataFrame([{**edge, "verdict": None}]), {}).edges[SEED, "000001"]
    )
    assert isinstance(made, nx.DiGraph) and TIERS.name == "tiers"
