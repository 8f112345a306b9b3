"""The front door: what spark-submit.sh hands to whom, and what it says when something is missing.

No Spark, no Java and no network: copies of the checkout in a folder with spaces, whose Python,
Java and Spark are stand-ins that write down how they were called.
"""

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from conf import environment

ROOT = Path(__file__).resolve().parents[1]
LAUNCHER_PARSER = "org/apache/spark/launcher/SparkSubmitOptionParser.class"
SWITCHES = {"--verbose", "--version", "--supervise", "--load-spark-defaults"}
OURS = {"--help", "--usage-error"}  # options of Spark that do not reach it

RECORDER = """
import json, os, sys
with open(os.environ["RECORD"], "a") as record:
    print(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]), file=record)
sys.exit(any(word in sys.argv for word in os.environ.get("FAILING", "").split()))
"""


@dataclass
class Call:
    """One call of a stand-in."""

    program: str
    arguments: list[str]
    cwd: str
    environ: dict[str, str]


@dataclass
class Checkout:
    """A copy of the files that the front door needs, and the environment it is called in."""

    root: Path
    environ: dict[str, str]

    def start(self, *words: str, cwd: Path | None = None, **environ: str) -> subprocess.Popen[str]:
        """Start the front door in a process group of its own."""
        return subprocess.Popen(
            [self.root / "spark-submit.sh", *words],
            cwd=cwd or self.root.parent,
            env=self.environ | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __call__(self, *words: str, **options) -> subprocess.CompletedProcess[str]:
        """Call the front door and wait for it."""
        with self.start(*words, **options) as process:
            output, errors = process.communicate(timeout=60)
        return subprocess.CompletedProcess(words, process.returncode, output, errors)

    @property
    def calls(self) -> list[Call]:
        """What the stand-ins wrote down, in order."""
        record = Path(self.environ["RECORD"])
        lines = record.read_text().splitlines() if record.exists() else []
        return [Call(words[0], words[1:], cwd, env) for words, cwd, env in map(json.loads, lines)]

    def handed_to_spark(self, *words: str, **options) -> tuple[list[str], list[str]]:
        """Options of the user, and arguments of the program, in the last call of spark-submit."""
        called = self(*words, **options)
        assert called.returncode == 0, called.stderr
        call = self.calls[-1]
        assert call.program == "spark-submit"
        at = call.arguments.index(str(self.root / "jobs" / "__main__.py"))
        own = call.arguments.index(f"spark.pyspark.driver.python={self.root}/.venv/bin/python")
        return call.arguments[own + 1 : at], call.arguments[at + 1 :]


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def fake_java(home: Path, version: str) -> Path:
    script(home / "bin" / "java", "exit 0")
    (home / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return home


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    """A checkout without an environment; it declares pyspark alone."""
    root = tmp_path / "a path with spaces" / "checkout"
    for folder in ("conf", "jobs"):
        (root / folder).mkdir(parents=True)
        (root / folder / "__init__.py").touch()
    (root / "jobs" / "__main__.py").write_text("print('the help')\n")
    shutil.copy(ROOT / "spark-submit.sh", root)
    shutil.copy(ROOT / "conf" / "environment.py", root / "conf")
    (root / "requirements.lock").write_text("delta-spark==4.4.0\npyspark==4.2.0\n")
    (root / "pyproject.toml").write_text(
        '[project]\ndependencies = ["pyspark>=4"]\noptional-dependencies = {test = []}\n'
    )
    environ = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "JAVA_HOME": str(fake_java(tmp_path / "java 17", "17.0.1")),
        "RECORD": str(tmp_path / "record"),
    }
    return Checkout(root, environ)


@pytest.fixture
def ready(checkout, tmp_path) -> Checkout:
    """A checkout whose environment is complete, and made of stand-ins."""
    recorder = tmp_path / "recorder.py"
    recorder.write_text(RECORDER)
    record = f'exec \'{sys.executable}\' -IS \'{recorder}\' "$(basename "$0")" "$@"'
    venv = checkout.root / ".venv"
    script(
        venv / "bin" / "python",
        f"case $2 in *environment.py) exec '{sys.executable}' \"$@\" ;; esac\n{record}",
    )
    spark_home = venv / "lib" / environment.PYTHON_TAG / "site-packages" / "pyspark"
    script(spark_home / "bin" / "spark-submit", record)
    (spark_home / "jars").mkdir()
    for jar in ("delta-spark_4.2_2.13-4.4.0.jar", "delta-storage-4.4.0.jar", "spark-core.jar"):
        (spark_home / "jars" / jar).touch()
    finished = [environment.digest(checkout.root, extras) for extras in ((), ("test",))]
    (venv / "complete").write_text("\n".join(finished))
    return checkout


# The command line


def options_of_spark() -> set[str]:
    """Every option that Spark's own parser names, read from its class file."""
    pyspark = pytest.importorskip("pyspark")
    (jar,) = (Path(pyspark.__file__).parent / "jars").glob("spark-launcher_*.jar")
    constants = zipfile.ZipFile(jar).read(LAUNCHER_PARSER)
    return {name.decode() for name in re.findall(rb"--[a-z][a-z-]+", constants)} - OURS


def test_every_option_of_sparks_parser_reaches_spark(ready):
    options = sorted(options_of_spark() - {"--jars"})  # given on below, with others
    assert len(options) > 30
    words, expected = [], []
    for number, option in enumerate(options):
        value = [] if option in SWITCHES else [f"value {number}"]
        words += ["--force", option, *value]
        expected += [option, *value]

    spark, program = ready.handed_to_spark("ingest", *words)

    assert spark == expected
    assert program == ["ingest", *["--force"] * len(options)]


@pytest.mark.parametrize(
    ("words", "spark", "program"),
    [
        ([], [], ["demo"]),
        (["--force"], [], ["demo", "--force"]),
        (["--conf", "a=b", "run", "x"], ["--conf", "a=b"], ["run", "x"]),
        (["run", "-c", "a=b c", "x"], ["-c", "a=b c"], ["run", "x"]),
        (["run", "--conf=a=b=c", "--name="], ["--conf", "a=b=c", "--name", ""], ["run"]),
        (["run", "--years=2007", "-v"], ["-v"], ["run", "--years=2007"]),
        (["run", "--", "--conf", "a", "--", "-v"], [], ["run", "--conf", "a", "--", "-v"]),
        (["--name", "--", "run"], ["--name", "--"], ["run"]),
        (["run", "", "*", "a b"], [], ["run", "", "*", "a b"]),
    ],
)
def test_the_command_line_is_split_into_sparks_part_and_the_programs(ready, words, spark, program):
    assert ready.handed_to_spark(*words) == (spark, program)


@pytest.mark.parametrize(
    "query",
    ["select \"a\", 'b', `c`, $HOME, \\d, *;\n-- note", "-- note\nselect 1", "--x=1", "é 中"],
)
def test_a_query_arrives_character_by_character(ready, query):
    assert ready.handed_to_spark("sql", query) == ([], ["sql", query])


def test_an_option_without_its_value_is_refused(ready):
    called = ready("run", "--master")
    assert called.returncode == 2
    assert called.stderr == "spark-submit.sh: --master needs a value\n"
    assert not ready.calls


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (["--help"], ["--help"]),
        (["-h"], ["-h"]),
        (["help"], ["--help"]),
        (["help", "ingest"], ["ingest", "--help"]),
        (["ingest", "--master", "yarn", "--help"], ["ingest", "--help"]),
        (["test", "--help"], ["test", "--help"]),
        (["package", "--output", "x"], ["package", "--output", "x"]),
    ],
)
def test_help_and_package_need_no_spark(ready, words, arguments):
    assert ready(*words).returncode == 0
    (call,) = ready.calls
    assert (call.program, call.arguments) == ("python", ["-m", "jobs", *arguments])


