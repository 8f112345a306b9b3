"""The order of jobs, and what is run again after what has changed."""

import dataclasses
from types import SimpleNamespace

import pytest

from conf.problem import Problem
from conf.settings import load
from jobs import pipeline
from jobs.pipeline import Job, all_jobs, code_digest, execute, needed_for
from jobs.tables import TABLES, Table
from jobs.warehouse import Warehouse

pytestmark = pytest.mark.spark

SOURCE = Table("source", "numbers", "n int not null 'a number'", key=("n",))
DOUBLED = Table(
    "doubled",
    "numbers by year",
    """
    year int not null 'a year'
    n int not null 'a number'
    """,
    key=("year", "n"),
    partition_by=("year",),
    checks={"n_is_small": "n < 1000"},
)


def made(name, reads, writes, run, settings=(), **more):
    module = SimpleNamespace(
        __name__=f"tests.{name}",
        __doc__=f"What is {name}?",
        READS=reads,
        WRITES=writes,
        SETTINGS=settings,
        **more,
    )
    module.run = run
    return Job(name, module)


@pytest.fixture
def warehouse(spark, tmp_path):
    return Warehouse(spark, str(tmp_path / "w"))


@pytest.fixture
def ran():
    return []


@pytest.fixture
def two_jobs(ran):
    def write_source(warehouse, settings):
        ran.append("source")
        warehouse.replace(SOURCE, warehouse.spark.createDataFrame([(1,), (2,)], "n int"))

    def write_doubled(warehouse, settings):
        ran.append("doubled")
        numbers = [row.n for row in warehouse.read(SOURCE).collect()]
        rows = [(year, 2 * n) for year in settings.years or (2001, 2002) for n in numbers]
        part = {"year": settings.years} if settings.years else {}
        warehouse.replace(DOUBLED, warehouse.spark.createDataFrame(rows, "year int, n int"), part)

    return [
        made("source", (), (SOURCE,), write_source, settings=("seed",)),
        made(
            "doubled",
            (SOURCE,),
            (DOUBLED,),
            write_doubled,
            part=lambda settings: {"year": settings.years} if settings.years else {},
        ),
    ]


def settings(**values):
    return load(values, environment={})


def rows(warehouse, table):
    return sorted(tuple(row) for row in warehouse.read(table).collect())


def test_each_job_follows_those_whose_tables_it_reads():
    done = set()
    for job in all_jobs().values():
        assert {table.name for table in job.reads} <= done, job.name
        done |= {table.name for table in job.writes}
    assert done == {table.name for table in TABLES}


def test_every_table_has_one_writer_and_every_job_a_question():
    written = [table.name for job in all_jobs().values() for table in job.writes]

    assert len(written) == len(set(written))
    assert all(job.question.endswith("?") for job in all_jobs().values())


def test_a_job_is_found_with_what_it_needs():
    assert [job.name for job in needed_for("trade_matrices")] == ["ingest", "trade_matrices"]
    with pytest.raises(Problem, match=r"'trade_matrix' \(nearest: trade_matrices"):
        needed_for("trade_matrix")


def test_nothing_is_run_again_unless_something_changed(warehouse, two_jobs, ran):
    execute(two_jobs, warehouse, settings())
    execute(two_jobs, warehouse, settings())

    assert ran == ["source", "doubled"]
    assert rows(warehouse, DOUBLED) == [(y, n) for y in (2001, 2002) for n in (2, 4)]


def test_a_setting_recomputes_what_depends_on_it_and_what_follows(warehouse, two_jobs, ran):
    execute(two_jobs, warehouse, settings())
    execute(two_jobs, warehouse, settings(report_dir="elsewhere"))
    assert ran == ["source", "doubled"]

    execute(two_jobs, warehouse, settings(seed=7))
    assert ran == ["source", "doubled"] * 2


def test_force_recomputes_everything(warehouse, two_jobs, ran):
    execute(two_jobs, warehouse, settings())
    execute(two_jobs, warehouse, settings(force=True))

    assert ran == ["source", "doubled"] * 2


def test_years_are_replaced_and_known_one_by_one(warehouse, two_jobs, ran):
    execute(two_jobs, warehouse, settings(years="2001"))
    execute(two_jobs, warehouse, settings(years="2002-2003"))
    execute(two_jobs, warehouse, settings(years="2001"))
    execute(two_jobs, warehouse, settings(years="2003"))

    assert ran == ["source", "doubled", "doubled"]
    assert {year for year, _ in rows(warehouse, DOUBLED)} == {2001, 2002, 2003}

    execute(two_jobs, warehouse, settings())
    assert ran[-1] == "doubled" and len(ran) == 4
    assert {year for year, _ in rows(warehouse, DOUBLED)} == {2001, 2002}


