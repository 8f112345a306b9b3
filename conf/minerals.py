"""Minerals of K15: their HS codes, reserves and the units behind the printed scarcity."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from conf.problem import Problem, nearest

REVISIONS = ("HS92", "HS96", "HS02", "HS07", "HS12", "HS17", "HS22")
LISTED = ("HS92", "HS07", "HS17", "HS22")
"""Revisions for which conf/minerals.toml can name codes."""

KILOGRAMS: Mapping[str, float] = {
    "kg": 1.0,
    "t": 1e3,
    "kt": 1e6,
    "Mt": 1e9,
    "Mct": 200.0,  # a carat is 0.2 g
    "Mm3": 169_280.0,  # helium at 15 degrees Celsius and 101.325 kPa as an ideal gas
}
"""Kilograms in a unit of the USGS tables of reserves."""
PRINTED_UNIT_KG = KILOGRAMS["kt"]
"""Unit in which K15's scarcity takes every table to be."""


@dataclass(frozen=True, slots=True)
class Mineral:
    """A mineral: what HS calls it, and what is known of its reserves.

    key: as K15 prints it; codes: by the revision from which they hold; bundles: code -> what else
    it holds; left_out: code -> why it does not count; usgs_unit: of its table of reserves, None
    where that is not known; reserves_kg: None where missing.
    """

    key: str
    name: str
    codes: Mapping[str, tuple[str, ...]]
    bundles: Mapping[str, str]
    left_out: Mapping[str, str]
    usgs_unit: str | None
    reserves_kg: float | None
    reserves_source: str | None
    notes: str

    def codes_in(self, nomenclature: str) -> tuple[str, ...]:
        """Return the codes to look for in data of an HS revision.

        Code lists are checked for HS92, HS07 and HS17. Between two of them both lists are meant,
        as a code that lapsed is not given to other goods: those that the revision does not have
        are not in its data. What the data lack is for the caller to report.
        """
        if nomenclature not in REVISIONS:
            raise Problem(
                f"minerals: {nomenclature} is no HS revision; "
                f"expected one of {', '.join(REVISIONS)}{nearest(nomenclature, REVISIONS)}"
            )
        at = REVISIONS.index(nomenclature)
        before = next(revision for revision in LISTED[::-1] if REVISIONS.index(revision) <= at)
        after = next(revision for revision in LISTED if REVISIONS.index(revision) >= at)
        return tuple(sorted({*self._list_of(before), *self._list_of(after)}))

    def _list_of(self, revision: str) -> tuple[str, ...]:
        earlier = LISTED[: LISTED.index(revision) + 1]
        return next(self.codes[one] for one in reversed(earlier) if one in self.codes)

    @property
    def printed_scarcity_factor(self) -> float | None:
        """What K15's exp(S) is to be multiplied by for traded kg over kg of reserves (E.6 b)."""
        return None if self.usgs_unit is None else PRINTED_UNIT_KG / KILOGRAMS[self.usgs_unit]


def minerals() -> tuple[Mineral, ...]:
    """Return the minerals of conf/minerals.toml, in the order of K15's Table S3."""
    text = resources.files("conf").joinpath("minerals.toml").read_text(encoding="utf-8")
    content = tomllib.loads(text)
    source = f"{content['reserves_source']} ({content['reserves_year']})"
    tables = {key: value for key, value in content.items() if isinstance(value, dict)}
    return tuple(_mineral(key, table, source) for key, table in tables.items())


def mineral(key: str) -> Mineral:
    """Return the mineral that K15 prints as `key`, or that is known by that name."""
    every = minerals()
    for one in every:
        if key in (one.key, one.name):
            return one
    names = sorted({name for one in every for name in (one.key, one.name)})
    raise Problem(
        f"minerals: {key} is none of the {len(every)} minerals of conf/minerals.toml"
        f"{nearest(key, names)}"
    )


def _mineral(key: str, table: Mapping[str, Any], source: str) -> Mineral:
    amount = table.get("reserves")
    return Mineral(
        key=key,
        name=table["name"],
        codes={r: tuple(table[r.lower()]) for r in LISTED if r.lower() in table},
        bundles=table.get("bundles", {}),
        left_out=table.get("left_out", {}),
        usgs_unit=table.get("usgs_unit"),
        reserves_kg=None if amount is None else amount * KILOGRAMS[table["usgs_unit"]],
        reserves_source=None if amount is None else source,
        notes=table.get("notes", ""),
    )
