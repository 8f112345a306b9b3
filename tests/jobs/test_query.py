"""Questions in SQL: what is answered, in which style, and what is refused."""

import csv
import io
import json

import pytest

from conf.problem import Problem
from jobs import query
from jobs.tables import COUNTRIES, REGION_MEMBERS
from jobs.warehouse import Warehouse

pytestmark = pytest.mark.spark

EVERY_KIND = """
    select cast(null as int) as nothing, 1 as a, 2 as a, array(1, null) as list,
        named_struct('x', 1.5D, 'y', null) as parts, double('nan') as undefined, 0.1D as tenth,
        date'2020-02-01' as day, true as yes, '"q", é\n<b>[red]\\u001b[31m' as text, '' as empty
"""

TEXT = '"q", é\n<b>[red]\x1b[31m'
NAMED = [
    ("nothing", None),
    ("a", 1),
    ("a", 2),
    ("list", [1, None]),
    ("parts", [("x", 1.5), ("y", None)]),
    ("undefined", "NaN"),
    ("tenth", 0.1),
    ("day", "2020-02-01"),
    ("yes", True),
    ("text", TEXT),
    ("empty", ""),
]


@pytest.fixture
def ask(sample, sample_settings, capsys, monkeypatch):
    """Return the function from a query to what it prints; the warehouse is opened already."""
    monkeypatch.setattr(query, "_existing", lambda _: sample)

    def printed(*words):
        capsys.readouterr()
        query.run_query(sample_settings, words)
        return capsys.readouterr().out

    return printed


def refusal(ask, *words):
    with pytest.raises(Problem) as caught:
        ask(*words)
    said = str(caught.value)
    assert "\n" not in said and "at org.apache" not in said
    return said


def test_a_query_is_answered_in_each_style(ask):
    question = "select country, iso3, iso2 from countries where country in (251, 516) order by 1"
    table = ask(question)

    assert "country" in table and "France" not in table
    assert [word for word in table.split() if word.isalnum()][-3:] == ["516", "NAM", "NA"]
    assert ask(question, "csv") == "country,iso3,iso2\r\n251,FRA,FR\r\n516,NAM,NA\r\n"
    assert [json.loads(line) for line in ask(question, "json").splitlines()] == [
        {"country": 251, "iso3": "FRA", "iso2": "FR"},
        {"country": 516, "iso3": "NAM", "iso2": "NA"},
    ]


def test_every_kind_of_value_survives_in_each_style(ask):
    head, cells = csv.reader(io.StringIO(ask(EVERY_KIND, "csv"), newline=""))
    assert head == [name for name, _ in NAMED]
    assert cells[:5] == ["", "1", "2", "[1, null]", '{"x": 1.5, "y": null}']
    assert cells[5:] == ["nan", "0.1", "2020-02-01", "True", TEXT, ""]

    (line,) = ask(EVERY_KIND, "json").splitlines()
    assert json.loads(line, object_pairs_hook=list) == NAMED

    table = ask(EVERY_KIND)
    assert "null" in table and "<b>[red]\\x1b[31m" in table and "\x1b" not in table
    assert "\x1b" not in ask("select 1 as `a\x1b[31m[bold]`")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) FROM trade;",
        "-- a comment; drop table trade\nselect 1",
        "/* a\ncomment */ (select 1) -- and another",
        "with y as (select max(year) as year from trade) select * from y",
        "from countries select name limit 1",
        "from countries |> where country = 251 |> select name",
        "table region_members",
        "values (1, 'a')",
        "show tables",
        "show columns in trade",
        "describe extended trade",
        "desc history trade",
        "explain insert into countries values (1)",
        "select count(*) from trade version as of 1",
        "select 'insert into; drop' as `delete`",
    ],
)
def test_what_only_reads_is_answered(ask, statement):
    assert ask(statement, "json").strip()


@pytest.mark.parametrize(
    "statement",
    [
        "insert into countries values (1, 'x', null, null, null)",
        "create table x (a int)",
        "create or replace temporary view trade as select 1",
        "drop table trade",
        "merge into countries using products on false when not matched then insert *",
        "delete from trade",
        "update trade set value_kusd = 0",
        "alter table trade add column x int",
        "truncate table trade",
        "vacuum trade",
        "restore table trade to version as of 1",
        "set spark.sql.runSQLOnFiles = true",
        "reset",
        "use other",
        "cache table trade",
        "add jar '/tmp/x.jar'",
        "execute immediate 'drop table trade'",
        "begin drop table trade; end",
        "call x()",
        "/* select */ drop table trade",
        "-- select\ndrop table trade",
        "((drop table trade))",
        "selct 1",
        "",
        " ;; ",
        "-- nothing",
        "x" * 10_000,
    ],
)
def test_a_statement_that_may_write_is_refused_by_its_first_word(ask, statement):
    said = refusal(ask, statement)

    assert said.startswith("sql reads and does not write; found a statement that starts with '")
    assert len(said) < 250


