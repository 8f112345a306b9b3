"""A language model picks the product of a line: as patient, thrifty and kill-proof as answers."""

import csv
import json
import re
import time

import pytest

from conf.problem import Problem
from conf.settings import load
from jobs.network.chosen import ProductList
from jobs.network.live import Saved
from jobs.network.matches import SavedLines, matched_lines
from jobs.network.picks import all_picks, asked_picks, pick_of, pick_questions, record_picks
from jobs.network.questions import asked, record_all
from jobs.network.recordings import PICKS, SAVED, SAVED_PICKS, pick_prompt, recorded_picks
from tests.jobs.network import endpoints

PRODUCTS = ProductList(
    "HS92",
    {
        "850511": "Magnets: permanent magnets and articles intended to become permanent magnets",
        "850519": "Magnets: permanent, of other than metal",
        "381800": "Chemical elements doped for use in electronics, in the form of discs, wafers",
        "340590": "Polishes, creams and similar preparations, n.e.s.",
        "010110": "Horses: live, pure-bred breeding animals",
        "870321": "Vehicles: spark-ignition, of a cylinder capacity not exceeding 1000cc",
    },
)
LINES = [
    "sintered magnets of an alloy nobody has recorded",
    "glass polishing slurry zz unheard of",
    "time travel zz unheard of",
]
MEANT = {LINES[0]: "850511", LINES[1]: "340590", LINES[2]: "none"}


@pytest.fixture
def settings(tmp_path):
    def made(**changes):
        values = {"warehouse": str(tmp_path), "picks": "live", "model": endpoints.MODEL}
        return load({**values, **changes}, environment={})

    return made


@pytest.fixture
def saved(tmp_path):
    return Saved(tmp_path / SAVED_PICKS, PICKS)


def line_of(content: str) -> str:
    return re.search("describes them: (.*)", content)[1]


def answer(body, _=0):
    return 200, {}, endpoints.completion(MEANT[line_of(body["messages"][-1]["content"])])


def products_of(picks, lines=LINES):
    return picks.set_index("line").loc[list(lines), "product"].tolist()


def test_lines_without_a_pick_are_asked_about_once(service, settings, saved):
    endpoint = service(answer)
    recorded = recorded_picks(settings())["line"].iloc[0]
    picks = asked_picks([*LINES, recorded], settings(endpoint=endpoint.url), PRODUCTS, saved)
    assert products_of(picks) == ["850511", "340590", ""]
    assert set(picks.set_index("line").loc[LINES, "source"]) == {"live"}
    assert sorted(map(line_of, endpoint.asked)) == sorted(LINES)
    again = asked_picks(LINES, settings(endpoint=endpoint.url), PRODUCTS, saved)
    offline = asked_picks(LINES, settings(picks="recorded"), PRODUCTS, saved)
    assert products_of(again) == products_of(offline) == products_of(picks)
    assert len(endpoint.asked) == len(LINES)
    assert endpoints.SECRET not in saved.path.read_text()


def test_offered_are_the_nearest_and_only_they_count(service, settings, saved):
    questions = pick_questions(LINES, recorded_picks(settings()), PRODUCTS, pick_prompt())
    assert set(questions[0].offered) <= set(PRODUCTS.descriptions)
    assert questions[0].offered[0] in ("850511", "850519")
    assert "850511 Magnets: permanent" in questions[0].messages[1]["content"]
    assert len(questions[0].custom_id) <= 64

    stubborn = service(lambda *_: (200, {}, endpoints.completion("999999")))
    picks = asked_picks(LINES[:1], settings(endpoint=stubborn.url), PRODUCTS, saved)
    assert LINES[0] not in set(picks["line"])
    asked_picks(LINES[:1], settings(endpoint=stubborn.url), PRODUCTS, saved)
    assert len(stubborn.asked) == 1


