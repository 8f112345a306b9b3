"""The same tables without Spark: delta-rs with pandas, DuckDB, and a JDBC client."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable

from jobs.tables import INDICATORS, TABLES

pytestmark = pytest.mark.spark

ROOT = Path(__file__).parent.parent.parent
SERVER_STARTS_WITHIN = 120
"""Seconds; about 15 on an idle machine with two cores."""


def test_every_table_is_read_by_delta_rs_with_the_same_rows(sample):
    for table in TABLES:
        if sample.exists(table):
            theirs = DeltaTable(sample.path(table)).to_pyarrow_dataset()

            assert theirs.count_rows() == sample.read(table).count()
            assert [field.name for field in theirs.schema] == [c.name for c in table.columns]


def test_columns_carry_their_units_for_every_reader(sample):
    fields = DeltaTable(sample.path(INDICATORS)).schema().fields

    assert {f.name: f.metadata["comment"] for f in fields} == {
        column.name: column.comment for column in INDICATORS.columns
    }


def test_duckdb_and_pandas_agree_with_spark(sample):
    question = (
        "select year, avg(str) as risk from indicators where product = '284690' "
        "group by year order by year"
    )
    spark = sample.spark.sql(question).toPandas()
    indicators = DeltaTable(sample.path(INDICATORS)).to_pyarrow_dataset()
    duck = duckdb.sql(question).df()
    one_year = DeltaTable(sample.path(INDICATORS)).to_pandas(filters=[("year", "=", 2023)])
    pandas = one_year[one_year["product"] == "284690"]["str"].mean()

    assert indicators.count_rows() > 0
    assert duck["risk"].tolist() == pytest.approx(spark["risk"].tolist(), rel=1e-12)
    assert spark["risk"].iloc[-1] == pytest.approx(pandas, rel=1e-12)


def test_a_jdbc_client_queries_the_served_tables(sample, sample_settings, tmp_path):
    server = subprocess.Popen(
        [
            str(ROOT / "spark-submit.sh"),
            *("--conf", f"spark.hadoop.hive.server2.thrift.port={_free_port()}"),
            *("serve-sql", "--warehouse", sample_settings.warehouse),
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        address = _address(server)
        answer = subprocess.run(
            [
                str(Path(sys.executable).parent / "beeline"),
                *("-u", address, "--silent=true", "--outputformat=csv2"),
                *("-e", "select count(*) as flows from trade"),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.communicate(timeout=60)

    assert answer.stdout.split()[-2:] == ["flows", "814111"]


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _address(server):
    deadline = time.monotonic() + SERVER_STARTS_WITHIN
    while time.monotonic() < deadline:
        line = server.stdout.readline()
        if found := re.search(r"jdbc:hive2://\S+", line):
            return found[0]
        if not line and server.poll() is not None:
            break
    raise AssertionError("the server did not say where it is")
