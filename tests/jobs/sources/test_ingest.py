"""From files to tables: every row and dollar is accounted for, and a run may stop anywhere."""

import math
import re

import pytest

from conf.problem import Problem
from conf.settings import load
from jobs.pipeline import Job, execute
from jobs.sources import baci, ingest
from jobs.sources.baci_rows import Reason
from jobs.tables import COUNTRIES, PRODUCTS, REJECTS, SOURCES, TRADE
from jobs.warehouse import Warehouse

pytestmark = pytest.mark.spark

ROUNDING = 1e-12
"""Relative: a few dozen doubles added in different order."""
JOB = Job("ingest", ingest)
COUNTRY_LIST = (
    "country_code,country_name,country_iso2,country_iso3\n"
    "4,Afghanistan,AF,AFG\n251,France,FR,FRA\n516,Namibia,NA,NAM\n842,USA,US,USA\n"
)
PRODUCT_LIST = 'code,description\n010111,"Horses: live"\n280530,Rare-earth metals\n'

# A year's rows and what becomes of each; YYYY stands for the year.
ROWS = [
    ("YYYY,4,251,280530,         78.234,         24.400", None),
    ("YYYY,4,251,010111,          1.500,             NA", None),
    ("YYYY,4,842,10111,3,1", None),
    ("YYYY,516,842,280530,0.125,0", None),
    ("YYYY,4,251,280530,1", Reason.FIELDS),
    ("YYYY,4,251,280530,a,1", Reason.UNPARSABLE),
    ("1999,4,251,280530,7,1", Reason.YEAR),
    ("YYYY,5,251,280530,7,1", Reason.COUNTRY),
    ("YYYY,4,251,999999,7,1", Reason.PRODUCT),
    ("YYYY,4,251,280530,-0.25,1", Reason.NEGATIVE),
    ("YYYY,842,251,280530,-3.3e15,1", Reason.NEGATIVE),
    ("YYYY," + "9" * 5000 + ",251,280530,7,1", Reason.UNPARSABLE),
    ("YYYY,4,251,280530,NaN,1", Reason.NOT_FINITE),
    ("YYYY,4,251,280530,7,-1", Reason.QUANTITY),
    ("YYYY,4,4,280530,7,1", Reason.SELF_TRADE),
    (' YYYY ,4,"251",280530,  5.5  ,1', Reason.DUPLICATE),  # of the first row, in another block
    ("YYYY,842,251,280530,2,1", None),
    ("", Reason.FIELDS),
    ("YYYY,842,251,280530,2,1", Reason.DUPLICATE),
    ("YYYY,842,516,010111,9,1", None),
]
YEARS = (2007, 2008, 2009)
SMALL_BLOCK = 100
"""Bytes, two or three rows, so that a year is many blocks."""


def in_year(year, rows=ROWS):
    """Return (line, text, reason, value) of each row of a year's file."""
    found = []
    for line, (text, reason) in enumerate(rows, start=2):
        text = text.replace("YYYY", str(year))
        fields = text.split(",")
        value = float(fields[4]) if len(fields) == 6 and reason != Reason.UNPARSABLE else None
        found.append((line, text, reason, value))
    return found


def release(folder, name="V202501"):
    folder.mkdir()
    (folder / f"country_codes_{name}.csv").write_text(COUNTRY_LIST)
    (folder / f"product_codes_HS92_{name}.csv").write_text(PRODUCT_LIST)
    for year in YEARS:
        text = "t,i,j,k,v,q\r\n" + "\r\n".join(text for _, text, _, _ in in_year(year))
        (folder / f"BACI_HS92_Y{year}_{name}.csv").write_bytes(text.encode())
    return str(folder)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    return {name: release(folder / name, name) for name in ("V202501", "V202601")}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(baci, "BLOCK_BYTES", SMALL_BLOCK)