@pytest.mark.parametrize(
    ("text", "picked"),
    [
        ("850511", ("850511", "")),
        ("850511.", ("850511", "")),
        ("The code is 850511", ("850511", "")),
        ("340590, 850511", ("340590", "850511")),
        ("850511\n850511", ("850511", "")),
        ("none", ("", "")),
        ("None of these.", ("", "")),
        ("381800", None),
        ("850511 340590 381800", None),
        ("8505110", None),
        ("magnets", None),
    ],
)
def test_an_answer_is_one_or_two_codes_that_were_offered_or_none(text, picked):
    assert pick_of(text, ["850511", "340590"]) == picked


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(endpoints.first_then_good(429, {"retry-after": "0"}), id="too many"),
        pytest.param(endpoints.first_then_good(500, {"retry-after": "0"}), id="server fault"),
        pytest.param(
            endpoints.first_then_good(200, {"content-length": "5000"}, endpoints.completion()[:60]),
            id="broken off",
        ),
        pytest.param(endpoints.first_then_good(200, content=b"<html>busy</html>"), id="not JSON"),
        pytest.param(endpoints.first_then_good(200, content=endpoints.completion("")), id="empty"),
    ],
)
def test_a_fault_that_passes_is_waited_out(service, settings, saved, script):
    def then_none(body, number):
        status, headers, content = script(body, number)
        good = endpoints.completion("none")
        return (status, headers, content) if number == 1 else (200, {}, good)

    endpoint = service(then_none)
    picks = asked_picks(LINES[:1], settings(endpoint=endpoint.url), PRODUCTS, saved)
    assert products_of(picks, LINES[:1]) == [""] and len(endpoint.asked) == 2


@pytest.mark.parametrize(("status", "words"), [(401, "refused the key"), (404, "no model")])
def test_a_fault_that_stays_is_told_without_the_key(service, settings, saved, status, words):
    told = json.dumps({"error": {"message": f"Incorrect API key: {endpoints.SECRET}"}}).encode()
    endpoint = service(lambda *_: (status, {}, told))
    with pytest.raises(Problem, match=words) as found:
        asked_picks(LINES[:1], settings(endpoint=endpoint.url), PRODUCTS, saved)
    assert endpoints.SECRET not in str(found.value) and len(endpoint.asked) == 1


def test_picks_of_another_model_are_not_kept(service, settings, saved):
    endpoint = service(lambda *_: (200, {}, endpoints.completion("none", model="small-model")))
    with pytest.raises(Problem, match="answered with 'small-model'"):
        asked_picks(LINES, settings(endpoint=endpoint.url), PRODUCTS, saved)
    assert saved.read() == []


def test_budget_stops_and_the_next_run_goes_on(service, settings, saved):
    endpoint = service(answer)
    chosen = settings(endpoint=endpoint.url, max_requests="2", concurrency="1")
    with pytest.raises(Problem, match="--max-requests 2 is used up with 1 lines open"):
        asked_picks(LINES, chosen, PRODUCTS, saved)
    assert products_of(asked_picks(LINES, chosen, PRODUCTS, saved)) == ["850511", "340590", ""]
    assert len(endpoint.asked) == len(LINES)


def test_answers_and_picks_of_a_run_share_the_budget(service, settings, tmp_path):
    def both(body, _):
        content = body["messages"][-1]["content"]
        text = "none" if "describes them" in content else "\n".join(LINES)
        return 200, {}, endpoints.completion(text)

    endpoint = service(both)
    products = ProductList("HS92", {**PRODUCTS.descriptions, "811291": "Gallium", "811299": "zz"})
    (tmp_path / "own").mkdir()
    wording = (endpoints.ROOT / "conf/recordings/prompt_v1.toml").read_text()
    own = tmp_path / "own" / "prompt_v2.toml"
    own.write_text(wording.replace('version = "v1"', 'version = "v2"'))
    chosen = settings(
        **{"endpoint": endpoint.url, "max_requests": "12", "materials": "gallium"},
        **{"answers": "live", "prompt_version": "v2", "recordings": str(own.parent)},
    )
    lines = SavedLines.in_folder(tmp_path)
    with pytest.raises(Problem, match="--max-requests 12 is used up with 1 lines open"):
        asked(chosen, products, Saved(tmp_path / SAVED), lines)
    assert len(endpoint.asked) == 12  # ten answers about the seed, two of three picks
    asked(chosen, products, Saved(tmp_path / SAVED), lines)
    assert len(endpoint.asked) == 13


