"""Asking in breadth, tier by tier, into a warehouse folder, and making a recording of it."""

import json

import pytest

from conf.problem import Problem
from conf.settings import load
from jobs.network.chosen import ProductList
from jobs.network.live import Saved, completion
from jobs.network.questions import BATCH_QUESTIONS, asked, record
from jobs.network.recordings import SAVED, SHIPPED, answers_in
from tests.jobs.network import endpoints

PRODUCTS = ProductList(
    "HS22",
    {
        "811292": "Gallium, unwrought",
        "381800": "Chemical elements doped for use in electronics, wafers",
        "854110": "Diodes, other than photosensitive",
        "010110": "Horses",
    },
)
MADE = {
    "811292": "wafers of chemical elements doped",
    "381800": "diodes, other than photosensitive",
    "854110": "none",
}


@pytest.fixture
def settings(tmp_path):
    wording = (SHIPPED / "prompt_v1.toml").read_text().replace('version = "v1"', 'version = "v2"')
    (tmp_path / "wording").mkdir()
    (tmp_path / "wording" / "prompt_v2.toml").write_text(wording)

    def made(**changes):
        values = {
            "recordings": str(tmp_path / "wording"),
            "prompt_version": "v2",  # which no recording answers
            "warehouse": str(tmp_path),
            "materials": "gallium",
            "answers": "live",
            "matcher": "tfidf",
            "model": endpoints.MODEL,
        }
        return load({**values, **changes}, environment={})

    return made


def answer(body, _):
    product = body["messages"][-1]["content"].split("code ")[1][:6]
    return 200, {}, endpoints.completion(MADE[product])


def test_products_are_asked_about_tier_by_tier_and_only_once(service, settings, tmp_path):
    endpoint = service(answer)
    saved = Saved(tmp_path / SAVED)
    found = asked(settings(endpoint=endpoint.url), PRODUCTS, saved)
    mine = found[found["source"] == "live"]
    assert list(dict.fromkeys(mine["input"])) == ["811292", "381800", "854110"]
    assert mine.groupby("input")["replicate"].agg(sorted).map(len).eq(10).all()
    assert len(endpoint.asked) == 30
    again = asked(settings(endpoint=endpoint.url), PRODUCTS, saved)
    assert len(again) == len(found) and len(endpoint.asked) == 30
    offline = asked(settings(answers="recorded"), PRODUCTS, saved)
    assert len(offline) == len(found)


def test_spent_budget_is_an_error_that_says_how_to_go_on(service, settings, tmp_path):
    endpoint = service(answer)
    saved = Saved(tmp_path / SAVED)
    with pytest.raises(Problem, match="--max-requests 12 is used up with 8 questions open"):
        asked(settings(endpoint=endpoint.url, max_requests="12"), PRODUCTS, saved)
    assert len(saved.read()) == 12
    asked(settings(endpoint=endpoint.url), PRODUCTS, saved)
    assert len(endpoint.asked) == 30


def test_batch_goes_through_files_and_becomes_a_recording(settings, tmp_path):
    saved = Saved(tmp_path / SAVED)
    batch = settings(answers="batch")
    for round_ in range(3):
        with pytest.raises(Problem, match="10 questions are written to"):
            asked(batch, PRODUCTS, saved)
        questions = [json.loads(s) for s in (tmp_path / BATCH_QUESTIONS).read_text().splitlines()]
        output = [
            {
                "custom_id": one["custom_id"],
                "response": {"body": json.loads(answer(one["body"], 0)[2])},
            }
            for one in questions
        ]
        target = tmp_path / "answers" / f"batch_answers_{round_}.jsonl"
        target.write_text("".join(json.dumps(one) + "\n" for one in output))
    found = asked(batch, PRODUCTS, saved)
    assert (found["source"] == "batch").sum() == 30
    assert not (tmp_path / BATCH_QUESTIONS).exists()

    shipped = tmp_path / "own" / "responses_own.jsonl"
    shipped.parent.mkdir()
    assert record(batch, saved, shipped) == 30
    assert len(list(answers_in(shipped.read_text(), "own"))) == 30
    elsewhere = settings(answers="recorded", recordings=str(shipped.parent))
    assert set(asked(elsewhere, PRODUCTS, None)["source"]) == {"recorded"}
    assert len(asked(elsewhere, PRODUCTS, None)) == len(found)


def test_nothing_to_record_is_an_error(settings, tmp_path):
    with pytest.raises(Problem, match="no complete answers of its own"):
        record(settings(), Saved(tmp_path / SAVED), tmp_path / "r.jsonl")


def test_asking_needs_a_local_warehouse(settings):
    with pytest.raises(Problem, match="needs a warehouse on a local disk"):
        asked(settings(), PRODUCTS, None)


def test_cut_answer_has_no_text():
    with pytest.raises(Exception, match="cut off"):
        completion(json.loads(endpoints.completion(finish="length")))
