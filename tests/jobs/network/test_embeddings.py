"""Embeddings by an endpoint and by a folder: the right product, and no text asked for twice."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest

from conf.problem import Problem
from conf.settings import load
from jobs.network.chosen import ProductList
from jobs.network.embeddings import (
    EndpointEmbedding,
    VectorStore,
    embedding,
    folder_digest,
    folder_embedding,
)
from jobs.network.live import TEXTS, TRIES, endpoint_of
from jobs.network.matches import SavedLines, matched_lines
from jobs.network.recordings import recorded_picks
from tests.jobs.network import endpoints

METHOD = f"embedding:{endpoints.MODEL}"
PRODUCTS = ProductList("HS92", {"850511": "magnets", "010110": "horses", "381800": "wafers"})
LINES = ["wafer", "horse", "magnet"]
MEANT = ["381800", "010110", "850511"]
SINGLE = 1e-6
"""Vectors are kept in single precision."""


@pytest.fixture
def settings(tmp_path):
    def made(**changes):
        values = {"warehouse": str(tmp_path), "matcher": METHOD, "timeout_s": "5"}
        return load({**values, **changes}, environment={})

    return made


@pytest.fixture
def quick(monkeypatch):
    waits = []
    monkeypatch.setattr("jobs.network.live.time.sleep", waits.append)

    def endpoint(chosen):
        made = endpoint_of(chosen, endpoints.MODEL)
        made.sleep = waits.append
        return made

    return endpoint


def good(body, _=0):
    return 200, {}, endpoints.vectors(body)


def flat(asked):
    return [text for texts in asked for text in texts]


def test_nearest_description_by_an_endpoint_is_the_match(service, settings, tmp_path):
    endpoint = service(good)
    kept = SavedLines.in_folder(tmp_path)
    rows = matched_lines(LINES, settings(endpoint=endpoint.url), PRODUCTS, kept, {METHOD})
    assert rows["product"].tolist() == MEANT and set(rows["method"]) == {METHOD}
    # "wafer" and "wafers": counts of letters (1,1,1,1,1) and (1,1,1,1,1,1)
    assert rows["similarity"].iloc[0] == pytest.approx(5 / np.sqrt(5 * 6), abs=SINGLE)
    assert rows["source"].isna().all()
    assert sorted(flat(endpoint.asked)) == sorted([*PRODUCTS.descriptions.values(), *LINES])
    matched_lines(LINES, settings(endpoint=endpoint.url), PRODUCTS, kept, {METHOD})
    assert len(flat(endpoint.asked)) == 6


def test_vectors_keep_their_places_in_any_order_and_over_many_requests(service, settings, tmp_path):
    endpoint = service(lambda body, _: (200, {}, endpoints.vectors(body, backwards=True)))
    texts = ["".join("ab"[int(b)] for b in f"{n:09b}") for n in range(2 * TEXTS + 3)]
    chosen = settings(endpoint=endpoint.url)
    embed = EndpointEmbedding(
        endpoint_of(chosen, endpoints.MODEL), VectorStore(tmp_path / "v"), chosen
    )
    found = embed(texts)
    counts = np.array([[text.count("a"), text.count("b")] for text in texts], float)
    expected = counts / np.linalg.norm(counts, axis=1, keepdims=True)
    np.testing.assert_allclose(found[:, :2], expected, atol=SINGLE)
    assert [len(part) for part in sorted(endpoint.asked, key=len)] == [3, TEXTS, TEXTS]
    assert embed([]).shape == (0, 26)


def half(body, number):
    content = endpoints.vectors(body)
    return (200, {"content-length": "9999"}, content[:80]) if number == 1 else (200, {}, content)


def too_few(body, number):
    fewer = {**body, "input": body["input"][:-1]} if number == 1 else body
    return 200, {}, endpoints.vectors(fewer)


def zero(body, number):
    blank = {**body, "input": ["?" for _ in body["input"]]} if number == 1 else body
    return 200, {}, endpoints.vectors(blank)


def at_first(status, headers=None, content=b"{}"):
    return lambda body, n: (status, headers or {}, content) if n == 1 else good(body)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(at_first(429, {"retry-after": "7"}), id="too many"),
        pytest.param(at_first(500), id="server fault"),
        pytest.param(half, id="broken off"),
        pytest.param(at_first(200, content=b"<html>busy</html>"), id="not JSON"),
        pytest.param(at_first(200, {"content-type": "text/html"}, b"busy"), id="a page"),
        pytest.param(at_first(200, content=b"{}"), id="nothing in it"),
        pytest.param(too_few, id="a vector is missing"),
        pytest.param(zero, id="vectors of zeros"),
    ],
)
def test_a_fault_that_passes_is_waited_out(service, settings, quick, tmp_path, script):
    endpoint = service(script)
    chosen = settings(endpoint=endpoint.url)
    embed = EndpointEmbedding(quick(chosen), VectorStore(tmp_path / "v"), chosen)
    assert embed(LINES).shape == (3, 26) and len(endpoint.asked) == 2


def test_a_fault_that_stays_ends_the_run(service, settings, quick, tmp_path):
    endpoint = service(lambda *_: (500, {}, b"{}"))
    chosen = settings(endpoint=endpoint.url)
    embed = EndpointEmbedding(quick(chosen), VectorStore(tmp_path / "v"), chosen)
    with pytest.raises(Problem, match=f"no answer in {TRIES} tries; the last fault: status 500"):
        embed(LINES)


def test_vectors_of_another_model_are_not_kept(service, settings, tmp_path):
    endpoint = service(lambda body, _: (200, {}, endpoints.vectors(body, model="small-model")))
    kept = SavedLines.in_folder(tmp_path)
    chosen = settings(endpoint=endpoint.url)
    with pytest.raises(Problem, match="answered with 'small-model', asked for 'large-model'"):
        matched_lines(LINES, chosen, PRODUCTS, kept, {METHOD})
    assert kept.vectors.read(f"{endpoint.url} {endpoints.MODEL}", LINES) == {}


def test_vectors_that_change_their_length_are_an_error(service, settings, tmp_path):
    endpoint = service(good)
    chosen = settings(endpoint=endpoint.url)
    store = VectorStore(tmp_path / "v")
    store.add(f"{endpoint.url} {endpoints.MODEL}", ["horse"], np.ones((1, 5)))
    embed = EndpointEmbedding(endpoint_of(chosen, endpoints.MODEL), store, chosen)
    with pytest.raises(Problem, match="have 5 and 26 numbers"):
        embed(LINES)


def test_budget_stops_and_what_was_answered_is_kept(service, settings, tmp_path):
    endpoint = service(good)
    texts = [f"{'a' * (n % 9 + 1)} {n}" for n in range(3 * TEXTS)]
    chosen = settings(endpoint=endpoint.url, max_requests="2", concurrency="1")
    store = VectorStore(tmp_path / "v")
    with pytest.raises(Problem, match="--max-requests 2 is used up with 1 requests for vectors"):
        EndpointEmbedding(endpoint_of(chosen, endpoints.MODEL), store, chosen)(texts)
    EndpointEmbedding(endpoint_of(chosen, endpoints.MODEL), store, chosen)(texts)
    assert sorted(flat(endpoint.asked)) == sorted(texts)


def test_key_is_in_no_file(service, settings, tmp_path):
    endpoint = service(good)
    kept = SavedLines.in_folder(tmp_path)
    matched_lines(LINES, settings(endpoint=endpoint.url), PRODUCTS, kept, {METHOD})
    assert endpoints.SECRET.encode() not in kept.vectors.path.read_bytes()


def test_neighbours_may_be_near_by_an_endpoint(service, settings, tmp_path, monkeypatch):
    endpoint = service(good)
    few = recorded_picks(settings()).head(0)
    few.loc[0] = ["nag or hack", "010110", ""]
    monkeypatch.setattr("jobs.network.picks.recorded_picks", lambda _: few)
    chosen = settings(
        endpoint=endpoint.url, matcher="neighbours", neighbours_embedding=METHOD, max_requests="9"
    )
    kept = SavedLines.in_folder(tmp_path)
    rows = matched_lines(["a nag or hack", "magnet"], chosen, PRODUCTS, kept, {"neighbours"})
    assert rows["product"].tolist() == ["010110", "850511"]
    assert set(rows["method"]) == {"neighbours"} and "nag or hack" in flat(endpoint.asked)


def test_an_endpoint_needs_a_local_warehouse(settings):
    with pytest.raises(Problem, match=r"--matcher embedding:large-model needs a warehouse"):
        matched_lines(LINES, settings(), PRODUCTS, None, {METHOD})


class LetterCounts:
    """Stands for a model of sentence-transformers, which is too large to install for a test."""

    def __init__(self, folder, *, local_files_only):
        assert local_files_only, "nothing may be downloaded"
        if not (Path(folder) / "modules.json").is_file():
            raise ValueError("no modules.json")

    def get_sentence_embedding_dimension(self):
        return 26

    def encode(self, texts, *, convert_to_numpy, show_progress_bar):
        letters = "abcdefghijklmnopqrstuvwxyz"
        return np.array([[text.count(c) for c in letters] for text in texts], np.float32)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    module = types.ModuleType("sentence_transformers")
    module.SentenceTransformer = LetterCounts
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "modules.json").write_text("[]")
    return tmp_path / "model"


@pytest.mark.parametrize("as_neighbours", [False, True])
def test_nearest_description_by_a_folder_is_the_match(settings, folder, monkeypatch, as_neighbours):
    monkeypatch.setattr(
        "jobs.network.picks.recorded_picks", lambda _: recorded_picks(settings()).head(0)
    )
    name = "sentence-transformers"
    methods = {"matcher": "neighbours", "neighbours_embedding": name}
    chosen = settings(
        embedding_folder=str(folder), **(methods if as_neighbours else {"matcher": name})
    )
    rows = matched_lines(LINES, chosen, PRODUCTS, None, {chosen.network.matcher})
    assert rows["product"].tolist() == MEANT
    assert set(rows["method"]) == {chosen.network.matcher}


def test_a_folder_that_cannot_be_used_says_why(folder, tmp_path):
    with pytest.raises(Problem, match="needs --embedding-folder"):
        folder_embedding(None)
    with pytest.raises(Problem, match="nowhere is not a folder"):
        folder_embedding("nowhere")
    with pytest.raises(Problem, match=r"holds no model that .* can read: no modules.json"):
        folder_embedding(str(tmp_path))


def test_missing_package_is_named_with_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(Problem, match="pip install sentence-transformers"):
        folder_embedding(str(tmp_path))


def test_another_model_in_the_folder_is_noticed(settings, folder):
    chosen = settings(matcher="sentence-transformers", embedding_folder=str(folder))
    before = folder_digest(chosen)
    (folder / "modules.json").write_text("[1]")
    assert before and folder_digest(chosen) != before
    assert folder_digest(settings(embedding_folder=str(folder))) == {}


def test_words_are_the_only_embedding_without_settings():
    from jobs.network.embeddings import offline

    with pytest.raises(Problem, match="expected tfidf"):
        offline("embedding:m", [], [])
    assert embedding(load({}, environment={}), None)("tfidf", ["a b"], [])(["a"]).shape[0] == 1
