"""Country groups: who belongs, and in which years.

A country counts in a year if it is a member on 31 December of it: the ten members of 1 May 2004
count from 2004, Croatia (1 July 2013) from 2013, and the United Kingdom, which left on
31 January 2020, to 2019. Members of a fixed group count from the first year for which trade data
by the Harmonized System exist.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib import resources
from typing import Any

FIXED_FROM_YEAR = 1988
"""First year of a fixed group: the Harmonized System entered into force on 1 January 1988."""


@dataclass(frozen=True, slots=True)
class Membership:
    """One country in one group, from `from_year` to `to_year`, both included; None = still.

    iso3 is to be joined to every country code that carries it: a code list may have Germany (and
    Belgium) twice, once for the territory of earlier years.
    """

    region: str
    iso3: str
    from_year: int
    to_year: int | None

    def counts_in(self, year: int) -> bool:
        """Whether the country counts as a member in `year`."""
        return self.from_year <= year and (self.to_year is None or year <= self.to_year)


def memberships() -> tuple[Membership, ...]:
    """Return every membership of conf/regions.toml, by region and then country."""
    found = [one for name, region in _regions().items() for one in _of_region(name, region)]
    return tuple(sorted(found, key=lambda one: (one.region, one.iso3)))


def region_codes() -> dict[str, int]:
    """Return what stands for each group in a column of country codes: -1, -2, ... by the file."""
    return {name: -number for number, name in enumerate(_regions(), start=1)}


def _regions() -> dict[str, Any]:
    text = resources.files("conf").joinpath("regions.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _of_region(name: str, region: Mapping[str, Any]) -> list[Membership]:
    if "members" in region:
        return [Membership(name, iso3, FIXED_FROM_YEAR, None) for iso3 in region["members"]]
    exits: Mapping[str, date] = region.get("exit", {})
    return [
        Membership(name, iso3, accession.year, last_year(exits.get(iso3)))
        for iso3, accession in region["accession"].items()
    ]


def last_year(exit_date: date | None) -> int | None:
    """Return the last year on whose 31 December a member that left on `exit_date` still was one.

    A withdrawal takes effect at the end of `exit_date`.
    """
    if exit_date is None:
        return None
    return exit_date.year if (exit_date.month, exit_date.day) == (12, 31) else exit_date.year - 1
