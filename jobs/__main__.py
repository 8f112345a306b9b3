"""The command line: `spark-submit jobs/__main__.py COMMAND ...`, by way of ./spark-submit.sh.

`check COMMAND ...` and `--help` run in plain Python and import nothing of Spark, so that a wrong
word is answered at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

# Spark puts the folder of this script on the path, where its modules would shadow others.
sys.path[:] = [
    str(Path(__file__).resolve().parent.parent),
    *(p for p in sys.path if p != str(Path(__file__).resolve().parent)),
]

from conf.problem import Problem, nearest  # noqa: E402
from conf.settings import (  # noqa: E402
    SAMPLE_BACI,
    SAMPLE_WGI,
    Settings,
    load,
    materials_available,
    options,
    overridden,
    parse_command_line,
)
from jobs.discovery import job_files  # noqa: E402

if TYPE_CHECKING:
    from jobs.warehouse import Warehouse

DEMO_DRAWS = 10
"""Randomised networks of the demo for each mineral, year and scheme, for its time; see --draws."""


@dataclass(frozen=True)
class Command:
    """A word on the command line: what it does, what words may follow, how it is carried out.

    `run` takes the settings and the words that follow.
    """

    name: str
    does: str
    words: str
    run: Callable[[Settings, Sequence[str]], None]


def demo(settings: Settings, _: Sequence[str]) -> None:
    """Run everything on the bundled real sample."""
    chosen = settings.model_fields_set & {"materials"}
    sample = settings.model_copy(
        update={
            "materials": settings.materials if chosen else tuple(materials_available()),
            "ingest": settings.ingest.model_copy(
                update={"baci": settings.ingest.baci or str(SAMPLE_BACI)}
            ),
            "stability": settings.stability.model_copy(
                update={"wgi": settings.stability.wgi or str(SAMPLE_WGI)}
            ),
            "minerals": settings.minerals
            if "draws" in settings.minerals.model_fields_set
            else settings.minerals.model_copy(update={"draws": DEMO_DRAWS}),
        }
    )
    run_everything(sample, ())


def run_everything(settings: Settings, _: Sequence[str]) -> None:
    """Run every job whose tables are not up to date, then say where things are."""
    from jobs.pipeline import all_jobs, execute
    from jobs.summary import print_summary

    with _writable(settings, "run") as warehouse:
        execute(list(all_jobs().values()), warehouse, settings)
        warehouse.register()
        print_summary(warehouse, settings)


def run_job(name: str) -> Callable[[Settings, Sequence[str]], None]:
    """Return the command that runs one job and nothing else."""

    def run(settings: Settings, _: Sequence[str]) -> None:
        from jobs.pipeline import all_jobs, execute

        with _writable(settings, name) as warehouse:
            execute([all_jobs()[name]], warehouse, settings)

    return run


def sql(settings: Settings, words: Sequence[str]) -> None:
    """Run a query over the warehouse and print its rows."""
    from jobs.query import run_query

    run_query(settings, words)


def serve_sql(settings: Settings, _: Sequence[str]) -> None:
    """Serve the warehouse to JDBC and ODBC clients."""
    from jobs.query import serve

    serve(settings)


def tables(settings: Settings, words: Sequence[str]) -> None:
    """Print the table dictionary, with row counts where tables exist."""
    from jobs.query import print_tables

    print_tables(settings, words)


def fetch(settings: Settings, words: Sequence[str]) -> None:
    """Download the public data."""
    from jobs.sources.fetch import fetch as download

    download(words)


def package(settings: Settings, words: Sequence[str]) -> None:
    """Build what a cluster needs."""
    from jobs.packaging import build

    build(words)


def bench(settings: Settings, words: Sequence[str]) -> None:
    """Measure speed and memory beside peers."""
    from jobs.benchmark import run

    run(settings, words)


def shock(settings: Settings, words: Sequence[str]) -> None:
    """Print where a shock to the supply of a mineral goes."""
    from jobs.minerals.shock import print_shock

    print_shock(settings, words)


def generate(settings: Settings, words: Sequence[str]) -> None:
    """Write a synthetic world in BACI's own file format."""
    from jobs.session import start
    from jobs.world.generate import generate as write

    if len(words) != 1:
        raise Problem("generate takes one word, the FOLDER to write, which must not exist.")
    write(start("generate", settings.warehouse).spark, settings, Path(words[0]))
    print(f"A synthetic world lies in {words[0]}; for use: --baci {words[0]}")


def edge(settings: Settings, words: Sequence[str]) -> None:
    """Print what speaks for an edge of a production network."""
    from jobs.network.edge_dossiers import print_edge

    print_edge(settings, words)


def networks(settings: Settings, words: Sequence[str]) -> None:
    """Print how two production networks differ, tier by tier."""
    from jobs.network.comparison import print_comparison

    print_comparison(settings, words)


def accuracy(settings: Settings, words: Sequence[str]) -> None:
    """Print how often each matcher finds the product that a reader found."""
    from jobs.network.accuracy import print_accuracy

    print_accuracy(settings, words)


def profile(settings: Settings, words: Sequence[str]) -> None:
    """Print a country or a product."""
    from jobs.overview import print_profile

    print_profile(settings, words)


def compare(settings: Settings, words: Sequence[str]) -> None:
    """Print two countries, products or years side by side."""
    from jobs.overview import print_compare

    print_compare(settings, words)


