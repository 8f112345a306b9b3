"""Two networks compared: every product is accounted for once on each side."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.problem import Problem
from conf.settings import load
from jobs.network.chosen import ProductList, rows_of
from jobs.network.comparison import TierChange, changes, network_named, print_comparison, told
from jobs.tables import NETWORK_VARIANTS, PRODUCTS
from jobs.warehouse import Warehouse

TIERS = st.dictionaries(st.integers(1, 30).map("{:06d}".format), st.integers(0, 4))


@given(TIERS, TIERS)
def test_every_product_is_accounted_for_once_on_each_side(first, second):
    found = changes(first, second)
    assert [one.tier for one in found] == sorted({*first.values(), *second.values()})
    for one in found:
        assert one.before == sum(tier == one.tier for tier in first.values())
        assert one.after == sum(tier == one.tier for tier in second.values())
    entered = [code for one in found for code in one.entered]
    left = [code for one in found for code in one.left]
    assert set(entered) == set(second) - set(first) and len(entered) == len(set(entered))
    assert set(left) == set(first) - set(second) and len(left) == len(set(left))
    came, went = ([c for one in found for c in getattr(one, k)] for k in ("came", "went"))
    moved = {code for code in set(first) & set(second) if first[code] != second[code]}
    assert sorted(came) == sorted(went) == sorted(moved)


@given(TIERS, TIERS)
def test_backwards_entered_and_left_change_places(first, second):
    there, back = changes(first, second), changes(second, first)
    assert [(one.entered, one.came) for one in there] == [(one.left, one.went) for one in back]


def test_a_small_change_by_hand():
    found = changes({"a": 0, "b": 1, "c": 1, "d": 2}, {"a": 0, "b": 1, "d": 1, "e": 2})
    assert found == [
        TierChange(0, ["a"], [], [], [], []),
        TierChange(1, ["b"], [], ["c"], ["d"], []),
        TierChange(2, [], ["e"], [], [], ["d"]),
    ]


def test_products_that_entered_are_named_up_to_five():
    codes = [f"{n:06d}" for n in range(7)]
    here = ProductList("HS92", {code: f"good {code}" for code in codes})
    assert told(changes({}, dict.fromkeys(codes, 1)), here, here) == [
        "  tier 1, entered: "
        + "; ".join(f"{code} good {code}" for code in codes[:5])
        + "; and 2 more"
    ]


@pytest.fixture(scope="module")
def two(spark, tmp_path_factory):
    """Two warehouses with a network of lithium each, the first with a variant."""
    made = []
    for name, variants in (
        ("first", {"as set": {"283691": 0, "850780": 1}, "robust mode": {"283691": 0}}),
        ("other years", {"as set": {"283691": 0, "320740": 1}}),
    ):
        warehouse = Warehouse(spark, str(tmp_path_factory.mktemp("networks") / name))
        rows = pd.DataFrame(
            [(v, code, tier) for v, net in variants.items() for code, tier in net.items()],
            columns=["variant", "product", "tier"],
        ).astype({"tier": np.int32})
        rows = rows_of(spark, NETWORK_VARIANTS, rows.assign(material="lithium"))
        warehouse.replace(NETWORK_VARIANTS, rows)
        listed = pd.DataFrame({"product": ["283691"], "description": ["carbonate"]})
        warehouse.replace(PRODUCTS, rows_of(spark, PRODUCTS, listed.assign(nomenclature="HS92")))
        made.append(warehouse)
    return made


@pytest.mark.spark
def test_a_word_names_a_material_a_variant_or_another_warehouse(two):
    first, other = two
    assert network_named(first, "lithium")[1] == {"283691": 0, "850780": 1}
    assert network_named(first, "lithium=robust mode")[1] == {"283691": 0}
    where, found = network_named(first, f"lithium@{other.root}")
    assert where.root == other.root and found == {"283691": 0, "320740": 1}


@pytest.mark.spark
@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("litium", "no material 'litium' (nearest: lithium)"),
        ("lithium=robust", "no variant 'robust' (nearest: robust mode)"),
        ("=x", "expected MATERIAL[=VARIANT][@WAREHOUSE]"),
    ],
)
def test_a_network_that_is_not_there_is_told_with_those_that_are(two, word, message):
    with pytest.raises(Problem) as caught:
        network_named(two[0], word)
    assert message in str(caught.value)


@pytest.mark.spark
def test_the_command_prints_what_entered_and_left(two, capsys, monkeypatch):
    monkeypatch.setattr("jobs.session.start", lambda *_: two[0])
    settings = load({"warehouse": two[0].root}, environment={})
    print_comparison(settings, ["lithium", f"lithium@{two[1].root}"])
    out = capsys.readouterr().out
    assert "tier 1, entered: 320740" in out and "tier 1, left: 850780" in out
    with pytest.raises(Problem, match="takes FIRST SECOND"):
        print_comparison(settings, ["lithium"])
