"""Asking an endpoint that answers as endpoints do: late, half, wrong, not at all."""

import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from conf.problem import Problem
from jobs.network.live import (
    TRIES,
    Endpoint,
    Question,
    Saved,
    batch_answers,
    batch_lines,
)
from tests.jobs.network.endpoints import (
    MODEL,
    SECRET,
    completion,
    first_then_good,
    killed_while_asking,
    slow_then_good,
)


@pytest.fixture
def saved(tmp_path):
    return Saved(tmp_path / "answers" / "responses.jsonl")


def questions(n=1):
    return [
        Question("lithium", f"{283600 + k}", 1, "v1", "HS92", [{"role": "user", "content": str(k)}])
        for k in range(n)
    ]


def endpoint(service, **changes):
    waits = []
    options = {"concurrency": 1, "max_requests": 50, "timeout_s": 5.0} | changes
    made = Endpoint(service.url, MODEL, sleep=waits.append, **options)
    return made, waits


def test_answers_are_saved_with_all_that_identifies_them(service, saved):
    good = service(lambda *_: (200, {}, completion()))
    asking, _ = endpoint(good, concurrency=4)
    assert asking.ask(questions(12), saved) == 0
    rows = saved.read()
    assert {row["input"] for row in rows} == {one.input for one in questions(12)}
    assert rows[0]["text"] == "magnets\nalloys" and rows[0]["source"] == "live"
    assert rows[0]["model"] == MODEL and rows[0]["nomenclature"] == "HS92" and rows[0]["asked_at"]
    assert (asking.requests, asking.tokens) == (12, 1200)


@pytest.mark.parametrize("prices", [None, (0.25, 2.0)])
def test_a_run_says_what_it_costs_where_prices_are_given(service, saved, capsys, prices):
    """An answer that was cut off is paid for too: five answers of 90 tokens asked and 10 given."""
    cut_once = first_then_good(200, content=completion(finish="length"))
    asking, _ = endpoint(service(cut_once), prices=prices)
    asking.ask(questions(4), saved)
    assert asking.tokens == 500
    assert asking.spent.cost == pytest.approx(5 * (90 * 0.25 + 10 * 2.0) / 1e6 if prices else 0)
    told = capsys.readouterr()
    assert ("500 tokens, 0.0002 USD" in told.out + told.err) == bool(prices)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(first_then_good(429), id="too many"),
        pytest.param(first_then_good(500), id="server fault"),
        pytest.param(first_then_good(503, content=b"<html>"), id="unavailable"),
        pytest.param(slow_then_good, id="time-out"),
        pytest.param(
            first_then_good(200, {"content-length": "5000"}, completion()[:60]), id="broken off"
        ),
        pytest.param(first_then_good(200, content=completion(finish="length")), id="cut"),
        pytest.param(first_then_good(200, content=b"<html>busy</html>"), id="not JSON"),
        pytest.param(
            first_then_good(200, {"content-type": "text/html"}, b"<html>busy</html>"), id="a page"
        ),
        pytest.param(first_then_good(200, content=completion("")), id="empty"),
        pytest.param(first_then_good(200, content=completion(choices=[])), id="no choices"),
    ],
)
def test_a_fault_that_passes_is_waited_out(service, saved, script):
    asking, waits = endpoint(service(script), timeout_s=0.3)
    assert asking.ask(questions(), saved) == 0
    assert [row["text"] for row in saved.read()] == ["magnets\nalloys"]
    assert asking.requests == 2 and len(waits) == 1 and 0.5 <= waits[0] <= 1


def test_retry_after_is_honoured_in_seconds_and_refused_when_long(service, saved):
    asking, waits = endpoint(service(first_then_good(429, {"retry-after": "7"})))
    asking.ask(questions(), saved)
    assert waits == [7.0]
    asking, _ = endpoint(service(first_then_good(429, {"retry-after": "86400"})))
    with pytest.raises(Problem, match="asks to wait 86400 s"):
        asking.ask(questions(2), saved)


@pytest.mark.parametrize("zone", ["GMT", "-0000"])
def test_retry_after_may_be_a_date(service, saved, zone):
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    headers = {"retry-after": at.replace("GMT", zone)}
    asking, waits = endpoint(service(first_then_good(429, headers)))
    asking.ask(questions(), saved)
    assert len(waits) == 1 and 30 < waits[0] <= 40


def test_waits_grow_and_end(service, saved):
    asking, waits = endpoint(service(lambda *_: (500, {}, b"{}")))
    with pytest.raises(Problem, match=f"no answer in {TRIES} tries; the last fault: status 500"):
        asking.ask(questions(), saved)
    assert len(waits) == TRIES - 1 and waits[-1] > 4 * waits[0]