def record(settings: Settings, words: Sequence[str]) -> None:
    """Make a recording of the answers and picks that the warehouse asked for."""
    from jobs.network.questions import record_all

    target = Path(words[0] if words else "responses_recorded.jsonl")
    for path, count in record_all(settings, Path(settings.warehouse), target).items():
        print(f"{count:,} {'picks' if path.suffix == '.csv' else 'answers'} in {path}")
    print(f"For use: --recordings {target.parent}")


def commands() -> dict[str, Command]:
    """Return every command by name, jobs after the others."""
    fixed = [
        Command("demo", "run everything on the bundled real sample (the default)", "", demo),
        Command("run", "run every job that is not up to date", "", run_everything),
        Command(
            "fetch",
            "download a BACI release from CEPII and the scores of WGI, into data/",
            "REVISION RELEASE [FOLDER]",
            fetch,
        ),
        Command("sql", "Spark SQL over the warehouse", "QUERY [csv|json]", sql),
        Command("serve-sql", "serve the warehouse to JDBC and ODBC clients", "", serve_sql),
        Command(
            "tables",
            "the table dictionary: columns, units, keys, row counts",
            "[NAME ...|markdown]",
            tables,
        ),
        Command(
            "shock",
            "where a shock to a mineral's supply from one country goes, step by step",
            "MINERAL ORIGIN [YEAR]",
            shock,
        ),
        Command(
            "generate", "a synthetic world in BACI's file format, truth known", "FOLDER", generate
        ),
        Command("edge", "what speaks for an edge of a network, and what not", "INPUT OUTPUT", edge),
        Command(
            "networks",
            "how two networks differ; each MATERIAL[=VARIANT][@WAREHOUSE]",
            "FIRST SECOND",
            networks,
        ),
        Command("accuracy", "how well each matcher does on labelled lines", "[FILE]", accuracy),
        Command(
            "profile",
            "a country or a product in the terminal",
            "COUNTRY|PRODUCT [YEAR] [MATERIAL]",
            profile,
        ),
        Command(
            "compare",
            "two countries, two products or two years side by side",
            "A B [YEAR] [MATERIAL] | A YEAR YEAR [MATERIAL]",
            compare,
        ),
        Command("package", "build what a cluster needs", "[FOLDER]", package),
        Command("record", "make a recording of answers and picks asked for", "[FILE]", record),
        Command(
            "bench",
            "speed and memory beside peers",
            "[quick|full] [products N] [runs N] [json PATH]",
            bench,
        ),
    ]
    found = {command.name: command for command in fixed}
    for name, file in job_files().items():
        found[name] = Command(name, file.question, "", run_job(name))
    return found


@contextmanager
def _writable(settings: Settings, command: str) -> Iterator[Warehouse]:
    """Open the warehouse for the one run that writes to it."""
    from jobs.session import start

    warehouse = start(command, settings.warehouse)
    with warehouse.writing(command=command):
        yield warehouse


def usage(command: Command | None = None) -> str:
    """Return the help text, of one command or of all."""
    if command is not None:
        form = f"./spark-submit.sh [SPARK OPTIONS] {command.name} {command.words} [SETTINGS]"
        head = f"{form}\n\n  {command.does}\n"
    else:
        listed = "\n".join(f"  {c.name:<22} {c.does}" for c in commands().values())
        head = (
            "./spark-submit.sh [SPARK OPTIONS] [COMMAND] [SETTINGS]\n\n"
            "Which countries depend on whom for a critical material, directly and indirectly.\n"
            f"With no command: demo.\n\nCommands\n{listed}\n"
            f"  {'test':<22} everything that is checked; `test fast`: numerics, without Spark\n"
        )
    lines = ["", "Settings (in a file, on the command line, in the environment; see README)"]
    for option in options():
        value = "" if option.is_switch else " VALUE"
        default = option.field.default
        shown = (
            f" [{','.join(map(str, default)) if isinstance(default, tuple) else default}]"
            if default not in (None, (), False)
            else ""
        )
        lines.append(f"  {option.flag + value:<24} {option.field.description}{shown}")
    lines.append(f"  {'--settings FILE':<24} TOML file of settings")
    lines.append(
        "\nEvery option of Spark's own spark-submit (--master, --conf, ...) passes through."
    )
    return head + "\n".join(lines)


def parse(arguments: Sequence[str]) -> tuple[Command, Settings, list[str]]:
    """Return the command, its settings and the words that follow, or raise what is wrong."""
    known = commands()
    values, words, file = parse_command_line(arguments)
    name = words.pop(0) if words else "demo"
    if name not in known:
        raise Problem(
            f"There is no command {name!r}{nearest(name, known)}; see ./spark-submit.sh --help."
        )
    command = known[name]
    if words and not command.words:
        raise Problem(
            f"{name} takes no word after it, found {words[0]!r}; "
            f"see ./spark-submit.sh {name} --help."
        )
    if not words and command.words and not command.words.startswith("["):
        raise Problem(f"{name} needs {command.words}; see ./spark-submit.sh {name} --help.")
    settings = load(values, file=file)
    for notice in overridden(values, os.environ):
        print(notice, file=sys.stderr)
    return command, settings, words


def main(arguments: Sequence[str]) -> int:
    """Run the command line; return the exit status."""
    checking = bool(arguments) and arguments[0] == "check"
    arguments = arguments[1:] if checking else arguments
    before_words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    try:
        if {"--help", "-h"} & set(before_words) or before_words[:1] == ["help"]:
            name = next((a for a in before_words if a in commands()), None)
            print(usage(commands()[name] if name else None), flush=True)
            return 0
        command, settings, words = parse(arguments)
        if not checking:
            command.run(settings, words)
    except Problem as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # who read the output has read enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        print(f"\n{error.filename}: {error.strerror}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
