"""How do two networks differ: which products entered, left, or moved to another tier?

A network is named MATERIAL, MATERIAL=VARIANT (a variant of the table network_variants: votes, mode,
matcher, untested links) or either with @WAREHOUSE, for years, prompts and models of another run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import functions as F
from rich.table import Table as Printed

from conf.problem import Problem, nearest
from conf.settings import Settings
from jobs.network.chosen import ProductList, product_list
from jobs.network.network_variants import AS_SET
from jobs.progress import CONSOLE, say
from jobs.tables import NETWORK_VARIANTS
from jobs.warehouse import Warehouse

FORM = re.compile(r"(?P<material>[^=@]+)(=(?P<variant>[^@]+))?(@(?P<warehouse>.+))?")
NAMED = 5
"""Products of each kind that are named in print."""


@dataclass(frozen=True)
class TierChange:
    """What became of a tier from the first network to the second; codes are sorted.

    stayed: in it in both. entered: in it in the second, nowhere in the first. left: in it in the
    first, nowhere in the second. came, went: in both networks, from or to another tier.
    """

    tier: int
    stayed: list[str]
    entered: list[str]
    left: list[str]
    came: list[str]
    went: list[str]

    @property
    def before(self) -> int:
        """Products of the tier in the first network."""
        return len(self.stayed) + len(self.left) + len(self.went)

    @property
    def after(self) -> int:
        """Products of the tier in the second network."""
        return len(self.stayed) + len(self.entered) + len(self.came)


def changes(first: Mapping[str, int], second: Mapping[str, int]) -> list[TierChange]:
    """Return what became of every tier; both networks are product -> tier."""
    every = sorted({*first, *second})

    def of(tier: int) -> TierChange:
        was = [code for code in every if first.get(code) == tier]
        now = [code for code in every if second.get(code) == tier]
        return TierChange(
            tier=tier,
            stayed=[code for code in was if second.get(code) == tier],
            entered=[code for code in now if code not in first],
            left=[code for code in was if code not in second],
            came=[code for code in now if code in first and first[code] != tier],
            went=[code for code in was if code in second and second[code] != tier],
        )

    return [of(tier) for tier in sorted({*first.values(), *second.values()})]


def network_named(warehouse: Warehouse, word: str) -> tuple[Warehouse, dict[str, int]]:
    """Return the network that a word names, product -> tier, and the warehouse it lies in.

    Raises:
        Problem: there is no such material or variant; those that are there are named.
    """
    form = FORM.fullmatch(word)
    if form is None:
        raise Problem(f"networks: found {word!r}; expected MATERIAL[=VARIANT][@WAREHOUSE].")
    if form["warehouse"]:
        warehouse = Warehouse(warehouse.spark, form["warehouse"])
    variant = form["variant"] or AS_SET
    table = warehouse.read(NETWORK_VARIANTS)
    of_material = table.where(F.col("material") == form["material"])
    rows = of_material.where(F.col("variant") == variant).collect()
    if rows:
        return warehouse, {row["product"]: int(row["tier"]) for row in rows}
    column, found = ("variant", variant)
    known = sorted(row[0] for row in of_material.select("variant").distinct().collect())
    if not known:
        column, found = ("material", form["material"])
        known = sorted(row[0] for row in table.select("material").distinct().collect())
    raise Problem(
        f"networks: {warehouse.root} has no {column} {found!r}{nearest(found, known)}; "
        f"it has {', '.join(known) or 'none'}."
    )


def print_comparison(settings: Settings, words: Sequence[str]) -> None:
    """Print how the second network differs from the first, tier by tier."""
    from jobs.session import start

    if len(words) != 2:
        raise Problem("networks takes FIRST SECOND; see ./spark-submit.sh networks --help.")
    here = start("networks", settings.warehouse)
    (one, first), (other, second) = (network_named(here, word) for word in words)
    products, others = product_list(one), product_list(other)
    if products.nomenclature != others.nomenclature:
        both = f"{products.nomenclature} and {others.nomenclature}"
        say(f"Codes are of {both}, so a product may seem to leave and enter under another code")
    found = changes(first, second)
    say(f"From {words[0]} ({len(first):,} products) to {words[1]} ({len(second):,} products)")
    CONSOLE.print(printed(found))
    for line in told(found, products, others):
        say(line)


def printed(found: Sequence[TierChange]) -> Printed:
    """Return a table of changes, a row a tier."""
    table = Printed("tier")
    for name in ("first", "second", "stayed", "entered", "left", "came", "went"):
        table.add_column(name, justify="right")
    for one in found:
        kinds = (one.stayed, one.entered, one.left, one.came, one.went)
        counts = (one.before, one.after, *map(len, kinds))
        table.add_row(str(one.tier), *map(str, counts))
    return table


def told(found: Sequence[TierChange], first: ProductList, second: ProductList) -> list[str]:
    """Return lines that name some products that entered or left each tier."""
    lines = []
    for one in found:
        for kind, codes, products in (
            ("entered", one.entered, second),
            ("left", one.left, first),
        ):
            named = "; ".join(
                f"{code} {products.descriptions.get(code, '')[:40]}" for code in codes[:NAMED]
            )
            more = f"; and {len(codes) - NAMED} more" if len(codes) > NAMED else ""
            if codes:
                lines.append(f"  tier {one.tier}, {kind}: {named}{more}")
    return lines
