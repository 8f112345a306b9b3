"""A user's CSV replaces what is bundled, and a fault in it is named by line."""

import pytest

from conf.problem import Problem
from conf.settings import load
from jobs.minerals.given import criticality, governance_index, import_reliance, reserves

CODES = {"USA": [842], "CHN": [156], "EU": [97]}


@pytest.fixture
def given(tmp_path):
    def settings(option, text):
        path = tmp_path / f"{option}.csv"
        path.write_text(text, encoding="utf-8")
        return load({option: str(path)}, environment={})

    return settings


def test_bundled_reserves_are_in_kilograms():
    assert reserves(load({}, environment={}))["Cobalt"][0] == pytest.approx(7.2e9)


def test_given_reserves_replace_all_bundled_ones(given):
    found = reserves(given("reserves", "resource,reserves,unit,source\nCobalt,2,kt,mine\n"))
    assert found == {"Cobalt": (2e6, "mine")}


def test_lists_are_scaled_and_averaged(given):
    text = "resource,list,score\nCobalt,A,1\nLithium,A,3\nCopper,A,2\nCobalt,B,9\nCopper,B,5\n"
    found = criticality(given("criticality", text))
    assert {key: (one.score, one.lists) for key, one in found.items()} == {
        "Cobalt": (0.5, 2), "Copper": (0.25, 2), "Lithium": (1.0, 1)}  # fmt: skip


def test_reliance_may_have_years_and_a_net_exporter_is_at_zero(given):
    text = "resource,region,import_reliance,year\nCobalt,USA,0.8,2012\nCobalt,EU,-0.5,\n"
    found = import_reliance(given("import_reliance", text), CODES)
    assert found == {("Cobalt", 842, 2012): 0.8, ("Cobalt", 97): 0.0}


def test_without_a_file_there_is_no_index_and_no_reliance():
    settings = load({}, environment={})
    assert import_reliance(settings, CODES) is None
    assert governance_index(settings, CODES) is None


@pytest.mark.parametrize(
    ("option", "text", "read", "said"),
    [
        ("reserves", "resource,reserves,unit\nCobalt,2,kt\n", reserves, "no column source"),
        ("reserves", "resource,reserves,unit,source\nCobalt,2,lb,x\n", reserves, "line 2: unit"),
        ("reserves", "resource,reserves,unit,source\nCobalt,x,t,x\n", reserves, "line 2: reserves"),
        ("reserves", "resource,reserves,unit,source\nCobolt,2,t,x\n", reserves, "nearest: Cobalt"),
        ("criticality", "resource,list,score\nCobalt,A,1\nCobalt,A,2\n", criticality, "second"),
        ("criticality", "resource,list,score\nCobalt,A,1\nCopper,A,1\n", criticality, "differ"),
        ("import_reliance", "resource,region,import_reliance\nCobalt,USA,80\n",
         lambda s: import_reliance(s, CODES), "at most 1"),
        ("import_reliance", "resource,region,import_reliance\nCobalt,USS,0.8\n",
         lambda s: import_reliance(s, CODES), "nearest: USA"),
        ("governance_index", "iso3,score\nUSA,180\n",
         lambda s: governance_index(s, CODES), "at most 100"),
    ],
)  # fmt: skip
def test_a_fault_is_named(given, option, text, read, said):
    with pytest.raises(Problem, match=said):
        read(given(option, text))


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(Problem, match="cannot be read"):
        reserves(load({"reserves": "nowhere.csv"}, environment={}))
