"""Where can other programs read the networks?

Reads   tiers     (material, product) -> tier, trade_loaded, answered
        edges     (material, input, output) -> votes, tested, z
        products  (nomenclature, product) -> description
Writes  network_MATERIAL.graphml and network_MATERIAL.json in the report folder
"""

from __future__ import annotations

import json
from pathlib import Path

from conf.settings import Settings
from jobs.report.networks import as_json, graphml, network_graph
from jobs.tables import EDGES, PRODUCTS, TIERS
from jobs.warehouse import Warehouse

READS = (TIERS, EDGES, PRODUCTS)
WRITES = ()
SETTINGS = ("materials",)


def is_current(settings: Settings, fingerprint: str) -> bool:
    """True if the files of every material were made from the same inputs."""
    paths = [path for key in settings.materials for path in _paths(settings, key)]
    return all(path.is_file() for path in paths) and all(
        json.loads(path.read_text(encoding="utf-8"))["graph"].get("fingerprint") == fingerprint
        for path in paths
        if path.suffix == ".json"
    )


def _paths(settings: Settings, key: str) -> list[Path]:
    folder = Path(settings.report_dir)
    return [folder / f"network_{key}.{ending}" for ending in ("graphml", "json")]


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Write the network of each material; a file appears whole or not at all."""
    for key in settings.materials:
        made = network_graph(warehouse, key)
        made.graph |= {"material": key, "fingerprint": warehouse.metadata.get("fingerprint", "")}
        for path, text in zip(_paths(settings, key), (graphml(made), as_json(made)), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
