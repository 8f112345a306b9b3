"""The job `links` timed in a session: a list of candidates, and every pair of products.

The candidates are drawn, as many as those of the four materials; what they are does not matter for
time and memory.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import numpy as np
import pandas as pd

from conf.settings import Settings
from jobs.benchmark.measure import Record, folder_bytes, repeated
from jobs.indicators.years import of_years
from jobs.network.chosen import rows_of
from jobs.network.links import ALL, every_pair, loaded_trade
from jobs.pipeline import all_jobs, execute
from jobs.tables import CANDIDATES, INDICATORS, LINKS
from jobs.warehouse import Warehouse
from udfs.seeding import group_rng

MATERIAL = "rare_earths"
INPUTS, OUTPUTS_EACH = 160, 25
"""Candidates that are drawn: the four materials have about as many."""


def candidates(warehouse: Warehouse, settings: Settings, times: int) -> Record:
    """candidates, indicators -> links: every test of a list of pairs."""
    chosen = _with_candidates(warehouse, settings)
    runs = repeated(lambda _: _links(warehouse, chosen), times)
    return Record(runs, facts=_facts(warehouse, MATERIAL))


def every_pair_of_products(warehouse: Warehouse, settings: Settings, times: int) -> Record:
    """The same with --all-pairs: every pair of products by the test that decides."""
    chosen = _with_candidates(warehouse, settings)
    network = chosen.network.model_copy(update={"all_pairs": True})
    chosen = chosen.model_copy(update={"network": network})
    runs = repeated(lambda _: _links(warehouse, chosen), times)
    facts = _facts(warehouse, ALL)
    whole = median(run.seconds for run in runs[1:] or runs)
    return Record(runs, stages=_stages(warehouse, chosen, whole, times), facts=facts)


def _stages(warehouse: Warehouse, settings: Settings, whole: float, times: int) -> dict[str, float]:
    """Split the job's time: reading, and testing every pair without writing, are run alone."""
    indicators = of_years(warehouse.read(INDICATORS), settings)
    loaded = loaded_trade(indicators)

    def test() -> None:
        pairs = every_pair(warehouse.spark, loaded, settings.network)
        pairs.write.format("noop").mode("overwrite").save()

    steps: dict[str, Callable[[], object]] = {
        "read": lambda: loaded_trade(indicators),
        "test": test,
    }
    took = {
        name: median(run.seconds for run in repeated(lambda _, step=step: step(), times))
        for name, step in steps.items()
    }
    return took | {"candidates and writing": whole - sum(took.values())}


def _with_candidates(warehouse: Warehouse, settings: Settings) -> Settings:
    """Write the drawn candidates and return the settings with which they are tested."""
    rng = group_rng(settings.seed, "bench", "candidates")
    listed = warehouse.read(INDICATORS).select("product").distinct().toPandas()["product"]
    codes = np.sort(listed.to_numpy(str))
    inputs = rng.choice(codes, min(INPUTS, codes.size), replace=False)
    pairs = pd.DataFrame(
        [
            (one, other)
            for one in inputs
            for other in rng.choice(codes, min(OUTPUTS_EACH, codes.size), replace=False)
        ],
        columns=["input", "output"],
    )
    rows = pairs.assign(
        **{"material": MATERIAL, "votes": 5, "replicates": 10, "similarity": np.nan},
        **{"depth": 0, "matcher": "pick"},
    )
    warehouse.replace(CANDIDATES, rows_of(warehouse.spark, CANDIDATES, rows))
    return settings.model_copy(update={"materials": (MATERIAL,)})


def _links(warehouse: Warehouse, settings: Settings) -> None:
    execute([all_jobs()["links"]], warehouse, settings)


def _facts(warehouse: Warehouse, material: str) -> dict[str, float]:
    rows = warehouse.read(LINKS).where(f"material = '{material}'").count()
    folder = warehouse.files.folder / LINKS.name / f"material={material}"
    return {"rows": rows, "written": folder_bytes(folder)}