def test_a_job_that_finds_nothing_is_up_to_date_too(warehouse, ran):
    def write_nothing(warehouse, settings):
        ran.append("nothing")
        warehouse.replace(SOURCE, warehouse.spark.createDataFrame([], "n int"))

    job = made("nothing", (), (SOURCE,), write_nothing)
    execute([job], warehouse, settings())
    execute([job], warehouse, settings())

    assert ran == ["nothing"]
    assert rows(warehouse, SOURCE) == []


def test_a_job_that_failed_is_run_again(warehouse, ran):
    def fail_once(warehouse, settings):
        ran.append("try")
        warehouse._create(SOURCE)  # killed between creating the table and filling it
        if len(ran) == 1:
            raise Problem("no luck")
        warehouse.replace(SOURCE, warehouse.spark.createDataFrame([(5,)], "n int"))

    job = made("unlucky", (), (SOURCE,), fail_once)
    with pytest.raises(Problem, match="no luck"):
        execute([job], warehouse, settings())
    with pytest.raises(StopIteration):  # no job of the project writes this table
        warehouse.read(SOURCE)
    execute([job], warehouse, settings())

    assert ran == ["try", "try"]
    assert rows(warehouse, SOURCE) == [(5,)]


def test_commits_say_what_made_them(warehouse, two_jobs):
    execute(two_jobs, warehouse, settings(years="2001", seed=3))
    source = next(warehouse.history(SOURCE)).metadata
    doubled = next(warehouse.history(DOUBLED)).metadata

    assert source["job"] == "source" and source["settings"] == {"seed": 3}
    assert doubled["inputs"] == {"source": warehouse.version(SOURCE)}
    assert doubled["slice"] == {"year": [2001]}
    assert doubled["revision"] and doubled["code"]


def test_a_broken_rule_refuses_the_whole_commit(warehouse, spark):
    good = spark.createDataFrame([(2001, 1)], "year int, n int")
    warehouse.replace(DOUBLED, good)
    version = warehouse.version(DOUBLED)
    for bad in ((2001, 5000), (2001, None)):
        with pytest.raises(Exception, match=r"n_is_small|NOT NULL"):
            warehouse.replace(DOUBLED, spark.createDataFrame([(2001, 2), bad], "year int, n int"))

    assert rows(warehouse, DOUBLED) == [(2001, 1)]
    assert warehouse.version(DOUBLED) == version


def test_rows_outside_the_part_are_refused(warehouse, spark):
    frame = spark.createDataFrame([(2001, 1), (2002, 1)], "year int, n int")
    with pytest.raises(Exception, match="REPLACE_WHERE"):
        warehouse.replace(DOUBLED, frame, {"year": (2001,)})


def test_two_writers_at_once_are_refused(warehouse):
    with (
        warehouse.writing(command="run"),
        pytest.raises(Problem, match=r"Another run is writing to .* \(run, process"),
        warehouse.writing(command="ingest"),
    ):
        pytest.fail("both were let in")
    with warehouse.writing(command="again"):
        pass


def test_a_digest_follows_the_modules_a_job_imports(tmp_path, monkeypatch):
    for name, text in (
        ("jobs/story/job.py", "from udfs.sums import add\nWRITES = ()\n"),
        ("udfs/sums.py", "def add(a, b): return a + b\n"),
        ("udfs/other.py", "x = 1\n"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(pipeline, "ROOT", tmp_path)
    module = SimpleNamespace(__name__="jobs.story.job")
    first = code_digest(module)
    (tmp_path / "udfs/other.py").write_text("x = 2\n")
    assert code_digest(module) == first
    (tmp_path / "udfs/sums.py").write_text("def add(a, b): return b + a\n")
    assert code_digest(module) != first


def test_a_declaration_that_cannot_be_read_is_refused():
    broken = dataclasses.replace(SOURCE, columns_ddl="n int without a comment")
    with pytest.raises(ValueError, match="source: cannot read the column"):
        _ = broken.columns


def test_every_table_is_written_as_it_is_declared(sample):
    for table in TABLES:
        described = sample.spark.sql(f"describe {sample.sql_name(table)}").collect()
        comments = {row.col_name: row.comment for row in described}
        assert all(comments[c.name] == c.comment for c in table.columns)
        assert set(table.key) <= {c.name for c in table.columns}
        assert not any(c.nullable for c in table.columns if c.name in table.key), table.name
