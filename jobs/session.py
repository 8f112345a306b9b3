"""The one place that makes a Spark session."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

from jobs.warehouse import Warehouse


def start(name: str, root: str) -> Warehouse:
    """Return the warehouse at `root` in a new session.

    spark-submit and conf/spark-defaults.conf hold the configuration; what Spark's catalogue wants
    to keep in a folder it keeps in the warehouse.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(f"trade-risk {name}")
    session = builder.config("spark.sql.warehouse.dir", catalogue_folder(root)).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    # PySpark logs each refused query with its whole Java stack; the sentence is ours to print.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    return Warehouse(session, root)


def catalogue_folder(root: str) -> str:
    """Return the folder of Spark's catalogue, which stays empty: tables lie where they are."""
    return f"{root.rstrip('/')}/.catalogue"


def open_warehouse(name: str, root: str) -> Warehouse:
    """Start a session and name every table of the warehouse in its catalogue."""
    warehouse = start(name, root)
    warehouse.register()
    return warehouse


@contextmanager
def rows_per_batch(spark: SparkSession, rows: int) -> Iterator[None]:
    """Hand at most so many rows to Python at once, for tables whose rows are whole matrices."""
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", rows)
    try:
        yield
    finally:
        spark.conf.unset("spark.sql.execution.arrow.maxRecordsPerBatch")
