"""The recorded answers: known steps of the four chains, published counts, what is missing."""

import csv
import io
import json
import zipfile

import pytest

from conf.materials import Material, Seed
from conf.problem import Problem
from conf.settings import SAMPLE, load
from jobs.network.chosen import ProductList, chosen_materials, seed_products
from jobs.network.matches import by_words, matches, picked
from jobs.network.recordings import answers_in, prompt, recorded_answers, recorded_picks
from jobs.network.responses import usable
from jobs.network.votes import lines_of, matched_by
from udfs import chain

ALL = load({"materials": "all"}, environment={})
REACHED = {
    5: {"rare_earths": 579, "cobalt": 754, "lithium": 295, "gallium": 160},
    8: {"rare_earths": 320, "cobalt": 387, "lithium": 168, "gallium": 110},
}
"""Products within four steps by votes, as published with the recordings."""
UNANSWERED = {"rare_earths": 134, "cobalt": 155, "lithium": 45, "gallium": 25}
"""Products reached before the last tier without answers, at 5 votes; 134 is published too."""

BY_WORDS = ("lithium", "gallium")
"""Materials for which words of descriptions are compared with picks, to save time."""

LITHIUM, COBALT = ("283691", "282520"), ("282200", "810510")
STEPS = {
    "lithium": [
        (LITHIUM, ("850780",)),  # accumulators n.e.s., where HS 1992 has lithium-ion cells
        (("280519", "382390"), ("850619",)),  # primary cells: from the metal, not the carbonate
        (LITHIUM, ("320740", "702000")),  # glass frit, glass
        (LITHIUM, ("320720",)),  # enamels and glazes, of ceramics
        (LITHIUM, ("271000",)),  # greases: lubricating preparations with 70 % of oil or more
        (LITHIUM, ("760110",)),  # aluminium
    ],
    "rare_earths": [
        (("280530",), ("850511",)),  # permanent magnets
        (("284610", "284690"), ("340590",)),  # polishing preparations
        (("284610", "284690"), ("381512", "381519", "381590")),  # catalysts
        (("284610",), ("320650",)),  # luminophores
        (("284690",), ("320650",)),
        (("850511",), ("850110", "850131")),  # motors
        (("850511",), ("851829",)),  # loudspeakers
    ],
    "cobalt": [
        (COBALT, ("850780",)),  # batteries
        (COBALT, ("820900",)),  # hard metals
        (COBALT, ("750220",)),  # superalloys: nickel alloys, unwrought
        (COBALT, ("320710",)),  # pigments
    ],
    "gallium": [
        (("811291",), ("381800",)),  # wafers
        (("381800",), ("854110", "854140")),  # semiconductor devices
    ],
}


@pytest.fixture(scope="module")
def products() -> ProductList:
    with zipfile.ZipFile(SAMPLE / "BACI_HS92_V202601_raw_materials.zip") as archive:
        text = archive.read("product_codes_HS92_V202601.csv").decode("utf-8-sig")
    rows = csv.DictReader(io.StringIO(text))
    return ProductList("HS92", {row["code"]: row["description"] for row in rows})


@pytest.fixture(scope="module")
def answers():
    return recorded_answers(ALL)


@pytest.fixture(scope="module")
def lines(answers):
    return lines_of(answers)


@pytest.fixture(scope="module")
def walks(answers, lines, products):
    """Matcher, votes -> walk of each material."""
    distinct = sorted(lines["line"].unique())
    some = sorted(lines.loc[lines["material"].isin(BY_WORDS), "line"].unique())
    found = {}
    for matcher, rows in (
        ("pick", picked(distinct, recorded_picks(ALL), products)),
        ("tfidf", by_words(some, products)),
    ):
        mine = lines[lines["line"].isin(rows["line"])]
        counted = chain.votes(mine, matched_by(matcher, rows), answers[chain.ANSWER])
        for least in REACHED:
            found[matcher, least] = {
                one.key: chain.walk(
                    counted[counted["material"] == one.key],
                    set(answers.loc[answers["material"] == one.key, "input"]),
                    seed_products(one, products),
                    least=least,
                    depth=4,
                )
                for one in chosen_materials(ALL)
            }
    return found


@pytest.mark.parametrize("material", STEPS)
def test_known_steps_are_found(walks, material):
    pairs = walks["pick", 5][material].pairs
    edges = set(zip(pairs["input"], pairs["output"], strict=True))
    for inputs, outputs in STEPS[material]:
        assert edges & {(i, j) for i in inputs for j in outputs}, (inputs, outputs)


def test_carbonate_and_hydroxide_do_not_lead_straight_to_primary_cells(walks):
    # HS 1992 850619 holds cells with a lithium anode: made of the metal, two steps from the seeds.
    found = walks["pick", 5]["lithium"]
    assert found.stages["850619"] == 2
    assert not set(LITHIUM) & set(found.pairs.loc[found.pairs["output"] == "850619", "input"])


@pytest.mark.parametrize("least", REACHED)
def test_products_reached_are_as_many_as_published(walks, least):
    assert {key: len(one.stages) for key, one in walks["pick", least].items()} == REACHED[least]


