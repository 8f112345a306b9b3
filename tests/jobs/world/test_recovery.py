"""What is planted in a generated world comes back through the jobs that users run.

`tests/udfs/world` tests each truth over many worlds; here one world goes all the way from its
recipe to clusters and growth, beside one in which groups, growth and chains have no strength.
"""

from dataclasses import dataclass

import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from conf.settings import load
from jobs.pipeline import all_jobs, execute, needed_for
from jobs.tables import CONTRIBUTIONS, COUNTRY_CLUSTERS, GROWTH, LINKS, TIERS
from jobs.warehouse import Warehouse
from jobs.world.generate import generate

pytestmark = pytest.mark.spark

MATERIAL = "rare_earths"
GIVEN = {
    "world_files": "none",
    "materials": MATERIAL,
    "link_mode": "robust",
    "cluster_repeats": "0",
}
PLANTED = {"world_products": "300", "years": "2007-2012,2018-2023"}
"""Groups are found less well where planted products are a third of the world, and in some worlds
trade misses the product that has the chain."""
NOTHING = {"world_products": "180", "years": "2008-2011,2020-2023"} | {
    f"strength_{signal}": "0" for signal in ("groups", "growth", "upstream")
}
RECALL, FALSE = 0.8, 0.2
"""Least share of true pairs kept, and largest share of kept pairs that is false: the rate of 0.1
and two standard errors of 60 pairs."""
RECOVERED, CHANCE = 0.9, 0.05
"""Adjusted Rand index of countries with the planted groups, and at most without groups."""
SIGMAS = 3
"""Standard errors of a slope; one in 400 is farther off."""
MISFILED = 0.05
"""What slopes may be off since clusters are not quite the groups: the extreme countries, with the
riskiest imports, grow by 0.2 more than others and mostly stand in another's cluster here."""
MOST_BEHIND = 0.9
"""Share of importers behind whose risk the planted supplier stands, right after its hubs."""
SLOPES = {"rca": "ln_rca", "exposure": "exposure", "hhi": "hhi", "str": "str"}


@dataclass(frozen=True)
class Recovered:
    """A warehouse and the folder that it was made from."""

    warehouse: Warehouse
    folder: object

    def table(self, table):
        return self.warehouse.read(table).toPandas()

    def truth(self, name):
        codes = {"product": str, "input": str, "output": str}
        return pd.read_csv(self.folder / "truth" / f"{name}.csv", dtype=codes)

    def slopes(self):
        """Return coefficient and standard error of the model that has what was planted."""
        found = self.table(GROWTH).set_index(["model", "term"])
        return found.loc["ln, no inputs, ols"].loc[list(SLOPES), ["coefficient", "std_error"]]

    def agreement(self):
        found = self.table(COUNTRY_CLUSTERS).dropna(subset="cluster")
        both = found.merge(self.truth("country_groups"), on="country")
        return adjusted_rand_score(both["group"], both["cluster"])


def recovered(spark, folder, given):
    asked = GIVEN | given
    generate(spark, load(asked, environment={}), folder / "world")
    asked |= {
        "baci": str(folder / "world"),
        "wgi": str(folder / "world" / "wgi.csv"),
        "recordings": str(folder / "world" / "recordings"),
        "warehouse": str(folder / "warehouse"),
    }
    settings = load(asked, environment={})
    warehouse = Warehouse(spark, settings.warehouse)
    wanted = {job.name for name in ("growth", "contributions") for job in needed_for(name)}
    execute([job for job in all_jobs().values() if job.name in wanted], warehouse, settings)
    return Recovered(warehouse, folder / "world")


@pytest.fixture(scope="module")
def planted(spark, tmp_path_factory):
    return recovered(spark, tmp_path_factory.mktemp("planted"), PLANTED)


@pytest.fixture(scope="module")
def nothing(spark, tmp_path_factory):
    return recovered(spark, tmp_path_factory.mktemp("nothing"), NOTHING)


def test_trade_keeps_true_links_and_drops_decoys(planted):
    links = planted.table(LINKS).query("test == 'robust' and kept")
    edges = planted.truth("edges").merge(links, "left", ["input", "output"])
    kept = edges["kept"].notna()
    assert len(links) == kept.sum()
    assert kept[edges["is_true"]].mean() >= RECALL
    assert (~edges["is_true"][kept]).mean() <= FALSE


def test_products_stand_in_the_tiers_that_were_planted(planted):
    both = planted.table(TIERS).merge(planted.truth("tiers"), on=["material", "product"])
    assert set(both["tier_x"]) == {0, 1, 2, 3, 4}
    assert (both["tier_x"] == both["tier_y"]).mean() >= RECALL


def test_clusters_are_the_planted_groups_and_without_groups_agree_by_chance(planted, nothing):
    assert planted.agreement() >= RECOVERED
    assert abs(nothing.agreement()) <= CHANCE


def test_slopes_of_growth_are_the_planted_ones_and_zero_where_none_are(planted, nothing):
    stated = planted.truth("growth_coefficients").set_index("term")["coefficient"]
    found = planted.slopes()
    off = found["coefficient"] - stated[list(SLOPES.values())].to_numpy()
    assert (off.abs() < SIGMAS * found["std_error"] + MISFILED).all(), off
    assert (found["coefficient"] < -SIGMAS * found["std_error"]).all()
    found = nothing.slopes()
    assert (found["coefficient"].abs() < SIGMAS * found["std_error"]).all(), found


def test_risk_is_attributed_to_the_planted_supplier_upstream(planted):
    """Its hubs, one for two stages and two for three, stand before it: all of it goes through."""
    stated = planted.truth("upstream_suppliers")
    abroad = planted.table(CONTRIBUTIONS).query("supplier > 0 and supplier != country")
    place = abroad.groupby(["product", "year", "country"])["contribution"].rank(ascending=False)
    both = stated.merge(
        abroad.assign(place=place),
        left_on=["product", "year", "importer", "supplier"],
        right_on=["product", "year", "country", "supplier"],
    )
    assert len(both) == len(stated) > 0
    assert (both["place"] <= both["stages"]).mean() >= MOST_BEHIND
    assert (both["contribution_y"] >= both["contribution_x"] * (1 - 1e-9)).all()
