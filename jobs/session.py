"""The one place that makes a Spark session."""

from __future__ import annotations

import logging
import os
import sys

from pyspark.sql import SparkSession

from jobs.warehouse import Warehouse


def start(name: str) -> SparkSession:
    """Return the session; spark-submit and conf/spark-defaults.conf hold its configuration."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    session = SparkSession.builder.appName(f"trade-risk {name}").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    # PySpark logs each refused query with its whole Java stack; the sentence is ours to print.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    return session


def open_warehouse(name: str, root: str) -> Warehouse:
    """Start a session and name every table of the warehouse in its catalogue."""
    warehouse = Warehouse(start(name), root)
    warehouse.register()
    return warehouse
