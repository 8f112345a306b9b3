"""The project's own jobs, and Spark's usual group-by, run and timed in one session.

Carried out by `bench session WORK TIMES RECORD`, which `bench` calls through spark-submit.sh, so
that what is measured is what a user starts.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from conf.problem import Problem, nearest
from conf.settings import Settings
from jobs.benchmark import link_tests, mineral_draws
from jobs.benchmark.faults import add_faults
from jobs.benchmark.measure import Record, Stopwatch, folder_bytes, repeated
from jobs.benchmark.report import BY_GROUP
from jobs.benchmark.skew import Skew
from jobs.indicators.indicators import (
    MATRICES_PER_BATCH,
    indicators,
    loaded_contexts,
)
from jobs.indicators.years import of_years, years_part
from jobs.pipeline import all_jobs, execute
from jobs.session import rows_per_batch, start
from jobs.tables import INDICATORS, REJECTS, TRADE, TRADE_MATRICES, Table
from jobs.warehouse import Slice, Warehouse
from jobs.world.generate import generate
from udfs.systemic_risk import (
    YearContext,
    comparative_advantage,
    indicators_of_batches,
    product_year,
)

INDICATORS_BY_GROUP = dataclasses.replace(INDICATORS, name=BY_GROUP)
FLOWS_PER_GROUP_TASK = 500_000
"""Flows behind one task of the group-by way: several tasks a core, each of many product-years."""


@dataclasses.dataclass
class TimedWarehouse(Warehouse):
    """A warehouse that notes how long tables written together took."""

    watch: Stopwatch = dataclasses.field(default_factory=Stopwatch)

    def replace_together(self, *writes: tuple[Table, DataFrame, Slice]) -> None:
        """Replace the tables and note the seconds of all."""
        with self.watch.stage(f"write {', '.join(table.name for table, _, _ in writes)}"):
            super().replace_together(*writes)


def run_session(settings: Settings, words: Sequence[str]) -> None:
    """Carry out WORK so many TIMES and write what it took to RECORD."""
    if len(words) != 3 or words[0] not in WORK or not words[1].isdigit():
        found = words[0] if words else ""
        raise Problem(
            f"bench session takes WORK TIMES RECORD{nearest(found, WORK)}; WORK is one of "
            f"{', '.join(WORK)}. It is what bench itself calls."
        )
    warehouse = TimedWarehouse(start("bench", settings.warehouse).spark, settings.warehouse)
    forced = settings.model_copy(update={"force": True})
    with warehouse.writing(command="bench"):
        WORK[words[0]](warehouse, forced, int(words[1])).write(words[2])


def generated(warehouse: TimedWarehouse, settings: Settings, times: int) -> Record:
    """Nothing -> CSV of a synthetic world; afterwards, untimed, some bad rows in each file."""
    target = Path(settings.ingest.baci or "")

    def work(_: Stopwatch) -> None:
        shutil.rmtree(target, ignore_errors=True)
        generate(warehouse.spark, settings, target)

    runs = repeated(work, times)
    files = list(target.glob("BACI_*.csv"))
    facts = {"rows": sum(map(_lines, files)) - len(files), "written": folder_bytes(target)}
    for file in files:
        add_faults(file)
    return Record(runs, facts=facts)


def _lines(file: Path) -> int:
    with file.open("rb") as text:
        return sum(piece.count(b"\n") for piece in iter(lambda: text.read(2**24), b""))


def ingest(warehouse: TimedWarehouse, settings: Settings, times: int) -> Record:
    """CSV -> trade, rejects, trade_matrices; afterwards, untimed, the stability table."""

    def work(watch: Stopwatch) -> None:
        warehouse.watch = Stopwatch()
        with watch.stage("ingest"):
            _execute(warehouse, settings, "ingest")
        with watch.stage("trade_matrices"):
            _execute(warehouse, settings, "trade_matrices")
        writes = warehouse.watch.stages
        rest = watch.stages.pop("ingest") - sum(writes.values())
        watch.stages = {"read, check, pack": rest, **writes, **watch.stages}

    record = _recorded(work, times, warehouse, (TRADE, REJECTS, TRADE_MATRICES))
    _execute(warehouse, settings, "stability")
    return record


def indicators_job(warehouse: TimedWarehouse, settings: Settings, times: int) -> Record:
    """trade_matrices -> indicators, as the job does it, and its stages one by one."""

    def work(_: Stopwatch) -> None:
        _execute(warehouse, settings, "indicators")

    record = _recorded(work, times, warehouse, (INDICATORS,))
    skew = Skew(warehouse.spark)
    _execute(warehouse, settings, "indicators")
    record = dataclasses.replace(record, facts=record.facts | {"skew": skew.largest()})
    warm = record.runs[1:] or record.runs
    whole = median(run.seconds for run in warm)
    return dataclasses.replace(record, stages=_indicator_stages(warehouse, settings, whole, times))


def group_by(warehouse: TimedWarehouse, settings: Settings, times: int) -> Record:
    """Trade -> indicators with groupBy().applyInPandas and the same kernel."""

    def work(_: Stopwatch) -> None:
        trade = of_years(warehouse.read(TRADE), settings)
        rows = by_group(trade, loaded_contexts(warehouse, settings))
        warehouse.replace(INDICATORS_BY_GROUP, rows, years_part(settings))

    return _recorded(work, times, warehouse, (INDICATORS_BY_GROUP,))


WORK: Mapping[str, Callable[[TimedWarehouse, Settings, int], Record]] = {
    "generate": generated,
    "ingest": ingest,
    "indicators": indicators_job,
    "group_by": group_by,
    "links": link_tests.candidates,
    "all_pairs": link_tests.every_pair_of_products,
    "randomised": mineral_draws.randomised,
}


def _execute(warehouse: Warehouse, settings: Settings, name: str) -> None:
    execute([all_jobs()[name]], warehouse, settings)


def _recorded(
    work: Callable[[Stopwatch], None], times: int, warehouse: Warehouse, tables: Sequence[Table]
) -> Record:
    """Repeat the work; what the first run wrote is taken before old files pile up."""
    first = repeated(work, 1)
    written = sum(folder_bytes(warehouse.files.folder / table.name) for table in tables)
    rows = warehouse.read(tables[0]).count()
    runs = first + repeated(work, times - 1)
    return Record(runs, facts={"written": written, "rows": rows})


def by_group(trade: DataFrame, contexts: dict[int, YearContext]) -> DataFrame:
    """Return `indicators` from rows of trade, one pandas group a product-year."""

    def compute(key: tuple[int, str], flows: pd.DataFrame) -> pd.DataFrame:
        return _rows_of_group(int(key[0]), key[1], flows, contexts[int(key[0])])

    tasks = 1 + trade.count() // FLOWS_PER_GROUP_TASK
    flows = trade.select("year", "product", "exporter", "importer", "value_kusd")
    spread = flows.repartition(tasks, "year", "product")
    return spread.groupBy("year", "product").applyInPandas(compute, INDICATORS.result_schema)


def _rows_of_group(
    year: int, product: str, flows: pd.DataFrame, context: YearContext
) -> pd.DataFrame:
    found = product_year(
        flows["exporter"].to_numpy(np.int64),
        flows["importer"].to_numpy(np.int64),
        flows["value_kusd"].to_numpy(np.float64),
        stability=context.stability,
        imputed=context.imputed,
    )
    rca = comparative_advantage(
        found.exports,
        context.country_exports[found.countries],
        found.exports.sum(),
        context.country_exports.sum(),
    )
    return pd.DataFrame(
        {
            "year": year,
            "product": product,
            "country": found.countries,
            "imports_kusd": found.imports,
            "exports_kusd": found.exports,
            "exposure": found.exposure,
            "hhi": found.hhi,
            "str": found.systemic_risk,
            "influence": found.influence,
            "rca": rca,
            "pv_imputed_share": found.imputed_share,
            "damping": found.damping,
        }
    )


def _indicator_stages(
    warehouse: Warehouse, settings: Settings, whole: float, times: int
) -> dict[str, float]:
    """Split the job's time: each step is run with those before it and nothing after it."""
    matrices = of_years(warehouse.read(TRADE_MATRICES), settings)
    schema = INDICATORS.result_schema
    contexts = loaded_contexts(warehouse, settings)
    kernel = indicators_of_batches(contexts, to_arrow_schema(StructType.fromDDL(schema)))

    def solved_and_dropped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in kernel(batches):
            pass
        yield from ()

    def dropped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            pass
        yield from ()

    steps: dict[str, Callable[[], object]] = {
        "totals": lambda: loaded_contexts(warehouse, settings),
        "read": lambda: _consumed(matrices),
        "decode": lambda: _consumed(matrices.mapInArrow(dropped, schema)),
        "solve": lambda: _consumed(matrices.mapInArrow(solved_and_dropped, schema)),
        "return": lambda: _consumed(indicators(matrices, contexts)),
    }
    with rows_per_batch(warehouse.spark, MATRICES_PER_BATCH):
        took = {name: _median_seconds(step, times) for name, step in steps.items()}
    return {
        "totals": took["totals"],
        "read": took["read"],
        "decode": took["decode"] - took["read"],
        "solve": took["solve"] - took["decode"],
        "return": took["return"] - took["solve"],
        "write": whole - took["totals"] - took["return"],
    }


def _consumed(frame: DataFrame) -> None:
    frame.write.format("noop").mode("overwrite").save()


def _median_seconds(step: Callable[[], object], times: int) -> float:
    return median(run.seconds for run in repeated(lambda _: step(), times))
