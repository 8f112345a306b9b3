"""A small warehouse with a planted link of lithium carbonate, and how jobs are run on it."""

import numpy as np
import pandas as pd

from conf.settings import load
from jobs.network.chosen import ProductList, rows_of
from jobs.pipeline import all_jobs, execute
from jobs.tables import CANDIDATES, FRONTIER, INDICATORS, PRODUCTS, VOTES
from jobs.warehouse import Warehouse

SEED = "283691"
PRODUCTS_HERE = ProductList(
    "HS92",
    {
        **{f"{n:06d}": f"product {n}" for n in range(1, 30)},
        SEED: "Lithium carbonates",
        "282520": "Lithium oxide and hydroxide",
        "850780": "Electric accumulators, n.e.s.",
    },
)


def planted_warehouse(spark, tmp_path):
    """A warehouse in which 283691 is made into 000001, and 000002 is a decoy."""
    warehouse = Warehouse(spark, str(tmp_path / "warehouse"))
    write_trade(warehouse, seed=3)
    listed = pd.DataFrame(PRODUCTS_HERE.descriptions.items(), columns=["product", "description"])
    warehouse.replace(PRODUCTS, rows_of(spark, PRODUCTS, listed.assign(nomenclature="HS92")))
    outputs = ["000001", "000002", "850780"]
    pairs = pd.DataFrame({"output": outputs}).assign(
        **{"material": "lithium", "input": SEED, "votes": 7, "replicates": 10},
        **{"similarity": np.nan, "depth": 0, "matcher": "pick"},
    )
    warehouse.replace(CANDIDATES, rows_of(spark, CANDIDATES, pairs))
    warehouse.replace(VOTES, rows_of(spark, VOTES, pairs))
    ends = pd.DataFrame({"material": ["lithium"], "product": ["000001"], "depth": 1, "votes": 7})
    warehouse.replace(FRONTIER, rows_of(spark, FRONTIER, ends))
    return warehouse


def write_trade(warehouse, *, seed):
    rng = np.random.default_rng(seed)
    codes = [SEED, *(f"{n:06d}" for n in range(1, 30))]
    imports, exports = rng.lognormal(0, 1.5, (2, 30, 40))
    exports[1] = imports[0] * rng.lognormal(0, 0.1, 40)
    exports[2] = rng.permutation(np.sort(exports[2]))
    rows = pd.DataFrame(
        {
            "product": np.repeat(codes, 40),
            "country": np.tile(np.arange(1, 41), 30),
            "imports_kusd": imports.ravel(),
            "exports_kusd": exports.ravel(),
        }
    )
    other = dict.fromkeys(["exposure", "hhi", "str", "rca", "pv_imputed_share"], np.nan)
    rows = rows.assign(year=2020, influence=0.0, damping=1.0, **other)
    warehouse.replace(INDICATORS, rows_of(warehouse.spark, INDICATORS, rows))


def run(warehouse, *jobs, **changes):
    values = {"warehouse": warehouse.root, "materials": "lithium", "country_draws": "9"}
    settings = load({**values, **changes}, environment={})
    execute([all_jobs()[name] for name in jobs or ("links",)], warehouse, settings)
