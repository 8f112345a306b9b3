"""The benchmark on a tiny world: everybody computes the same, and the report names everything."""

import fcntl
import json
import signal
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import psutil
import pytest
from rich.console import Console

from conf.problem import Problem
from conf.settings import load
from jobs.__main__ import parse
from jobs.benchmark import compare, kernel, mineral_draws, report, suite
from jobs.benchmark.faults import EACH, FAULTS, add_faults
from jobs.benchmark.measure import Measured, Record, Run, Stopwatch, measured, repeated
from jobs.benchmark.options import Options, options, scratch
from jobs.sources import baci_rows
from jobs.sources.baci_rows import Codes, Reason
from jobs.sources.baci_text import HEADER, lines
from jobs.tables import INDICATORS
from udfs.randomisation import SCHEMES
from udfs.resource_network import shock_shares, topology
from udfs.seeding import group_rng
from udfs.systemic_risk import YearContext

PRODUCTS, YEARS = 120, (2015, 2016)
FEW_DRAWS = (2, 3, 4)
TWO_WAYS = 1e-9
"""Relative: two orders of the same double-precision sums."""


# A whole benchmark, with sessions in this process


class TinySuite(suite.Suite):
    """A benchmark whose Spark sessions are the one of the tests; its other programs are real."""

    sample_years = (2010, 2011)

    def _measured(self, title, command, record, extra):
        if "session" not in command:
            return super()._measured(title, command, record, extra)
        from jobs.benchmark.ours import WORK, TimedWarehouse

        words = [str(word) for word in command[1:]]
        _, settings, (_, work, times, target) = parse(words[words.index("bench") :])
        settings = settings.model_copy(update={"force": True})
        WORK[work](TimedWarehouse(self.spark, settings.warehouse), settings, int(times)).write(
            target
        )
        found = Record.read(record)
        return Measured(1.0, 2.0, 3.0, 4, found.stages or found.runs[-1].stages, found.facts)


@pytest.fixture(scope="module")
def tiny(spark, tmp_path_factory):
    """Return the report of a small benchmark over two years, and its folder."""
    folder = tmp_path_factory.mktemp("a bench with spaces")
    running = TinySuite(folder, Options(PRODUCTS, YEARS, runs=1, json=None), 2, ())
    running.spark = spark
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(mineral_draws, "DRAWS", FEW_DRAWS)
        yield running.measure(), folder


@pytest.mark.spark
def test_all_ways_give_the_tables_of_the_project(tiny):
    found = {(a.table, a.beside): a for a in tiny[0].agreements}

    assert set(found) == {
        ("trade", report.DUCKDB),
        ("rejects", report.DUCKDB),
        ("trade_matrices", report.DUCKDB),
        ("indicators", report.DUCKDB_KERNEL),
        ("indicators", report.GROUP_BY),
        ("indicators", report.PANDAS),
        ("links", report.SQL),
    }
    assert all(agreement.difference <= TWO_WAYS for agreement in found.values())
    assert found["trade", report.DUCKDB].rows == tiny[0].data["flows_a_year"]
    assert found["trade_matrices", report.DUCKDB].rows == PRODUCTS
    assert found["rejects", report.DUCKDB].rows == len(FAULTS) * EACH


@pytest.mark.spark
def test_the_report_has_a_row_for_everything_measured(tiny):
    rows = {(r.section, r.what, r.years) for r in tiny[0].rows}

    both_steps = {
        (section, what, years)
        for section, what in [
            (report.INGEST, report.OURS),
            (report.INGEST, report.DUCKDB),
            (report.INDICATORS, report.OURS),
            (report.INDICATORS, report.DUCKDB_KERNEL),
        ]
        for years in (1, 2)
    }
    once = {(report.INDICATORS, report.GROUP_BY, 1), (report.INDICATORS, report.PANDAS, 1)}
    links = {
        (section, what, 1)
        for section, what in [
            (report.LINKS, report.OURS),
            (report.ALL_PAIRS, report.OURS),
            (report.ALL_PAIRS, report.NUMPY),
            (report.ALL_PAIRS, report.SQL),
        ]
    }
    draws = {(report.DRAWS, what, 2) for what in (report.OURS, report.NETWORKX)}
    assert rows == both_steps | once | links | draws | {(report.GENERATE, report.OURS, 2)}
    assert len(tiny[0].kernel) == 5
    stages = {(r.section, r.what): set(r.stages) for r in tiny[0].rows if r.years == 1}
    assert {"read", "decode", "solve", "write"} <= stages[report.INDICATORS, report.OURS]
    assert {"read", "solve", "write"} <= stages[report.INDICATORS, report.DUCKDB_KERNEL]
    assert {"read, check, pack", "trade_matrices"} < stages[report.INGEST, report.OURS]
    assert {"read", "write trade", "trade_matrices"} <= stages[report.INGEST, report.DUCKDB]


