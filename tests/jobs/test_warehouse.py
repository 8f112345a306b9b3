"""Tables are made as declared, and those of an earlier revision get the columns they lack."""

import dataclasses

import pyarrow.parquet as pq
import pytest

from conf.problem import Problem
from jobs.tables import COUNTRIES, INDICATORS, TRADE_MATRICES
from jobs.warehouse import Warehouse

pytestmark = pytest.mark.spark

NOW = dataclasses.replace(COUNTRIES, columns_ddl="a int not null 'key'\n b double 'added'")
BEFORE = dataclasses.replace(COUNTRIES, columns_ddl="a int not null 'key'")


@pytest.fixture
def warehouse(spark, tmp_path):
    return Warehouse(spark, str(tmp_path))


def test_a_column_that_an_earlier_revision_did_not_have_is_added(spark, warehouse):
    warehouse.replace(BEFORE, spark.createDataFrame([(1,)], "a int"))
    warehouse.replace(NOW, spark.createDataFrame([(2, 0.5)], "a int, b double"))
    found = warehouse.read(NOW)
    assert [tuple(row) for row in found.collect()] == [(2, 0.5)]
    assert found.schema["b"].metadata["comment"] == "added"


def test_a_table_that_was_made_and_never_written_is_made_anew(spark, warehouse):
    with pytest.raises(Exception, match="NOT NULL"):
        warehouse.replace(BEFORE, spark.createDataFrame([(None,)], "a int"))
    assert warehouse.version(BEFORE) == 0 and not warehouse.exists(BEFORE)
    later = Warehouse(spark.newSession(), warehouse.root)
    later.replace(NOW, spark.createDataFrame([(2, 0.5)], "a int, b double"))
    assert later.read(NOW).columns == ["a", "b"]


def test_a_required_column_that_an_earlier_revision_did_not_have_is_named(spark, warehouse):
    wanted = dataclasses.replace(NOW, columns_ddl="a int not null 'key'\n b double not null 'new'")
    warehouse.replace(BEFORE, spark.createDataFrame([(1,)], "a int"))
    with pytest.raises(Problem, match=r"has no b; delete .*/countries and run again"):
        warehouse.replace(wanted, spark.createDataFrame([(2, 0.5)], "a int, b double"))
    assert warehouse.read(BEFORE).count() == 1


@pytest.mark.parametrize("table", [INDICATORS, TRADE_MATRICES], ids=lambda table: table.name)
def test_repetitions_are_looked_for_in_keys_and_not_in_measures(sample, table):
    file = next(sample.files.folder.glob(f"{table.name}/year=*/*.parquet"))
    group = pq.ParquetFile(file).metadata.row_group(0)
    columns = [group.column(n) for n in range(group.num_columns)]
    encodings = {column.path_in_schema: " ".join(column.encodings) for column in columns}
    with_dictionary = {name for name, found in encodings.items() if "DICTIONARY" in found}
    assert set(table.measures) < set(encodings)
    assert with_dictionary and with_dictionary.isdisjoint(table.measures)