def test_what_the_check_refuses_does_not_start_spark(ready):
    assert ready("run", "--material", "unobtainium", FAILING="check").returncode == 1
    (call,) = ready.calls
    assert call.arguments == ["-m", "jobs", "check", "run", "--material", "unobtainium"]


# Places and variables


def test_paths_stay_relative_to_the_caller_and_links_lead_home(ready, tmp_path):
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    (elsewhere / "first").symlink_to(ready.root / "spark-submit.sh")
    (tmp_path / "second").symlink_to("else where/first")
    subprocess.run([tmp_path / "second"], cwd=elsewhere, env=ready.environ, check=True)
    assert [call.cwd for call in ready.calls] == [str(elsewhere)] * 2
    assert str(ready.root / "jobs" / "__main__.py") in ready.calls[-1].arguments


def test_spark_gets_the_environment_of_the_checkout_whatever_the_shell_has(ready):
    foreign = {
        "SPARK_HOME": "/opt/spark",
        "PYTHONPATH": "/opt/x",
        "PYSPARK_DRIVER_PYTHON": "ipython",
    }
    called = ready("demo", **foreign)
    environ = ready.calls[-1].environ
    assert environ["SPARK_HOME"].startswith(str(ready.root / ".venv"))
    assert environ["SPARK_CONF_DIR"] == str(ready.root / "conf")
    assert environ["PYSPARK_PYTHON"] == str(ready.root / ".venv" / "bin" / "python")
    assert environ["PYTHONPATH"] == str(ready.root)
    assert environ["JAVA_HOME"] == ready.environ["JAVA_HOME"]
    assert "PYSPARK_DRIVER_PYTHON" not in environ
    assert "not used here: SPARK_HOME=/opt/spark" in called.stderr
    assert "not used here: PYTHONPATH=/opt/x" in called.stderr


