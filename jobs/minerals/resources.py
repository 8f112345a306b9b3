"""Which minerals are in the loaded trade, and what is known of them beside trade?

Reads   trade      (year, exporter, importer, product), for the codes that are loaded
        products   (nomenclature, product)
Writes  resources  (resource) -> coverage, codes_loaded, codes_missing, reserves_kg, criticality
"""

from __future__ import annotations

from typing import Any

from conf.minerals import Mineral, minerals
from conf.settings import Settings
from jobs.minerals import given
from jobs.progress import say
from jobs.tables import PRODUCTS, RESOURCES, TRADE
from jobs.warehouse import Warehouse

READS = (TRADE, PRODUCTS)
WRITES = (RESOURCES,)
SETTINGS = ()


def files(settings: Settings) -> dict[str, str]:
    """The user's lists."""
    return given.digests(settings.minerals.reserves, settings.minerals.criticality)


def coverage_of(mineral: Mineral, nomenclature: str, listed: set[str], traded: set[str]) -> Any:
    """Return (coverage, reason, codes loaded, codes missing) of a mineral.

    listed: codes of the release's product list; traded: codes with trade in the warehouse.
    """
    codes = [code for code in mineral.codes_in(nomenclature) if code in listed]
    loaded = [code for code in codes if code in traded]
    missing = [code for code in codes if code not in traded]
    if not codes:
        left = "; ".join(f"{code}: {why}" for code, why in mineral.left_out.items())
        why = f"{nomenclature} has no code that tells it apart" + (f" ({left})" if left else "")
        return "not loaded", why, loaded, missing
    if not loaded:
        return "not loaded", f"none of {', '.join(codes)} is in trade", loaded, missing
    if missing:
        why = f"{len(loaded)} of {len(codes)} codes are in trade; without {', '.join(missing)}"
        return "partial", why, loaded, missing
    return "complete", "all its codes are in trade", loaded, missing


def rows(nomenclature: str, listed: set[str], traded: set[str], settings: Settings) -> list[Any]:
    """Return a row for each mineral, loaded or not."""
    reserves, criticality = given.reserves(settings), given.criticality(settings)
    table = []
    for one in minerals():
        coverage, reason, loaded, missing = coverage_of(one, nomenclature, listed, traded)
        kilograms, source = reserves.get(one.key, (None, None))
        critical = criticality.get(one.key)
        bundled = [text for code, text in one.bundles.items() if str(code) in loaded]
        table.append(
            {
                "resource": one.key,
                "name": one.name,
                "nomenclature": nomenclature,
                "coverage": coverage,
                "reason": reason,
                "codes_loaded": loaded,
                "codes_missing": missing,
                "bundled_with": "; ".join(bundled) or None,
                "reserves_kg": kilograms,
                "reserves_source": source,
                "printed_unit_factor": one.printed_scarcity_factor,
                "criticality": critical.score if critical else None,
                "criticality_lists": critical.lists if critical else 0,
                "criticality_source": critical.source if critical else None,
            }
        )
    return table


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Compare the codes of every mineral with those in trade, and name what is not loaded."""
    products = warehouse.read(PRODUCTS).select("nomenclature", "product").collect()
    traded = {row[0] for row in warehouse.read(TRADE).select("product").distinct().collect()}
    table = rows(products[0].nomenclature, {row.product for row in products}, traded, settings)
    for coverage in ("complete", "partial", "not loaded"):
        names = [row["resource"] for row in table if row["coverage"] == coverage]
        say(f"  {len(names)} minerals {coverage}{': ' if names else ''}{', '.join(names)}")
    frame = warehouse.spark.createDataFrame(table, RESOURCES.result_schema)
    warehouse.replace(RESOURCES, frame)