@pytest.mark.spark
def test_randomised_networks_are_counted_by_mineral_year_scheme_and_draw(tiny):
    report_of_all, folder = tiny
    ours, theirs = (r for r in report_of_all.rows if r.section == report.DRAWS)
    minerals = duckdb.sql(f"from '{folder}/ours-sample/resource_flows/**/*.parquet'").fetchall()

    assert ours.flows == theirs.flows == len(minerals) * len(SCHEMES) * mineral_draws.DRAWS[-1]
    assert set(ours.stages) == {f"{draws} draws" for draws in mineral_draws.DRAWS}
    assert theirs.scale == suite.NETWORKX_EVERY


@pytest.mark.spark
def test_text_and_json_say_the_same(tiny, tmp_path):
    with (tmp_path / "shown").open("w") as file:
        report.show(tiny[0], Console(file=file, width=report.WIDTH))
    text = (tmp_path / "shown").read_text()
    found = json.loads(report.as_json(tiny[0]))

    assert len(found["rows"]) == len(tiny[0].rows)
    assert found["machine"]["cores"] == 2
    for row in found["rows"]:
        assert row["what"] in text
        assert f"{row['peak_bytes'] / 1e9:.2f}" in text
        assert row["flows_per_second"] == pytest.approx(row["flows"] / row["seconds"])
    for name in ("processor", "python", "java", "spark", "duckdb", "numpy"):
        assert found["machine"][name] in text
    assert max(map(len, text.splitlines())) <= report.WIDTH + 1
    assert "…" not in text


def test_a_measured_session_is_the_command_a_user_types(tmp_path):
    seen = []

    class Listening(suite.Suite):
        def _measured(self, title, command, record, extra):
            seen.append([str(word) for word in command])

    running = Listening(tmp_path, Options(PRODUCTS, YEARS, 3, None), 2, ("--conf", "spark.x=1"))
    running._session("indicators", 3, YEARS)
    script, *rest = seen[0]
    command, settings, words = parse(rest[rest.index("bench") :])

    assert Path(script).name == "spark-submit.sh"
    assert rest[:2] == ["--conf", "spark.x=1"]
    assert command.name == "bench"
    assert words == ["session", "indicators", "3", str(tmp_path / "indicators-2.json")]
    assert (settings.years, settings.warehouse) == (YEARS, str(tmp_path / "ours-2"))


def test_no_setting_of_the_user_reaches_a_measured_program(monkeypatch):
    monkeypatch.setenv("TRADE_RISK_WAREHOUSE", "/the/users/own")
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    passed = suite._environment()

    assert not {"TRADE_RISK_WAREHOUSE", "PYSPARK_GATEWAY_PORT", "OMP_NUM_THREADS"} & set(passed)
    assert passed["PYTHONPATH"] == str(suite.ROOT)


def test_years_double_up_to_all_of_them_and_the_whole_cube_is_measured_at_once():
    def steps(years, *, full=False):
        return Options(5, tuple(range(years)), 1, None, full).steps

    assert [steps(n) for n in (1, 2, 4, 7)] == [(1,), (1, 2), (1, 2, 4), (1, 2, 4, 7)]
    assert [steps(n, full=True) for n in (1, 17)] == [(1,), (1, 17)]


# The bad rows