def run(spark, root, path, *, unpack_mb=None, **options):
    settings = load({"warehouse": str(root), "baci": path, **options}, environment={})
    if unpack_mb is not None:  # 0, which is out of range for people: a batch for each year
        few = settings.ingest.model_copy(update={"unpack_mb": unpack_mb})
        settings = settings.model_copy(update={"ingest": few})
    warehouse = Warehouse(spark, settings.warehouse)
    execute([JOB], warehouse, settings)
    return warehouse


def rows_of(warehouse, table, *columns):
    frame = warehouse.read(table)
    return sorted(map(tuple, frame.select(*columns or frame.columns).collect()), key=str)


def whole(warehouse):
    """Return all that the tables say, but for when and from which folder it was read."""
    named = [c.name for c in SOURCES.columns if c.name not in ("ingested_at", "archive")]
    tables = (TRADE, REJECTS, COUNTRIES, PRODUCTS)
    found = {table.name: rows_of(warehouse, table) for table in tables}
    return found | {"sources": rows_of(warehouse, SOURCES, *named)}


def stopping(function, *, after):
    """Return the function, which raises in place of its call number `after` + 1."""
    calls = []

    def stopped(*arguments, **options):
        calls.append(arguments)
        if len(calls) > after:
            raise InterruptedError("killed here")
        return function(*arguments, **options)

    return stopped


def check_account(warehouse, year):
    """Compare what the tables say of a year with its text, read here by plain Python."""
    account = in_year(year)
    kept = warehouse.read(TRADE).where(f"year = {year}")
    lost = warehouse.read(REJECTS).where(f"year = {year}").orderBy("line").collect()
    (source,) = warehouse.read(SOURCES).where(f"year = {year}").collect()
    readable = [v for *_, v in account if v is not None and math.isfinite(v)]
    expected = [row for row in account if row[2]]

    assert [(r.line, r.text, r.reason) for r in lost] == [row[:3] for row in expected]
    assert {r.file for r in lost} == {f"BACI_HS92_Y{year}_V202501.csv"} == {source.path}
    assert source.rows == source.rows_selected == len(account) == kept.count() + len(lost)
    assert source.rows_rejected == len(lost)
    assert source.value_kusd == pytest.approx(math.fsum(readable), rel=ROUNDING)
    assert source.rejected_kusd == pytest.approx(
        math.fsum(r.value_kusd or 0 for r in lost), rel=ROUNDING
    )
    kept_kusd = kept.agg({"value_kusd": "sum"}).first()[0]
    assert kept_kusd == pytest.approx(
        math.fsum(v for *_, reason, v in account if not reason), rel=ROUNDING
    )


