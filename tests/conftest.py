"""The one Spark session, configured as spark-submit.sh configures it, and the sample warehouse."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
os.environ["PYSPARK_PYTHON"] = sys.executable
os.environ["PYTHONPATH"] = str(ROOT)
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").appName("tests")
    for line in (ROOT / "conf" / "spark-defaults.conf").read_text().splitlines():
        if line.startswith("spark."):
            key, value = line.split(None, 1)
            builder = builder.config(key, value)
    session = (
        builder.config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("catalogue")))
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def sample_settings(tmp_path_factory):
    from conf.settings import SAMPLE, load

    folder = tmp_path_factory.mktemp("a sample with spaces")
    return load(
        {
            "warehouse": str(folder / "warehouse"),
            "report_dir": str(folder / "report"),
            "baci": str(SAMPLE / "BACI_HS92_V202601_raw_materials.zip"),
            "wgi": str(SAMPLE / "wgi_political_stability.csv"),
            "draws": "5",
        },
        environment={},
    )


@pytest.fixture(scope="session")
def sample(spark, sample_settings):
    """The bundled sample through every job; tests read it and write nothing."""
    from jobs.pipeline import all_jobs, execute
    from jobs.warehouse import Warehouse

    warehouse = Warehouse(spark, sample_settings.warehouse)
    execute(list(all_jobs().values()), warehouse, sample_settings)
    warehouse.register()
    return warehouse
