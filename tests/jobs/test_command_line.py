"""The command line: what each word does, what is answered to a wrong one, and how fast."""

import importlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conf.problem import Problem
from conf.settings import SAMPLE, options
from jobs.discovery import job_files

program = importlib.import_module("jobs.__main__")
ROOT = Path(__file__).parent.parent.parent
HELP_WITHIN = 5.0
"""Seconds; 0.5 on an idle machine with two cores, and the tests may share it with other work."""
HEAVY = ("pyspark", "pandas", "numpy", "scipy", "pyarrow", "rich")


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch):
    for option in options():
        monkeypatch.delenv(f"TRADE_RISK_{option.name.upper()}", raising=False)


@pytest.fixture
def ran(monkeypatch):
    """Record what would be run instead of running it."""
    calls = []
    for name in ("run_everything", "sql", "tables", "package", "bench", "serve_sql"):
        monkeypatch.setattr(
            program, name, lambda *arguments, name=name: calls.append((name, *arguments))
        )
    monkeypatch.setattr(
        program, "run_job", lambda job: lambda *arguments: calls.append((job, *arguments))
    )
    return calls


# What is run


def test_no_command_is_the_demo_on_the_bundled_sample(ran):
    assert program.main([]) == program.main(["demo"]) == 0

    (name, settings, _), again = ran
    assert name == "run_everything" and again == ran[0]
    assert Path(settings.ingest.baci).parent == Path(settings.stability.wgi).parent == SAMPLE
    assert Path(settings.ingest.baci).is_file() and Path(settings.stability.wgi).is_file()


def test_the_demo_takes_ones_own_data(ran):
    program.main(["demo", "--baci", "mine.zip", "--wgi=mine.csv"])

    assert ran[0][1].ingest.baci == "mine.zip" and ran[0][1].stability.wgi == "mine.csv"


@pytest.mark.parametrize("command", ["run_everything", *job_files()])
def test_a_command_gets_its_settings_and_no_words(ran, command):
    name = {"run_everything": "run"}.get(command, command)

    assert program.main(["--seed", "5", name, "--years=2007"]) == 0

    ((called, settings, words),) = ran
    assert (called, settings.seed, settings.years, list(words)) == (command, 5, (2007,), [])


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        (["sql", "select -1 -- minus", "csv"], ("sql", ["select -1 -- minus", "csv"])),
        (["sql", "--", "--a comment\nselect 1"], ("sql", ["--a comment\nselect 1"])),
        (["sql", "--", "select '--help'"], ("sql", ["select '--help'"])),
        (["sql", "--", "--help"], ("sql", ["--help"])),
        (["tables", "trade", "rejects"], ("tables", ["trade", "rejects"])),
        (["tables"], ("tables", [])),
        (["serve-sql"], ("serve_sql", [])),
        (["bench", "1", "2"], ("bench", ["1", "2"])),
        (["package", "a folder"], ("package", ["a folder"])),
    ],
)
def test_words_arrive_as_they_were_given(ran, arguments, call):
    assert program.main(arguments) == 0

    ((called, _, words),) = ran
    assert (called, list(words)) == call


def test_a_check_runs_nothing_and_finds_what_is_wrong(ran, capsys):
    assert program.main(["check", "run", "--years", "2007"]) == 0
    assert program.main(["check"]) == 0
    assert program.main(["check", "run", "--years", "20x7"]) == 2

    assert ran == []
    assert "--years: found '20x7'" in capsys.readouterr().err