def test_batch_goes_through_files_and_becomes_a_recording(settings, saved, tmp_path):
    batch = settings(picks="batch")
    with pytest.raises(Problem, match="3 questions about lines are written to"):
        asked_picks(LINES, batch, PRODUCTS, saved)
    target = tmp_path / "answers" / "pick_questions.jsonl"
    questions = [json.loads(line) for line in target.read_text().splitlines()]
    replies = [
        {"custom_id": one["custom_id"], "response": {"body": json.loads(answer(one["body"])[2])}}
        for one in questions
    ]
    first, second = tmp_path / "answers" / "pick_answers_1.jsonl", replies[2:]
    first.write_text("".join(json.dumps(one) + "\n" for one in replies[:2]))
    with pytest.raises(Problem, match="1 questions about lines are written to"):
        asked_picks(LINES, batch, PRODUCTS, saved)
    later = tmp_path / "answers" / "pick_answers_2.jsonl"
    later.write_text("".join(json.dumps(one) + "\n" for one in [*second, *replies]))
    picks = asked_picks(LINES, batch, PRODUCTS, saved)
    assert products_of(picks) == ["850511", "340590", ""] and len(saved.read()) == 3
    assert set(picks.set_index("line").loc[LINES, "source"]) == {"batch"}
    assert not target.exists()

    folder = tmp_path / "own"
    folder.mkdir()
    assert record_picks(saved, folder, "own") == {folder / "picks_own_hs92.csv": 3}
    with (folder / "picks_own_hs92.csv").open(newline="") as rows:
        assert next(csv.reader(rows)) == ["line", "product", "second"]
    elsewhere = settings(picks="recorded", recordings=str(folder))
    found = all_picks(elsewhere, None, "HS92")
    assert products_of(found) == ["850511", "340590", ""]
    assert set(found["source"]) == {"recorded"}


def test_recording_holds_picks_where_there_are_no_answers(service, settings, saved, tmp_path):
    with pytest.raises(Problem, match="no complete answers of its own"):
        record_all(settings(), tmp_path, tmp_path / "responses_own.jsonl")
    endpoint = service(answer)
    asked_picks(LINES, settings(endpoint=endpoint.url), PRODUCTS, saved)
    written = record_all(settings(), tmp_path, tmp_path / "responses_own.jsonl")
    assert written == {tmp_path / "picks_own_hs92.csv": 3}


def test_picks_for_another_revision_do_not_count(service, settings, saved):
    endpoint = service(answer)
    asked_picks(LINES, settings(endpoint=endpoint.url), PRODUCTS, saved)
    assert not set(LINES) & set(all_picks(settings(), saved, "HS22")["line"])


def test_picks_decide_and_others_go_to_their_neighbours(service, settings, saved, tmp_path):
    def one_is_spoilt(body, _):
        line = line_of(body["messages"][-1]["content"])
        return 200, {}, endpoints.completion("no idea" if line == LINES[0] else MEANT[line])

    endpoint = service(one_is_spoilt)
    chosen = settings(endpoint=endpoint.url)
    rows = matched_lines(LINES, chosen, PRODUCTS, SavedLines.in_folder(tmp_path), {"pick"})
    rows = rows.set_index("line")
    assert rows["method"].to_dict() == {
        LINES[0]: "neighbours",
        LINES[1]: "pick",
        LINES[2]: "pick",
    }
    assert rows.loc[LINES[1], "product"] == "340590" and rows.loc[LINES[2], "product"] is None
    assert rows.loc[LINES[1], "source"] == "live"


def test_asking_needs_a_local_warehouse(settings):
    with pytest.raises(Problem, match="--picks live needs a warehouse on a local disk"):
        asked_picks(LINES, settings(), PRODUCTS, None)


KILLED = """
import sys
from pathlib import Path
from tests.jobs.network.test_picks import MANY, PRODUCTS
from conf.settings import load
from jobs.network.live import Saved
from jobs.network.picks import asked_picks
from jobs.network.recordings import PICKS
chosen = load({"picks": "live", "endpoint": sys.argv[1], "model": "large-model",
               "concurrency": "2", "warehouse": "."}, environment={})
asked_picks(MANY, chosen, PRODUCTS, Saved(Path(sys.argv[2]), PICKS))
"""
MANY = [f"goods number {n} zz that nobody has recorded" for n in range(40)]


def test_killed_run_goes_on_and_asks_nothing_twice(service, settings, saved):
    def slow(*_):
        time.sleep(0.05)
        return 200, {}, endpoints.completion("none")

    endpoint = service(slow)
    endpoints.killed_while_asking(KILLED, endpoint, saved)
    before = {row["line"] for row in saved.read()}
    assert 5 <= len(before) < 40
    at_kill = len(endpoint.asked)

    asked_picks(MANY, settings(endpoint=endpoint.url), PRODUCTS, saved)

    assert not before & {line_of(content) for content in endpoint.asked[at_kill:]}
    assert sorted(row["line"] for row in saved.read()) == sorted(MANY)
