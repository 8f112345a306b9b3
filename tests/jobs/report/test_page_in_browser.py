"""The page as a reader meets it: in Chromium, with names that mean harm."""

import pytest

from jobs.report.exports import figures_in
from jobs.report.page import render
from tests.jobs.report.browser import CHROMIUM, Browser
from tests.jobs.report.small_world import NAMES, SCRIPT, frames, told

DESKTOP, PHONE = (1200, 900), (375, 800)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    file = tmp_path_factory.mktemp("report") / "index.html"
    file.write_text(render(told(frames()[0])), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.fail("The page was not opened: no chromium on the path; apt-get install chromium.")
    started = Browser(tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture
def tab(browser, page):
    browser.open(page, width=DESKTOP[0], height=DESKTOP[1])
    return browser


def test_nothing_goes_wrong_and_no_request_leaves_the_file(tab, page):
    assert tab.console == []
    assert [url for url in tab.requests if not url.startswith("data:")] == [page.as_uri()]
    assert tab.run("performance.getEntriesByType('resource').length") == 0


def test_hostile_names_are_shown_and_do_nothing(tab):
    assert tab.run("window.harmed") is None
    assert tab.run("document.querySelectorAll('script').length") == 1
    assert tab.run("document.querySelectorAll('img').length") == 0
    shown = tab.run("[...document.querySelectorAll('details.country bdi')].map(e => e.textContent)")
    assert set(NAMES) <= set(shown)
    drawn = tab.run("[...document.querySelectorAll('svg text')].map(e => e.textContent)")
    assert any(text.startswith("<script") for text in drawn)
    assert SCRIPT in tab.run("document.body.textContent")


def test_every_picture_has_a_text_alternative(tab):
    unnamed = (
        "[...document.querySelectorAll('svg')].filter(e => "
        "!(e.closest('[role=img]')?.getAttribute('aria-label'))).length"
    )
    assert tab.run("document.querySelectorAll('svg').length") > 10
    assert tab.run(unnamed) == 0
    assert tab.run("document.querySelectorAll('html[lang]').length") == 1


def test_identifiers_are_unique_so_that_figures_do_not_clip_each_other(tab):
    ids = tab.run("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


def test_tables_sort_by_keyboard_both_ways_and_say_so(tab):
    tables = "[...document.querySelectorAll('table.sortable')]"
    table = f"{tables}.find(t => t.tHead.textContent.includes('Risk (STR)'))"
    values = f"[...{table}.tBodies[0].rows].map(r => Number(r.cells[1].textContent))"
    before = tab.run(values)
    tab.run(f"{table}.tHead.rows[0].cells[1].querySelector('button').focus()")
    tab.press("Enter")
    assert tab.run(values) == sorted(before, reverse=True)
    assert tab.run(f"{table}.tHead.rows[0].cells[1].getAttribute('aria-sort')") == "descending"
    tab.press("Enter")
    assert tab.run(values) == sorted(before)
    assert tab.run(f"{table}.tHead.rows[0].cells[1].getAttribute('aria-sort')") == "ascending"


def test_a_link_opens_the_country_and_the_search_finds_it(tab):
    tab.run("location.hash = 'country-842'; openTarget()")
    assert tab.run("document.getElementById('country-842').open") is True
    tab.run("find.value = 'germ'; find.dispatchEvent(new Event('input'))")
    left = "[...document.querySelectorAll('details.country')].filter(e => !e.hidden).map(e => e.id)"
    assert tab.run(left) == ["country-276"]


def test_a_phone_needs_no_sideways_scrolling(browser, page):
    browser.open(page, width=PHONE[0], height=PHONE[1])
    browser.run("document.querySelectorAll('details').forEach(e => { e.open = true; })")
    assert browser.run("document.documentElement.scrollWidth") <= PHONE[0]


def test_without_script_all_is_there_but_the_search(browser, page):
    browser.open(page, width=DESKTOP[0], height=DESKTOP[1], script=False)
    assert browser.console == []
    assert browser.run("getComputedStyle(document.querySelector('.find')).display") == "none"
    assert browser.run("document.querySelectorAll('details.country').length") == len(NAMES)


def test_synthetic_data_are_announced_on_the_page():
    shared, _ = frames()
    assert "Synthetic data: everything on this page" in render(told(shared, synthetic=True))
    assert "ynthetic data" not in render(told(shared))


def test_every_link_to_a_figure_has_a_figure():
    story = told(frames()[0])
    names = [figure.name for figure in figures_in(story)]
    page = render(story)
    assert len(names) == len(set(names)) > 10
    assert all(f'href="figures/{name}.{kind}"' in page for name in names for kind in ("svg", "csv"))