@pytest.fixture(scope="module")
def undisturbed(spark, inputs, tmp_path_factory):
    """Two years, then a third: the warehouse and what it held before and after."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baci, "BLOCK_BYTES", SMALL_BLOCK)
        root = tmp_path_factory.mktemp("undisturbed")
        before = whole(run(spark, root, inputs["V202501"], years="2007,2008"))
        warehouse = run(spark, root, inputs["V202501"], years="2009")
    return warehouse, before, whole(warehouse)


def test_every_row_and_dollar_is_in_trade_or_in_rejects(undisturbed):
    warehouse, _, _ = undisturbed
    for year in YEARS:
        check_account(warehouse, year)

    trade = rows_of(warehouse, TRADE, "year", "exporter", "importer", "product", "value_kusd")
    assert trade[:6] == [
        (2007, 4, 251, "010111", 1.5),
        (2007, 4, 251, "280530", 78.234),
        (2007, 4, 842, "010111", 3.0),
        (2007, 516, 842, "280530", 0.125),
        (2007, 842, 251, "280530", 2.0),
        (2007, 842, 516, "010111", 9.0),
    ]
    quantities = warehouse.read(TRADE).where("year = 2007 and quantity_t is null")
    assert [row.product for row in quantities.collect()] == ["010111"]
    details = {r.line: r.detail for r in warehouse.read(REJECTS).where("year = 2007").collect()}
    assert details[17] == "same exporter, importer and product as line 2"
    assert details[20] == "same exporter, importer and product as line 18"
    assert ("Namibia", "NA", "NAM") in rows_of(warehouse, COUNTRIES, "name", "iso2", "iso3")
    assert warehouse.files.children(ingest.STAGING) == []


def test_a_year_that_is_added_leaves_the_others_as_they_were(undisturbed):
    _, before, after = undisturbed

    for table in ("trade", "rejects", "sources"):
        assert set(before[table]) < set(after[table])
        assert len(set(after[table])) == len(after[table])
    assert len(after["trade"]) * 2 == len(before["trade"]) * 3
    assert after["countries"] == before["countries"] and after["products"] == before["products"]


def test_a_run_that_was_killed_and_run_again_gives_the_same_tables(
    spark, inputs, tmp_path, monkeypatch, undisturbed
):
    path, root = inputs["V202501"], tmp_path / "killed [1] {a}"
    # Between staging and commit, other years asked for next time.
    with monkeypatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(ingest, "_commit", stopping(ingest._commit, after=0))
        run(spark, root, path, years="2007,2009")
    # While the second batch is checked.
    with monkeypatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(ingest, "_close", stopping(ingest._close, after=1))
        run(spark, root, path, unpack_mb=0)
    unpacked, unpack = [], ingest._unpack
    monkeypatch.setattr(ingest, "_unpack", lambda *a: unpacked.append(a[2]) or unpack(*a))

    warehouse = run(spark, root, path, unpack_mb=0)

    assert unpacked == [2008, 2009]
    assert whole(warehouse) == undisturbed[2]
    assert warehouse.files.children(ingest.STAGING) == []


def test_a_block_that_gets_lost_on_the_way_is_missed(spark, inputs, tmp_path, monkeypatch):
    read = ingest._read_blocks
    lost = "path not like '%year=2007/first_line=2.txt'"
    monkeypatch.setattr(ingest, "_read_blocks", lambda *arguments: read(*arguments).where(lost))

    with pytest.raises(Problem, match=r"V202501.csv: 20 rows .* went in, 19 rows .* came out; not"):
        run(spark, tmp_path / "w", inputs["V202501"], years="2007")
    assert not (tmp_path / "w" / "trade").exists()


def test_another_release_or_selection_is_refused_until_it_may_replace_the_old(
    spark, inputs, monkeypatch, undisturbed
):
    warehouse, _, before = undisturbed  # the last test that uses it: it is replaced here
    root, newer = warehouse.root, inputs["V202601"]
    both = "holds BACI HS92 V202501 (all products); {} is HS92 V{} ({}). They must not be mixed"
    with pytest.raises(Problem, match=re.escape(both.format(newer, "202601", "all products"))):
        run(spark, root, newer)
    selected = both.format(inputs["V202501"], "202501", "2805")
    with pytest.raises(Problem, match=re.escape(selected)):
        run(spark, root, inputs["V202501"], products="2805")
    with pytest.raises(Problem, match="--products: HS92 has no 9999"):
        run(spark, root, newer, products="9999", replace=True)
    assert whole(warehouse) == before

    replacing = {"products": "2805", "replace": True, "years": "2008"}
    with monkeypatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(ingest, "unpack_trade", stopping(ingest.unpack_trade, after=0))
        run(spark, root, newer, **replacing)
    assert rows_of(warehouse, TRADE) == before["trade"]

    run(spark, root, newer, **replacing)

    assert rows_of(warehouse, TRADE) == [
        row for row in before["trade"] if row[0] == 2008 and row[3] == "280530"
    ]
    sources = warehouse.read(SOURCES).where("kind = 'baci'").collect()
    assert [(s.release, s.selection, s.year) for s in sources] == [("202601", "2805", 2008)]
    of_horses = sum("10111" in text for _, text, _, _ in in_year(2008))
    assert (sources[0].rows, sources[0].rows_selected) == (len(ROWS), len(ROWS) - of_horses)