@pytest.mark.parametrize("where", [["--master", "spark://h:7077"], ["--conf", "spark.master=yarn"]])
def test_a_cluster_gets_deltas_jars_beside_the_users(ready, where):
    assert ready("run", *where, "--jars", "mine.jar").returncode == 0
    arguments = ready.calls[-1].arguments
    jars = arguments[arguments.index("--jars") + 1].split(",")
    assert [Path(jar).name for jar in jars] == [
        "delta-storage-4.4.0.jar",
        "delta-spark_4.2_2.13-4.4.0.jar",
        "mine.jar",
    ]
    assert "SPARK_LOCAL_IP" not in ready.calls[-1].environ


def test_local_mode_passes_only_the_users_jars_and_stays_on_loopback(ready):
    assert ready("run", "--master=local[2]").returncode == 0
    assert "--jars" not in ready.calls[-1].arguments
    assert ready.calls[-1].environ["SPARK_LOCAL_IP"] == "127.0.0.1"
    assert ready("run", "--conf", "spark.jars=mine.jar").returncode == 0
    arguments = ready.calls[-1].arguments
    assert arguments[arguments.index("--jars") + 1] == "mine.jar"


def test_a_driver_on_the_cluster_does_not_get_the_python_of_this_machine(ready):
    assert ready("run", "--master", "yarn", "--deploy-mode", "cluster").returncode == 0
    assert not any("spark.pyspark.driver.python" in word for word in ready.calls[-1].arguments)


# test


def tools(calls: list[Call]) -> list[list[str]]:
    return [call.arguments[1:] for call in calls]


def test_tests_run_every_check_and_name_those_that_failed(ready):
    called = ready("test", "-v", "--conf", "x", FAILING="mypy format")
    assert tools(ready.calls) == [
        ["ruff", "check"],
        ["ruff", "format", "--check"],
        ["mypy"],
        ["pytest", "-v", "--conf", "x"],
    ]
    assert {call.cwd for call in ready.calls} == {str(ready.root)}
    assert called.returncode == 1
    assert re.search(r"^== FAILED after \d+ s: ruff format, mypy$", called.stdout, re.MULTILINE)


def test_fast_tests_are_those_without_spark(ready):
    called = ready("test", "fast", "-x")
    assert tools(ready.calls)[-1] == ["pytest", "tests/udfs", "tests/conf", "-x"]
    assert called.returncode == 0
    assert "== all passed in" in called.stdout


# Python and Java


def old_python(path: Path) -> Path:
    """The Python of the tests, under the impression of being 3.9."""
    pretend = (
        "import runpy, sys; sys.version_info = (3, 9, 2, 'final', 0); "
        "runpy.run_path(sys.argv[1], run_name='__main__')"
    )
    return script(path, f'shift; exec \'{sys.executable}\' -c "{pretend}" "$@"')


def test_a_python_that_is_too_old_is_named_and_nothing_is_made(checkout, tmp_path):
    called = checkout("demo", PYTHON=str(old_python(tmp_path / "old python")))
    assert called.returncode == 1
    assert "Python 3.11 to 3.14 is needed" in called.stderr
    assert "is Python 3.9; install one, or name it: PYTHON=" in called.stderr
    assert called.stderr.count("\n") == 1
    assert not (checkout.root / ".venv").exists()


