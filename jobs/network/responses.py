"""What is made from each product, as a language model answers, ten times each?

Reads   products   (nomenclature, product) -> description
Writes  responses  (material, input, replicate, prompt_version, model) -> text, source, ...

Answers come from recordings (conf/recordings, --recordings), from what an earlier run asked, and
with --answers live from an endpoint or with --answers batch from files of its batch interface.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from conf.settings import Settings
from jobs.network.chosen import (
    ProductList,
    chosen_materials,
    materials_part,
    product_list,
    rows_of,
    seed_products,
)
from jobs.network.matches import pick_digests, saved_lines_in
from jobs.network.questions import asked, saved_in
from jobs.network.recordings import SAVED, digests, material_digests
from jobs.progress import say
from jobs.tables import PRODUCTS, RESPONSES
from jobs.warehouse import Warehouse

READS = (PRODUCTS,)
WRITES = (RESPONSES,)
SETTINGS = ("prompt_version", "answers")

part = materials_part


def files(settings: Settings) -> dict[str, str]:
    """Digest of the recordings, of the materials and of what was asked before.

    Where missing answers are asked for, what decides which are missing counts too.
    """
    network = settings.network
    found = digests(settings, "responses_*.jsonl") | material_digests(settings)
    saved = Path(settings.warehouse) / SAVED
    if saved.is_file():
        found["saved"] = hashlib.sha256(saved.read_bytes()).hexdigest()
    if network.answers != "recorded":
        found["asked for"] = f"{network.model} {network.matcher} {network.votes} {network.depth}"
        found |= pick_digests(settings)
    return found


def usable(
    answers: pd.DataFrame, products: ProductList, materials: tuple[str, ...]
) -> pd.DataFrame:
    """Return the answers about products of the list, for the materials asked for.

    An answer given for another HS revision counts where the code exists in the one loaded.
    """
    mine = answers[answers["material"].isin(materials)]
    known = mine["input"].isin(products.descriptions.keys())
    foreign = sorted(set(mine["nomenclature"]) - {products.nomenclature})
    if foreign:
        lost = mine.loc[~known, "input"].nunique()
        say(
            f"  Answers are for {', '.join(foreign)}, the data for {products.nomenclature}: taken "
            f"over by code; {lost} products have no such code now. A code may have changed meaning."
        )
    return mine[known]


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Check the seeds, gather the answers and replace those of the materials asked for."""
    products = product_list(warehouse)
    for chosen in chosen_materials(settings):
        seed_products(chosen, products)
    answers = usable(
        asked(settings, products, saved_in(warehouse.files), saved_lines_in(warehouse.files)),
        products,
        settings.materials,
    )
    rows = answers.sort_values(["material", "input", "replicate"])
    warehouse.replace(RESPONSES, rows_of(warehouse.spark, RESPONSES, rows), part(settings))