@pytest.mark.parametrize("status", [401, 403])
def test_refused_key_stops_at_once_and_is_not_told(service, saved, status):
    told = json.dumps({"error": {"message": f"Incorrect API key provided: {SECRET}"}}).encode()
    asking, _ = endpoint(service(lambda *_: (status, {}, told)))
    with pytest.raises(Problem, match="refused the key") as found:
        asking.ask(questions(5), saved)
    assert SECRET not in str(found.value) and asking.requests == 1
    assert found.value.__cause__ is None and found.value.__suppress_context__


def test_key_is_needed_before_anything_is_asked(monkeypatch, saved):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    asking = Endpoint("https://api.openai.com/v1", MODEL, 1, 5, 1.0)
    with pytest.raises(Problem, match="OPENAI_API_KEY"):
        asking.ask(questions(), saved)


def test_key_is_in_no_file(service, saved):
    asking, _ = endpoint(service(lambda *_: (200, {}, completion())))
    asking.ask(questions(3), saved)
    assert SECRET not in saved.path.read_text()


def test_answers_of_another_model_are_not_kept(service, saved):
    asking, _ = endpoint(service(lambda *_: (200, {}, completion(model="small-model"))))
    with pytest.raises(Problem, match=r"answered with .small-model., asked for 'large-model'"):
        asking.ask(questions(), saved)
    assert saved.read() == []
    dated, _ = endpoint(service(lambda *_: (200, {}, completion(model=f"{MODEL}-2026-01-01"))))
    assert dated.ask(questions(), saved) == 0


def test_unknown_model_is_an_error_that_says_so(service, saved):
    asking, _ = endpoint(service(lambda *_: (404, {}, b"{}")))
    with pytest.raises(Problem, match="no model 'large-model'"):
        asking.ask(questions(), saved)


def test_budget_stops_and_the_next_run_goes_on(service, saved):
    good = service(lambda *_: (200, {}, completion()))
    asking, _ = endpoint(good, max_requests=4)
    assert asking.ask(questions(10), saved) == 6
    again, _ = endpoint(good)
    assert again.ask(questions(10), saved) == 0
    assert Counter(good.asked) == Counter(str(k) for k in range(10))


def test_torn_last_line_is_passed_over_and_overwritten(service, saved):
    good = service(lambda *_: (200, {}, completion()))
    endpoint(good)[0].ask(questions(2), saved)
    whole = saved.path.read_bytes()
    saved.path.write_bytes(whole[:-20])
    assert len(saved.read()) == 1
    endpoint(good)[0].ask(questions(3), saved)
    assert {row["input"] for row in saved.read()} == {one.input for one in questions(3)}


KILLED = """
import sys
from pathlib import Path
from jobs.network.live import Endpoint, Saved
from tests.jobs.network.test_live import questions
Endpoint(sys.argv[1], "large-model", 2, 1000, 5.0).ask(questions(40), Saved(Path(sys.argv[2])))
"""


def test_killed_run_goes_on_and_asks_nothing_twice(service, saved):
    def slow(*_):
        time.sleep(0.05)
        return 200, {}, completion()

    good = service(slow)
    killed_while_asking(KILLED, good, saved)
    before = {row["input"] for row in saved.read()}
    assert 5 <= len(before) < 40
    at_kill = len(good.asked)

    endpoint(good)[0].ask(questions(40), saved)

    asked_again = [int(k) + 283600 for k in good.asked[at_kill:]]
    assert not before & {str(k) for k in asked_again}
    assert sorted(row["input"] for row in saved.read()) == [one.input for one in questions(40)]


def test_batch_lines_are_read_back_as_the_answers_to_their_questions():
    lines = [json.loads(line) for line in batch_lines(questions(3), MODEL).splitlines()]
    assert lines[0]["url"] == "/v1/chat/completions" and lines[0]["body"]["model"] == MODEL
    output = "".join(
        json.dumps({"custom_id": line["custom_id"], "response": {"status_code": 200, "body": body}})
        + "\n"
        for line, body in zip(
            lines, [json.loads(completion("none")), json.loads(completion("")), {}], strict=True
        )
    )
    answers, failed = batch_answers(output, "file", MODEL)
    assert failed == 2
    assert [(a["input"], a["replicate"], a["text"], a["source"]) for a in answers] == [
        ("283600", 1, "none", "batch")
    ]
    with pytest.raises(Problem, match="file, line 1: not a line of a batch"):
        batch_answers("nonsense\n", "file", MODEL)
    with pytest.raises(Problem, match="answered by 'large-model', asked for 'other'"):
        batch_answers(output, "file", "other")