def test_each_bad_row_is_refused_for_what_is_bad_about_it(tmp_path):
    file = tmp_path / "BACI_HS92_Y2010_Vsynthetic.csv"
    products = [f"{code:06d}" for code in range(1, 60)]
    good = b"".join(
        lines(2010, [4, 4], [8, 12], code, [1.5, 2.5], [1.0, np.nan]) for code in products
    )
    file.write_bytes(HEADER + good)
    added = add_faults(file)
    text = file.read_bytes().partition(b"\n")[2]
    codes = Codes(("t", "i", "j", "k", "v", "q"), tuple(products), (4, 8, 12))
    found = baci_rows.parse(text, first_line=2, year=2010, codes=codes)

    assert added == len(FAULTS) * EACH
    twice = EACH  # these are found when the product's flows are merged
    assert len(found.flows) == 2 * len(products) + twice
    reasons = Counter(reject.reason for reject in found.rejects)
    assert reasons == dict.fromkeys(
        (Reason.SELF_TRADE, Reason.COUNTRY, Reason.PRODUCT, Reason.NEGATIVE, Reason.NOT_FINITE),
        EACH,
    )


# What is measured, and what is said of it


def test_memory_counts_the_whole_tree_and_pages_that_are_shared_once(tmp_path):
    program = """
import os, sys, time
from jobs.benchmark.measure import Record, repeated
block = bytearray(150_000_000)
block[::4096] = b"x" * len(block[::4096])  # a page counts once it is touched
if os.fork() == 0:
    time.sleep(1.5)
    os._exit(0)
def work(watch):
    with watch.stage("nap"):
        time.sleep(0.5)
Record(repeated(work, 3), facts={"rows": 7}).write(sys.argv[1])
os.wait()
"""
    found = measured(
        [sys.executable, "-c", program, tmp_path / "record.json"],
        tmp_path / "record.json",
        cwd=tmp_path,
        environment=suite._environment(),
    )

    assert 150e6 < found.peak_bytes < 290e6  # the block once, and two interpreters
    assert found.facts == {"rows": 7}
    assert set(found.stages) == {"nap"}


def test_a_program_that_fails_says_why(tmp_path):
    with pytest.raises(Problem, match=r"status 1:\n(?s:.*)ZeroDivisionError"):
        measured(
            [sys.executable, "-c", "1 / 0"],
            tmp_path / "record.json",
            cwd=tmp_path,
            environment=suite._environment(),
        )


def test_an_interrupt_kills_the_measured_program(tmp_path):
    script = f"open({str(tmp_path / 'started')!r}, 'w').close(); import time; time.sleep(60)"

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with pytest.raises(KeyboardInterrupt):
            measured(
                [sys.executable, "-c", script],
                tmp_path / "record.json",
                cwd=tmp_path,
                environment=suite._environment(),
            )
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    time.sleep(0.2)
    left = [
        p
        for p in psutil.Process().children(recursive=True)
        if p.status() != psutil.STATUS_ZOMBIE and script in p.cmdline()
    ]

    assert (tmp_path / "started").exists()
    assert left == []


def test_what_pandas_left_out_is_counted_as_often_as_it_is_missing():
    part = Measured(5.0, 6.0, 4.0, 10, {"read": 2.0, "groups": 3.0}, {"scale": 20})
    ours = Measured(6.2, 9.0, 8.0, 20, {}, {})
    row = report.row(report.INDICATORS, report.PANDAS, 1, part, flows=620, ours=ours)

    assert row.seconds == pytest.approx(2.0 + 20 * 3.0)
    assert row.first_seconds == pytest.approx(row.seconds + 1.0)
    assert row.ratio == pytest.approx(0.1)
    assert row.flows_per_second == pytest.approx(10)


def test_the_first_run_is_cold_and_only_the_others_count(tmp_path):
    runs = [Run(10.0, 19.0, {"a": 9.0}), *(Run(20.0, 20.0 + s, {"a": s}) for s in (1.0, 5.0, 2.0))]

    class Still:
        def cpu_at(self, moment):
            return 0.0

        def peak_until(self, moment):
            return 1

    from jobs.benchmark.measure import _summed_up

    found = _summed_up(Record(runs), 4.0, Still())

    assert (found.seconds, found.first_seconds, found.stages) == (2.0, 15.0, {"a": 2.0})


