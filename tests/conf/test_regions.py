"""Membership of the European Union, against published counts of members."""

import re
from datetime import date

import pytest

from conf.regions import FIXED_FROM_YEAR, Membership, last_year, memberships

# Number of member states after each enlargement and withdrawal (European Commission).
MEMBERS_ON_31_DECEMBER = {
    1958: 6, 1972: 6, 1973: 9, 1980: 9, 1981: 10, 1985: 10, 1986: 12, 1994: 12, 1995: 15, 2003: 15,
    2004: 25, 2006: 25, 2007: 27, 2012: 27, 2013: 28, 2019: 28, 2020: 27, 2023: 27,
}  # fmt: skip


def members(region: str, year: int) -> set[str]:
    return {one.iso3 for one in memberships() if one.region == region and one.counts_in(year)}


@pytest.mark.parametrize(("year", "count"), MEMBERS_ON_31_DECEMBER.items())
def test_union_has_as_many_members_as_published(year, count):
    assert len(members("EU", year)) == count


def test_united_kingdom_counts_from_1973_to_2019():
    [uk] = [one for one in memberships() if one.iso3 == "GBR"]
    assert uk == Membership("EU", "GBR", 1973, 2019)


def test_members_of_may_2004_and_croatia_count_in_the_year_of_accession():
    assert {"POL", "CYP", "SVN"} <= members("EU", 2004)
    assert "HRV" not in members("EU", 2012)
    assert "HRV" in members("EU", 2013)


def test_fixed_group_is_the_union_since_2020_in_every_year():
    union = members("EU", 2020)
    assert "GBR" not in union
    for year in (FIXED_FROM_YEAR, 2007, 2030):
        assert members("EU27_2020", year) == union


@pytest.mark.parametrize(
    ("left", "last"),
    [
        (date(2020, 1, 31), 2019),
        (date(2020, 12, 30), 2019),
        (date(2020, 12, 31), 2020),
        (None, None),
    ],
)
def test_the_year_of_a_withdrawal_counts_only_to_its_last_day(left, last):
    assert last_year(left) == last


def test_every_country_is_once_in_a_region_and_named_by_three_letters():
    keys = [(one.region, one.iso3) for one in memberships()]
    assert len(keys) == len(set(keys))
    assert all(re.fullmatch("[A-Z]{3}", iso3) for _, iso3 in keys)
