"""Edges shown on the page: which, their picture, and how little room they take."""

import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from conf.materials import Step
from jobs.network.edge_dossiers import BINS, Sentence
from jobs.network.known_steps import FoundStep
from jobs.report.dossiers import (
    EACH,
    HEIGHT,
    LEFT,
    SENTENCES,
    WIDTH,
    DossierStory,
    Group,
    Shown,
    chosen,
    null_figure,
)
from jobs.report.page import render
from tests.jobs.report.small_world import QUOTES, SCRIPT, dossier, edges_told, frames, told

HALF_A_PIXEL = 0.06
"""Places in a picture are written with one decimal."""
MOST_BYTES = 9_000
"""Of one dossier on the page with every line as long as the longest of the recorded answers."""
LONGEST_LINE = 120


def page(story=None):
    content = told(frames()[0])
    content["materials"][0]["dossiers"] = story or edges_told()
    return render(content)


def drawn(one):
    svg = ElementTree.fromstring(null_figure(one).svg)
    return lambda tag: list(svg.iter(f"{{http://www.w3.org/2000/svg}}{tag}"))


def test_bars_hold_the_whole_null_and_the_line_stands_at_the_correlation():
    one = dossier()
    figure = null_figure(one)
    assert figure.data["outputs"].sum() == one.null.size and len(figure.data) == BINS
    parts = drawn(one)
    low, high = -0.3, 0.7
    place = LEFT + (WIDTH - 2 * LEFT) * (0.7 - low) / (high - low)
    (line,) = parts("line")
    assert float(line.get("x1")) == pytest.approx(place, abs=HALF_A_PIXEL)
    assert len(parts("rect")) == np.count_nonzero(figure.data["outputs"])
    tallest = max(parts("rect"), key=lambda bar: float(bar.get("height")))
    start = figure.data["from"][int(figure.data["outputs"].argmax())]
    expected = LEFT + (WIDTH - 2 * LEFT) * (start - low) / (high - low)
    assert float(tallest.get("x")) == pytest.approx(expected, abs=HALF_A_PIXEL)


@pytest.mark.parametrize("null", [np.zeros(5), np.linspace(-1, 1, 5_000), np.array([0.7])])
@pytest.mark.parametrize("rho", [-1.0, 0.0, 0.7, 1.0])
def test_everything_stays_in_the_picture(null, rho):
    parts = drawn(dossier(null=null, decided={**dossier().decided, "rho": rho}))
    for bar in parts("rect"):
        x, width = float(bar.get("x")), float(bar.get("width"))
        assert x >= 0 and width > 0 and x + width <= WIDTH
        assert float(bar.get("y")) >= 0 and float(bar.get("height")) <= HEIGHT
    assert 0 <= float(parts("line")[0].get("x1")) <= WIDTH


def test_untested_edge_has_no_picture_and_says_so():
    decided = {**dossier().decided, "rho": np.nan, "z": np.nan, "verdict": None}
    one = dossier(decided=decided, null=np.empty(0))
    assert null_figure(one) is None
    html = page(DossierStory([], [Group("Strongest edges", [Shown(one, None)])], 0))
    assert "7 of 10 votes, untested</summary>" in html and "its trade is not loaded" in html


def test_what_others_wrote_is_shown_and_does_nothing():
    html = page()
    part = html[html.index("Known steps of the chain") : html.index("How dependence moved")]
    assert "<script" not in part and "<img" not in part
    assert part.count("&lt;script&gt;window.harmed = 1&lt;/script&gt;") >= 4
    assert "verdict: accept" in part
    for text in (SCRIPT, QUOTES):
        shown = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        shown = shown.replace('"', "&#34;").replace("'", "&#39;")
        assert f"<td><bdi>{shown}</bdi></td>" in part


def edges(count, **columns):
    base = {
        "input": "280530", "output": [f"{n:06d}" for n in range(count)], "votes": 5,
        "tested": True, "z": np.arange(count, dtype=float), "rho": 0.1, "kept": True,
        "verdict": None,
    }  # fmt: skip
    return pd.DataFrame({**base, **columns})


def test_every_group_has_its_edges_and_no_edge_stands_twice():
    every = edges(40)
    refused = edges(40, input="284610", kept=False)
    judged = edges(2, input="284690", verdict="reject", kept=False)
    step = FoundStep(Step("it", (), ()), [("280530", "000039"), ("280530", "000038")], [], "")
    found = chosen([step], every, pd.concat([every, refused, judged]))
    assert list(found) == [
        "Edges on which a person gave a verdict",
        "Known steps",
        "Strongest edges",
        "Weakest edges",
        "Tested by trade and refused, the nearest to being confirmed",
    ]
    assert found["Known steps"] == [("280530", "000039")]
    assert found["Strongest edges"] == [("280530", f"{n:06d}") for n in (38, 37, 36, 35, 34)]
    assert found["Weakest edges"] == [("280530", f"{n:06d}") for n in range(5)]
    pairs = [pair for group in found.values() for pair in group]
    assert len(pairs) == len(set(pairs)) and all(len(group) <= EACH for group in found.values())


def test_tested_edges_come_before_untested_ones_and_those_are_ranked_by_votes():
    some = edges(4, tested=[True, False, False, False], z=[-2.0, np.nan, np.nan, np.nan],
                 votes=[5, 6, 9, 9])  # fmt: skip
    found = chosen([], some, some)
    outputs = [pair[1] for pair in found["Strongest edges"]]
    assert outputs == [
        "000000",
        "000002",
        "000003",
        "000001",
    ]


def test_a_network_without_edges_has_no_groups():
    none = edges(0)
    assert chosen([], none, none) == {}
    html = page(DossierStory([], [], 0))
    assert "What speaks for single edges" not in html


def test_a_dossier_has_a_bounded_size_on_the_page():
    lines = [Sentence("x" * LONGEST_LINE, 3, "pick", 0.5, "850519", 0.5) for _ in range(500)]
    one = dossier(sentences=lines)
    html = page(DossierStory([], [Group("Known steps", [Shown(one, null_figure(one))])], 0))
    (part,) = re.findall(r'<details class="edge">.*?</details>', html, re.DOTALL)
    assert len(part) < MOST_BYTES
    assert f"And {500 - SENTENCES} more lines" in part