# What is refused


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["rum"], "There is no command 'rum' (nearest: run); see ./spark-submit.sh --help."),
        (["indicator"], "There is no command 'indicator' (nearest: indicators"),
        (["select 1"], "There is no command 'select 1'"),
        ([""], "There is no command ''"),
        (["x" * 10_000], "There is no command 'xxx"),
        (["run", "2007"], "run takes no word after it, found '2007'; see ./spark-submit.sh run --"),
        (["run", "-x"], "run takes no word after it, found '-x'"),
        (["ingest", "BACI.zip"], "ingest takes no word after it, found 'BACI.zip'"),
        (["--force", "true"], "There is no command 'true'"),
        (["sql"], "sql needs QUERY [csv|json]; see ./spark-submit.sh sql --help."),
        (["run", "--bacy", "x"], "--bacy: no such option (nearest: --baci, --replace"),
        (["run", "--baci"], "--baci: needs a value"),
        (["run", "--material", "litium"], "found 'litium' (nearest: lithium, gallium); expected"),
        (["run", "--settings", "none.toml"], "The settings file none.toml cannot be read: No such"),
        (["run", "--years", "2009-2007", "--seed=x"], "--years: found '2009-2007', which runs bac"),
        (["run", "--years", "2009-2007", "--seed=x"], "--seed: found 'x'; input should be a valid"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_command_line_is_answered_in_a_sentence(ran, capsys, arguments, sentence):
    assert program.main(arguments) == 2

    printed = capsys.readouterr()
    assert sentence in printed.err
    assert printed.out == "" and "Traceback" not in printed.err
    assert ran == []


def test_a_variable_that_overrides_an_option_is_said(ran, capsys, monkeypatch):
    monkeypatch.setenv("TRADE_RISK_SEED", "9")

    assert program.main(["run", "--seed", "5"]) == 0

    assert ran[0][1].seed == 9
    assert "TRADE_RISK_SEED=9 (environment) overrides --seed" in capsys.readouterr().err


def test_a_wrong_variable_is_refused(ran, capsys, monkeypatch):
    monkeypatch.setenv("TRADE_RISK_SEEED", "9")

    assert program.main(["run"]) == 2
    assert "TRADE_RISK_SEEED in the environment: no such setting" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fault", "status", "sentence"),
    [
        (Problem("Found this; expected that."), 2, "\nFound this; expected that.\n"),
        (PermissionError(13, "Permission denied", "/no"), 2, "\n/no: Permission denied.\n"),
        (OSError(28, "No space left on device", "/full"), 2, "\n/full: No space left on device.\n"),
        (KeyboardInterrupt(), 130, "\nInterrupted. Run the same command again to go on.\n"),
    ],
)
def test_what_stops_a_run_is_said_and_shows_in_the_status(
    monkeypatch, capsys, fault, status, sentence
):
    def stopped(*_):
        raise fault

    monkeypatch.setattr(program, "run_everything", stopped)

    assert program.main(["run"]) == status
    assert capsys.readouterr().err == sentence


# Help


def test_help_names_every_command_job_and_setting(ran, capsys):
    assert program.main(["--help"]) == 0

    said = capsys.readouterr().out
    assert all(f"\n  {name} " in said for name in [*program.commands(), "test"])
    assert all(option.flag in said and option.field.description in said for option in options())
    assert set(job_files()) <= set(program.commands())
    assert max(map(len, said.splitlines())) <= 120


@pytest.mark.parametrize(
    "asked", [["run", "--help"], ["--help", "run"], ["help", "run"], ["run", "-h"]]
)
def test_help_of_one_command_is_about_it(ran, capsys, asked):
    assert program.main(asked) == 0

    assert "run every job that is not up to date" in capsys.readouterr().out
    assert ran == []


@pytest.mark.parametrize("command", program.commands().values(), ids=lambda command: command.name)
def test_every_command_says_in_a_line_what_it_does(command):
    assert 10 < len(command.does) < 100 and "\n" not in command.does


@pytest.mark.parametrize("arguments", [["--help"], ["check", "run"], ["nonsense"]])
def test_an_answer_without_spark_imports_nothing_heavy(arguments):
    code = (
        "import sys; from importlib import import_module\n"
        f"status = import_module('jobs.__main__').main({arguments!r})\n"
        f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules], status)"
    )
    started = time.monotonic()

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert done.stdout.splitlines()[-1] == f"heavy: [] {2 * (arguments == ['nonsense'])}"
    assert time.monotonic() - started < HELP_WITHIN