@pytest.mark.parametrize(
    ("statement", "verb"),
    [
        ("with x as (select 1) insert into countries select 1, 'x', null, null, null", "insert"),
        ("with x as (select 1) insert into countries replace where true select 1, ''", "insert"),
        ("with x as (select 1 as a) delete from countries", "delete"),
        ("with x as (select 1 as a) update countries set name = ''", "update"),
        (
            "with x as (select 1 as a) merge into countries using x on true "
            "when matched then delete",
            "merge",
        ),
        ("from countries insert overwrite countries select *", "insert"),
        ("from countries insert into a select * insert into b select *", "insert"),
        ("from countries insert overwrite directory '/tmp/x' using csv select name", "insert"),
    ],
)
def test_a_statement_that_writes_after_with_or_from_is_refused_unexecuted(
    ask, sample, statement, verb
):
    before = sample.version(COUNTRIES)

    assert (
        refusal(ask, statement) == f"sql reads and does not write; found {verb} in the statement."
    )
    assert sample.version(COUNTRIES) == before


@pytest.mark.parametrize(
    "statement",
    [
        "select * from csv.`/etc/passwd`",
        "select * from text.`file:/etc/passwd`",
        "select * from parquet.`{elsewhere}`",
        "select * from delta.`{elsewhere}`",
        "select * from delta.`{elsewhere}` version as of 1",
        "select (select count(*) from text.`/etc/passwd`)",
        "with x as (select * from json.`/etc/passwd`) select * from x",
        "select * from countries where exists (select * from text.`/etc/passwd`)",
        "table csv.`/etc/passwd`",
        "describe delta.`{elsewhere}`",
        "describe history delta.`{elsewhere}`",
        "describe history '{elsewhere}'",
        "describe detail '{elsewhere}'",
    ],
)
def test_files_outside_the_warehouse_are_not_read(ask, sample, statement):
    elsewhere = sample.path(COUNTRIES)  # even a table of the warehouse is read by name alone

    said = refusal(ask, statement.format(elsewhere=elsewhere))

    assert "sql reads" in said and "by name" in said


def test_reading_by_path_is_possible_again_afterwards(ask, sample):
    refusal(ask, "select * from csv.`/etc/passwd`")

    assert sample.spark.sql(f"select * from {sample.sql_name(COUNTRIES)}").count() > 200


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["select * from trad"], "The warehouse has no table `trad` (nearest: trade"),
        (["select * from indicator"], "The warehouse has no table `indicator` (nearest: indicator"),
        (["select * from other.trade"], "The warehouse has no table `other`.`trade` (nearest: tra"),
        (["select yeer from trade"], "with name `yeer` cannot be resolved. Did you mean"),
        (["select * frm trade"], "Syntax error at or near 'trade': extra input 'trade'."),
        (["select 1; drop table trade"], "Syntax error at or near 'drop': extra input 'drop'."),
        (["select 1; select 2"], "Syntax error at or near 'select': extra input 'select'."),
        (["select 'a"], "The query cannot be answered: [PARSE_SYNTAX_ERROR]"),
        (["select"], "The query cannot be answered: [PARSE_SYNTAX_ERROR]"),
        (["select 1/0"], "Division by zero."),
        (["select 1/0", "csv"], "Division by zero."),
        (["select int(name) from countries"], "[CAST_INVALID_INPUT] The value '"),
        (["select int(name) from countries", "csv"], "[CAST_INVALID_INPUT] The value '"),
        (["select int(name) from countries", "json"], "[CAST_INVALID_INPUT] The value '"),
        (["select raise_error('a\\nb')", "csv"], "The query cannot be answered: [USER_RAISED_EXC"),
        ([], "sql takes one quoted query and then, if wanted, csv or json: sql"),
        (["select 1", "xml"], "sql takes one quoted query and then, if wanted, csv or json: sql"),
        (["select", "1", "csv"], "sql takes one quoted query and then, if wanted, csv or json"),
    ],
)
def test_a_query_that_cannot_be_answered_gets_one_line(ask, words, sentence):
    assert sentence in refusal(ask, *words)


def test_a_table_that_is_not_there_yet_says_what_writes_it():
    said = query._no_such_table("`indicators`")

    assert said == "The warehouse has no table indicators yet; run `indicators` first."


def test_a_query_opens_the_warehouse_that_is_set(sample, sample_settings, capsys):
    query.run_query(sample_settings, ["select count(*) as n from countries", "csv"])

    assert capsys.readouterr().out.split() == ["n", str(sample.read(COUNTRIES).count())]


def test_a_folder_without_tables_is_refused(spark, sample_settings, tmp_path):
    empty = sample_settings.model_copy(update={"warehouse": str(tmp_path / "none")})

    with pytest.raises(
        Problem, match=r"There are no tables in .*none; run ./spark-submit.sh first"
    ):
        query.run_query(empty, ["select 1"])
    assert not (tmp_path / "none").exists()


def test_tables_says_which_names_there_are(sample_settings):
    with pytest.raises(Problem, match=r"No table is called 'trad' \(nearest: trade"):
        query.print_tables(sample_settings, ["trad"])


def test_a_warehouse_may_lie_under_any_name(spark, tmp_path):
    rows = spark.createDataFrame([("EU", 251, 1958, None)], REGION_MEMBERS.result_schema)
    spark.sql("create database odd_names")
    try:
        spark.sql("use odd_names")
        for name in ('it\'s "b" `c` back\\slash', "50% #1 [x] {y} é国"):
            warehouse = Warehouse(spark, str(tmp_path / name))
            warehouse.replace(REGION_MEMBERS, rows)
            warehouse.register()

            assert (tmp_path / name / "region_members" / "_delta_log").is_dir()
            assert spark.sql("select region from region_members").collect() == [("EU",)]
            spark.sql("drop table region_members")
    finally:
        spark.sql("use default")
        spark.sql("drop database odd_names cascade")