def test_the_file_that_says_so_is_read_by_an_old_python():
    source = (ROOT / "conf" / "environment.py").read_text()
    ast.parse(source, feature_version=(3, 6))
    assert "def " not in source[: source.index("sys.exit(")]  # newer annotations come later


def test_a_newer_python_beside_an_old_one_is_taken(checkout, tmp_path):
    script(tmp_path / "bin" / "python3", "echo python3.9")
    script(tmp_path / "bin" / "python3.12", 'test "$1" = -c || { echo "taken: $0" >&2; exit 9; }')
    called = checkout(PATH=f"{tmp_path}/bin:/usr/bin:/bin")
    assert called.stderr == f"taken: {tmp_path}/bin/python3.12\n"
    assert called.returncode == 9


def test_no_python_at_all_is_a_sentence(checkout, tmp_path):
    (tmp_path / "bin").mkdir()
    for tool in ("bash", "dirname"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    called = checkout(PATH=f"{tmp_path}/bin")
    assert called.returncode == 2
    assert "there is no python3 on PATH; install one, or name it: PYTHON=" in called.stderr
    assert "PYTHON=/no/python is not a program" in checkout(PYTHON="/no/python").stderr


def test_a_python_without_venv_is_told_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(environment.SetupError, match=r"the venv module of /.* is missing; install"):
        environment.make_venv(tmp_path / ".venv")


@pytest.mark.parametrize("version", ["17.0.15", "21", "25.0.3+9"])
def test_suitable_java_homes_are_taken(tmp_path, version):
    home = fake_java(tmp_path, version)
    assert environment.find_java({"JAVA_HOME": str(home)}, folders=()) == home


@pytest.mark.parametrize(
    ("version", "named"), [("1.8.0_392", "Java 8"), ("11.0.2", "Java 11"), ("26-ea", "Java 26")]
)
def test_a_wrong_java_is_named_with_what_would_do(tmp_path, version, named):
    home = fake_java(tmp_path, version)
    with pytest.raises(environment.SetupError) as error:
        environment.find_java({"JAVA_HOME": str(home)}, folders=())
    assert str(error.value) == (
        f"Spark needs Java 17 or 21 (25 works too), and JAVA_HOME={home} is {named}; "
        "install one, or set JAVA_HOME to the folder of one."
    )


def test_no_java_is_a_sentence(tmp_path):
    with pytest.raises(environment.SetupError, match=r"and there is none; install one"):
        environment.find_java({"PATH": str(tmp_path)}, folders=[str(tmp_path / "*")])


def test_a_suitable_java_elsewhere_replaces_a_wrong_one_and_is_named(tmp_path, capsys):
    wrong, right = fake_java(tmp_path / "11", "11.0.2"), fake_java(tmp_path / "jvm" / "x", "21.0.1")
    path = {"PATH": str(wrong / "bin")}
    assert environment.find_java(path, folders=[str(tmp_path / "jvm" / "*")]) == right
    said = capsys.readouterr().err
    assert said == f"spark-submit.sh: {wrong}/bin/java is Java 11; using Java 21 in {right}.\n"


def test_a_shim_on_the_path_is_asked_where_its_java_is(tmp_path):
    home = fake_java(tmp_path / "real", "17.0.1")
    settings = f"    java.home = {home}\n    java.version = 17.0.1"
    script(tmp_path / "shims" / "java", f"echo '{settings}' >&2")
    assert environment.find_java({"PATH": str(tmp_path / "shims")}, folders=()) == home


# Making the environment


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> Path:
    """A folder for pip with a pyspark whose spark-submit is a stand-in for the resolver."""
    folder = tmp_path_factory.mktemp("wheels")
    resolver = """#!/bin/sh
echo resolved >> "$HOME/resolved"
[ -z "$MAVEN_DOWN" ] || { echo "unresolved dependency: io.delta"; exit 1; }
for word; do case $word in spark.jars.ivy=*) ivy=${word#*=} ;; esac; done
mkdir -p "$ivy/jars"
for jar in delta-spark_4.2_2.13 delta-storage; do touch "$ivy/jars/io.delta_$jar-4.4.0.jar"; done
"""
    files = {
        "pyspark/version.py": "VERSION = '4.2.0'\n",
        "pyspark/jars/spark-core.jar": "x",
        "pyspark/bin/spark-submit": resolver,
        "pyspark-4.2.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: pyspark\nVersion: 4.2\n",
        "pyspark-4.2.0.dist-info/WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,{len(text)}\n" for name, text in files.items())
    files["pyspark-4.2.0.dist-info/RECORD"] = record + "pyspark-4.2.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(folder / "pyspark-4.2.0-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o100755 if "/bin/" in name else 0o100644) << 16
            wheel.writestr(entry, text)
    return folder