def test_products_without_answers_are_named(walks, answers):
    found = walks["pick", 5]
    assert {key: len(one.frontier) for key, one in found.items()} == UNANSWERED
    asked = set(answers.loc[answers["material"] == "rare_earths", "input"])
    assert not asked & set(found["rare_earths"].frontier["product"])


def test_words_alone_reach_fewer_products_than_picks(walks):
    for key in BY_WORDS:
        by_pick, by_word = walks["pick", 5][key], walks["tfidf", 5][key]
        assert len(by_word.stages) < len(by_pick.stages) / 2, key


def test_every_input_has_ten_answers(answers):
    assert set(answers.groupby(chain.QUESTION)["replicate"].agg(tuple)) == {tuple(range(1, 11))}


def test_unknown_seed_names_the_nearest_descriptions(products):
    one = Material("x", "X", (Seed("850512", "permanent magnets of metal"),), ())
    with pytest.raises(Problem, match=r"850512 .* nearest descriptions: 850511 Magnets"):
        seed_products(one, products)
    with pytest.raises(Problem, match="no seed in HS92"):
        seed_products(Material("x", "X", (Seed("811292", "gallium", ("HS22",)),), ()), products)


def test_seeds_are_those_of_the_revision_loaded(products):
    gallium = next(one for one in chosen_materials(ALL) if one.key == "gallium")
    assert seed_products(gallium, products) == ["811291"]
    later = ProductList("HS22", {"811292": "Gallium, ..."})
    assert seed_products(gallium, later) == ["811292"]


def test_line_without_a_pick_goes_to_its_neighbours(products):
    picks = recorded_picks(ALL)
    known, new = "permanent magnets of metal", "permanent magnets of metal for wind turbines zz"
    picks = picks[picks["line"] != new]
    rows = matches([known, new], picks, products, {"pick"}).set_index("line")
    assert new not in set(picks["line"])
    assert rows.loc[new, "method"] == "neighbours" and rows.loc[new, "product"] == "850511"
    assert 0 < rows.loc[new, "similarity"] <= 1


def test_pick_outside_the_product_list_does_not_count(products):
    line = recorded_picks(ALL).iloc[0]
    short = {code: text for code, text in products.descriptions.items() if code != line["product"]}
    rows = picked([line["line"]], recorded_picks(ALL), ProductList("HS07", short))
    assert rows.empty


def test_answers_of_another_revision_count_by_code_and_say_so(products, answers, capsys):
    later = ProductList("HS07", {code: "" for code in products.descriptions if code != "280530"})
    found = usable(answers, later, ("rare_earths",))
    assert "280530" not in set(found["input"]) and "284610" in set(found["input"])
    assert set(found["nomenclature"]) == {"HS92"}
    assert "1 products have no such code now" in "".join(capsys.readouterr())


def test_own_recording_comes_before_the_shipped_one(tmp_path):
    row = {
        "material": "lithium",
        "input": "283691",
        "replicate": 1,
        "prompt_version": "v1",
        "model": "own",
        "nomenclature": "HS92",
        "text": "soap",
    }
    (tmp_path / "responses_own.jsonl").write_text(json.dumps(row) + "\n")
    settings = load({"materials": "lithium", "recordings": str(tmp_path)}, environment={})
    found = recorded_answers(settings)
    mine = found[(found["material"] == "lithium") & (found["input"] == "283691")]
    assert mine["model"].tolist() == ["own"]
    assert len(found) == len(recorded_answers(ALL)) - 9


def test_material_without_answers_is_its_seeds_and_they_are_the_frontier(products, answers):
    none = answers[answers["material"] == "unobtainium"]
    rows = matches([], recorded_picks(ALL), products, {"pick", "tfidf"})
    counted = chain.votes(lines_of(none), matched_by("pick", rows), none[chain.ANSWER])
    found = chain.walk(counted, set(), ["811291"], least=5, depth=4)
    assert found.pairs.empty and found.stages == {"811291": 0}
    assert found.frontier["product"].tolist() == ["811291"]


@pytest.mark.parametrize(
    "line", ["{", '"text"', '{"material": "lithium"}', '{"material": "m", "input": 283691}']
)
def test_spoilt_recording_names_the_line(line):
    recording = (SAMPLE.parent / "recordings" / "responses_hs92_v1.jsonl").read_text("utf-8")
    good = recording[: recording.index("\n")]
    with pytest.raises(Problem, match="file, line 2"):
        list(answers_in(f"{good}\n{line}\n", "file"))


def test_prompt_is_the_recorded_one():
    from jobs.network.recordings import folders

    wording = prompt("v1", folders(ALL))
    one = next(one for one in chosen_materials(ALL) if one.key == "rare_earths")
    asked = wording.messages(one, "HS92", "280530", "Earth-metals")[1]["content"]
    assert "Product, HS92 code 280530: Earth-metals" in asked and "lanthanides" in asked
    with pytest.raises(Problem, match="no version 'v9'; expected v1"):
        prompt("v9", folders(ALL))