def test_contestants_of_the_kernel_solve_the_same_layer():
    rng = np.random.default_rng(5)
    countries = np.array([3, 5, 8, 13, 21])
    pairs = [(a, c) for a in countries for c in countries if a != c and rng.random() < 0.7]
    exporters, importers = np.array(pairs).T
    context = YearContext(np.full(30, 40.0), np.zeros(30, np.bool_), np.ones(30))
    row = {"exporters": exporters, "importers": importers, "values": rng.random(len(pairs))}
    layer = kernel.Layer(row, context, countries)

    inverse = np.linalg.inv(np.eye(5) - layer.dense)
    solved = kernel.product_year(exporters, importers, row["values"], stability=context.stability)

    buys = ~np.isnan(solved.systemic_risk)
    np.testing.assert_allclose(solved.systemic_risk[buys], inverse.sum(axis=0)[buys], rtol=TWO_WAYS)
    assert layer.core.shape[0] <= 5


@pytest.mark.parametrize("scheme", SCHEMES)
def test_networkx_reads_from_each_draw_what_the_project_reads_from_the_stack(scheme):
    n, draws, rng = 150, 5, np.random.default_rng(3)
    attraction = np.repeat(rng.lognormal(0, 1.5, n), n)  # heavy tails, 3 suppliers a country
    chosen = rng.choice(n * n, 3 * n, replace=False, p=attraction / attraction.sum())
    sources, targets = np.divmod(chosen, n)
    abroad = sources != targets
    links = sources[abroad], targets[abroad], rng.lognormal(0, 2, abroad.sum())
    stability = rng.uniform(0, 99, n)

    drawn = SCHEMES[scheme](*links, n, draws=draws, rng=group_rng(1, scheme))
    shares = shock_shares(drawn.sources, drawn.targets, drawn.values, stability)
    found = topology(drawn.sources, drawn.targets, shares, n)
    ours = (
        *(found.mean_degree, found.scc_share, found.spectral_radius),
        *(found.pagerank, found.in_strength),
    )
    for draw in range(draws):
        one = drawn.sources[draw], drawn.targets[draw], drawn.values[draw]
        for mine, theirs in zip(ours, mineral_draws.indices(*one, stability), strict=True):
            np.testing.assert_allclose(mine[draw], theirs, rtol=TWO_WAYS, atol=1e-12)


# Comparison


ROW = "2015 as year, '010101' as product, 4::smallint as country"
NUMBERS = [c.name for c in INDICATORS.columns if c.type == "double"]


def one_row(**changed):
    values = {name: "0.5" for name in NUMBERS} | changed
    return f"select {ROW}, " + ", ".join(f"{v}::double as {n}" for n, v in values.items())


@pytest.mark.parametrize(
    "theirs",
    [
        one_row(str="0.500001"),
        one_row(influence="null"),
        one_row(rca="'nan'"),
        one_row().replace("4::smallint", "8::smallint"),
        f"{one_row()} union all {one_row().replace('4::smallint', '8::smallint')}",
        f"{one_row()} limit 0",
    ],
    ids=["other number", "null", "nan", "other key", "more rows", "no rows"],
)
def test_tables_that_differ_are_refused(theirs):
    with pytest.raises(Problem, match="indicators and that of somebody differ"):
        compare.same_rows(INDICATORS, one_row(), theirs, "somebody")


def test_tables_that_differ_by_rounding_are_equal():
    theirs = one_row(str=str(0.5 * (1 + 1e-12)), hhi="null")

    found = compare.same_rows(INDICATORS, one_row(hhi="null"), theirs, "somebody")

    assert found.rows == 1
    assert 1e-13 < found.difference < 1e-11