@pytest.fixture
def bare(checkout, wheels) -> Checkout:
    """A checkout whose environment is really made, from a folder of wheels."""
    offline = {"PIP_FIND_LINKS": str(wheels), "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    return Checkout(checkout.root, checkout.environ | offline | {"PYTHON": sys.executable})


def packages(checkout: Checkout) -> Path:
    return checkout.root / ".venv" / "lib" / environment.PYTHON_TAG / "site-packages"


def test_of_two_calls_at_once_one_sets_up_and_the_other_waits(bare, tmp_path):
    calls = [bare.start("--help") for _ in range(2)]
    results = [call.communicate(timeout=60) for call in calls]
    assert [call.returncode for call in calls] == [0, 0], results
    assert [output for output, _ in results] == ["the help\n"] * 2
    said = "".join(errors for _, errors in results)
    assert said.count("setting up, once") == 1
    assert said.count("waiting for it") == 1
    assert (tmp_path / "resolved").read_text().split() == ["resolved"]
    jars = sorted(jar.name for jar in (packages(bare) / "pyspark" / "jars").iterdir())
    assert jars == [
        "delta-spark_4.2_2.13-4.4.0.jar",
        "delta-storage-4.4.0.jar",
        "spark-core.jar",
    ]
    assert not (bare.root / ".venv" / "ivy").exists()
    again = bare("--help", PIP_FIND_LINKS="", PATH="/usr/bin:/bin")
    assert (again.returncode, again.stderr) == (0, "")


def test_what_was_killed_or_out_of_reach_is_repaired_by_the_next_call(bare):
    with bare.start("--help") as killed:
        while "pip:" not in killed.stderr.readline():
            pass
        os.killpg(killed.pid, signal.SIGKILL)

    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9", "PIP_RETRIES": "1", "PIP_FIND_LINKS": ""}
    no_registry = bare("--help", PIP_NO_INDEX="0", **nowhere)
    assert no_registry.returncode == 1
    assert "registry cannot be reached; check the network or name" in no_registry.stderr

    no_maven = bare("--help", MAVEN_DOWN="yes")
    assert no_maven.returncode == 1
    assert "Maven's repository, for io.delta:delta-spark_4.2_2.13:4.4.0, cannot be reached" in (
        no_maven.stderr
    )

    (packages(bare) / "pyspark" / "version.py").write_text("")  # as a killed pip leaves it
    assert bare("--help").returncode == 0
    assert (packages(bare) / "pyspark" / "version.py").read_text() == "VERSION = '4.2.0'\n"

    (bare.root / ".venv" / "complete").unlink()
    assert bare("--help", **nowhere).returncode == 0  # all is there: nothing is asked for


def test_a_full_disk_is_a_sentence_before_and_during(tmp_path):
    with pytest.raises(environment.SetupError, match=r"1000000 GB of free disk are needed .* has"):
        environment.require_free_disk(tmp_path, gigabytes=1e6)
    environment.require_free_disk(tmp_path, gigabytes=0.0)
    output = "ERROR: Could not install: [Errno 28] No space left on device: '/x'\n"
    assert str(environment.explained(output, "pip failed")) == (
        "pip failed: the disk is full; free some and run the same command again."
    )


def test_proxies_of_the_shell_are_said_to_java(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert environment.java_proxy() == []
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    assert environment.java_proxy() == ["-Dhttps.proxyHost=proxy.example -Dhttps.proxyPort=3128"]


# What is declared


def test_the_lock_pins_every_declared_package_within_its_range_and_names_no_address():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", line) for line in lines)
    pins = environment.pins(ROOT)
    assert list(pins) == sorted(pins)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for text in project["dependencies"] + project["optional-dependencies"]["test"]:
        requirement = Requirement(text)
        assert pins[requirement.name] in requirement.specifier, text


def test_the_jar_of_delta_is_the_one_for_the_locked_spark():
    assert environment.delta_package(ROOT) == "io.delta:delta-spark_4.2_2.13:4.4.0"
