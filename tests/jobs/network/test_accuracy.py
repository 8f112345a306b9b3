"""Accuracy of the matchers on the labelled lines that come with the recordings, and on others."""

import pytest

from conf.problem import Problem
from conf.settings import load
from jobs.__main__ import parse
from jobs.network.accuracy import (
    LABELLED,
    SECOND_READER,
    accuracies,
    labelled_lines,
    printed,
)
from jobs.network.chosen import ProductList
from jobs.network.matches import by_words
from tests.jobs.network.test_recorded_chains import products  # noqa: F401

PUBLISHED = {
    SECOND_READER: (0.95, 0.97),
    "pick": (0.93, 0.96),
    "neighbours by tfidf, own pick left out": (0.75, 0.83),
    "tfidf": (0.25, 0.39),
}
"""Subheadings and headings on 400 lines, half of which are here, by picks and the plain methods."""
THREE_STANDARD_ERRORS = 0.09
"""Of a share of 0.25 or 0.75 on 200 lines; shares near 1 have less."""


@pytest.fixture(scope="module")
def measured(products):  # noqa: F811
    lines, labels = labelled_lines(LABELLED, products)
    assert len(lines) == 200 and labels.shape == (200, 2)
    return accuracies(lines, labels, load({}, environment={}), products, None)


def test_methods_do_as_well_as_published_or_better(measured):
    assert list(measured) == list(PUBLISHED)
    for method, (subheading, heading) in PUBLISHED.items():
        found = measured[method]
        assert found.subheading_top1 > subheading - THREE_STANDARD_ERRORS, method
        assert found.heading_top1 > heading - THREE_STANDARD_ERRORS, method
        assert found.subheading_top1 <= found.subheading_top5 <= found.heading_top5
        assert found.subheading_top1 <= found.heading_top1


def test_picks_do_better_than_neighbours_and_those_than_words(measured):
    order = [measured[name].subheading_top1 for name in PUBLISHED if name != SECOND_READER]
    assert order == sorted(order, reverse=True) and order[0] - order[-1] > 0.5


HERE = ProductList("HS92", {"850511": "Magnets, of metal", "381800": "Wafers for electronics"})


def test_lines_of_ones_own_are_measured_without_a_pick_and_with_one_reader(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("line,label_1\nMagnets of metal,850511\nwafers,381800\nnothing of it,\n")
    lines, labels = labelled_lines(path, HERE)
    assert lines == ["magnets of metal", "wafers", "nothing of it"]
    assert labels.tolist() == [["850511"], ["381800"], [None]]
    settings = load({"recordings": str(tmp_path)}, environment={})
    found = accuracies(lines, labels, settings, HERE, None)
    assert SECOND_READER not in found and "pick" not in found
    mine = by_words(lines, HERE)["product"].where(lambda x: x.notna(), None)
    expected = sum(a == b for a, [b] in zip(mine, labels.tolist(), strict=True)) / 3
    assert found["tfidf"].subheading_top1 == pytest.approx(expected) and found["tfidf"].lines == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has no line; expected the columns line, label_1"),
        ("line,product\nx,850511\n", "has line, product; expected"),
        ("line,label_1\nx,8505\n", "1 labels are not in the HS92 product list: 8505"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path, text, told):
    path = tmp_path / "own.csv"
    path.write_text(text)
    with pytest.raises(Problem) as caught:
        labelled_lines(path, HERE)
    assert told in str(caught.value)


def test_the_table_has_every_method_and_the_command_takes_a_file(measured):
    table = printed(measured)
    assert list(table.columns[0].cells) == list(PUBLISHED)
    command, _, words = parse(["accuracy", "own.csv"])
    assert command.name == "accuracy" and words == ["own.csv"]