@pytest.mark.parametrize("change", ["line + 1 as line", "'other' as reason"])
def test_rejects_with_another_line_or_reason_are_refused(change):
    ours = "select 2015 as year, 7 as line, 'twice' as reason"
    theirs = f"select * replace ({change}) from ({ours})"
    assert duckdb.sql(theirs).fetchall()

    with pytest.raises(Problem, match="rejects"):
        compare.same_rejects(ours, theirs, "somebody")


@pytest.mark.parametrize("name", ["exporters", "importers", "values"])
def test_matrices_with_another_entry_are_refused(name):
    ours = (
        "select 2015 as year, '010101' as product, [4, 8] as exporters, [8, 4] as importers, "
        '[1.5, 2.5] as "values"'
    )
    theirs = f'select * replace (list_reverse("{name}") as "{name}") from ({ours})'

    assert compare.same_matrices(ours, ours, "somebody").rows == 1
    with pytest.raises(Problem, match="trade_matrices"):
        compare.same_matrices(ours, theirs, "somebody")


# Words and folder


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["quik"], "found 'quik' \\(nearest: quick\\); expected quick or full, products NUMBER"),
        (["products"], "found 'products'"),
        (["products", "many"], "found 'products'"),
        (["runs", "0"], "found 'runs'"),
        (["products", "9999999"], "expected 1 to 5022"),
        (["json", "/no/such/folder/x.json"], "no folder /no/such/folder"),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_ones(words, expected):
    with pytest.raises(Problem, match=expected):
        options(load({}, environment={}), words)


def test_words_and_years_choose_what_is_measured(tmp_path):
    settings = load({"years": "2001-2003"}, environment={})
    chosen = options(settings, ["quick", "products", "7", "json", str(tmp_path / "x.json")])

    assert chosen == Options(7, (2001, 2002, 2003), 2, tmp_path / "x.json")
    assert options(load({}, environment={}), []).years == (2015, 2016, 2017, 2018)
    whole = options(load({}, environment={}), ["full"])
    assert (whole.products, len(whole.years), whole.steps) == (5_000, 17, (1, 17))


SMALL = Options(PRODUCTS, YEARS, 1, None)


def test_the_scratch_folder_is_gone_after_an_interrupt(tmp_path):
    with pytest.raises(KeyboardInterrupt), scratch(str(tmp_path / "new"), SMALL) as folder:
        (folder / "ours").mkdir()
        (folder / "ours" / "file").write_text("x")
        signal.raise_signal(signal.SIGTERM)

    assert list(tmp_path.iterdir()) == []


def test_the_scratch_folder_is_emptied_of_what_a_killed_benchmark_left(tmp_path):
    (tmp_path / "trade").mkdir()
    (tmp_path / ".bench" / "ours").mkdir(parents=True)
    (tmp_path / ".bench" / "ingest.json").write_text("{}")
    with scratch(str(tmp_path), SMALL) as folder:
        assert [path.name for path in folder.iterdir()] == ["lock"]

    assert [path.name for path in tmp_path.iterdir()] == ["trade"]


def test_a_second_benchmark_in_the_same_folder_is_refused(tmp_path):
    (tmp_path / ".bench").mkdir()
    with (tmp_path / ".bench" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Problem, match="Another benchmark"), scratch(str(tmp_path), SMALL):
            pass
    assert (tmp_path / ".bench").exists()


@pytest.mark.parametrize("warehouse", ["s3a://bucket/tables"])
def test_a_folder_on_no_disk_of_this_machine_is_refused(warehouse):
    with pytest.raises(Problem, match="one machine"), scratch(warehouse, SMALL):
        pass


def test_a_disk_that_is_too_small_is_told_before_the_start(tmp_path):
    huge, place = replace(SMALL, products=10**9), tmp_path / "new"
    with pytest.raises(Problem, match="GB free; bench needs"), scratch(str(place), huge):
        pass
    assert not place.exists()


def test_a_stopwatch_sums_stages_that_come_again():
    watch = Stopwatch()
    for name in ("read", "solve", "read"):
        with watch.stage(name):
            pass
    runs = repeated(lambda w: w.stages.update(watch.stages), 3)

    assert list(watch.stages) == ["read", "solve"]
    assert len(runs) == 3
    assert all(run.end >= run.start for run in runs)
