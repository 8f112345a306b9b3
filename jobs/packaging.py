"""What a cluster needs: the code, the packages it imports, Delta's jars, and how to name them.

`build` writes into one folder

    pipeline.zip   jobs, udfs and conf with their data files
    env.tar.gz     the packages that pyproject.toml declares, without Spark, and `bin/python`, which
                   runs a machine's own Python with them and with the pipeline
    delta-*.jar    Delta's two jars

Spark unpacks both archives in the folder an executor works in, as `env` and `pipeline`, so that
machines need Spark, Java and the same minor version of Python, and nothing else. The same input
gives the same bytes, and a file appears whole or not at all.
"""

from __future__ import annotations

import gzip
import os
import platform
import re
import shlex
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from io import BytesIO
from pathlib import Path
from typing import IO

from packaging.requirements import Requirement

from conf import environment
from conf.problem import Problem
from jobs.pipeline import PACKAGES, ROOT, code_revision
from jobs.progress import say

FOLDER = "build"
ENVIRONMENT, PIPELINE = "env.tar.gz", "pipeline.zip"
PYTHON = "./env/bin/python"

NOT_PACKED = ("pyspark", "delta-spark", "deltalake", "duckdb")
"""The cluster has Spark; the last two read tables without Spark, and no job does."""
LEFT_OUT = {"__pycache__", "tests", "include"}
"""Folders of packages that nothing imports: compiled code names the machine, headers compile."""
INSTALLED_HERE = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
"""Files by which pip remembers how and where it installed a package."""
EPOCH = 315_532_800
"""1980-01-01, the first day a zip can name, for every file: when it was written is no content."""
GZIP_LEVEL = 1
"""Level 6 takes four times as long and saves an eighth."""

LAUNCHER = """#!/bin/sh
# Python {version} of this machine, with the packages and the pipeline that Spark unpacked here.
env=$(CDPATH='' cd "$(dirname "$0")/.." && pwd)
work=$(CDPATH='' cd "$(dirname "$0")/../.." && pwd)
if ! command -v python{version} > /dev/null; then
  echo "$0: Python {version}, for which these packages are, is not on PATH=$PATH" >&2
  exit 127
fi
export PYTHONPATH="$work/pipeline:$env/site-packages${{PYTHONPATH:+:$PYTHONPATH}}"
exec python{version} "$@"
"""


def build(words: Sequence[str]) -> None:
    """Write everything into the folder named by `words`, and print the command line to use it."""
    if len(words) > 1:
        raise Problem(f"package takes one folder, found {len(words)}: {' '.join(words)}.")
    folder = Path(words[0] if words else FOLDER)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_pipeline(folder / PIPELINE, ROOT)
        write_environment(folder / ENVIRONMENT, environment.requirements(ROOT, ()))
        for jar in delta_jars():
            with _appearing(folder / jar.name) as target:
                shutil.copyfile(jar, target)
    except OSError as error:
        raise Problem(f"The package cannot be written to {folder}: {error.strerror}.") from None
    _print(folder)


def spark_options(folder: Path) -> list[str]:
    """Return the options of spark-submit that make a cluster use what lies in `folder`."""
    archives = f"{folder / ENVIRONMENT}#env,{folder / PIPELINE}#pipeline"
    return ["--archives", archives, "--conf", f"spark.pyspark.python={PYTHON}"]


def write_pipeline(target: Path, root: Path) -> None:
    """Zip the project's packages with their data files, and the revision they are of."""
    files = {
        str(path.relative_to(root)): path
        for package in PACKAGES
        for path in (root / package).rglob("*")
        if path.is_file() and not _is_hidden(path.relative_to(root))
    }
    with _appearing(target) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name in sorted(files):
            _add_to_zip(archive, name, files[name].read_bytes())
        _add_to_zip(archive, "REVISION", f"{code_revision()}\n".encode())


def write_environment(target: Path, requirements: Sequence[str]) -> None:
    """Pack the installed packages that `requirements` name, with all that those need."""
    launcher = LAUNCHER.format(version="{}.{}".format(*sys.version_info[:2])).encode()
    files = packed_files(requirements)
    with (
        _appearing(target) as partial,
        partial.open("wb") as raw,
        gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=EPOCH) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        _add_to_tar(archive, "bin/python", len(launcher), BytesIO(launcher), executable=True)
        for name in sorted(files):
            with files[name].open("rb") as content:
                size = os.fstat(content.fileno()).st_size
                _add_to_tar(archive, f"site-packages/{name}", size, content)


def packed_files(requirements: Sequence[str]) -> Mapping[str, Path]:
    """Return where each file of the required packages lies, by its name in site-packages."""
    found: dict[str, Path] = {}
    for name in required_packages(requirements):
        files = metadata.files(name)
        if files is None:
            raise Problem(
                f"{name} does not say which files it has, as packages installed by pip do; "
                "run package through ./spark-submit.sh, which makes such an environment."
            )
        for file in files:
            outside = ".." in file.parts  # scripts, which name the Python of this machine
            if not (outside or LEFT_OUT & set(file.parts) or file.name in INSTALLED_HERE):
                found[str(file)] = Path(str(file.locate()))
    return found


def required_packages(requirements: Sequence[str]) -> list[str]:
    """Return the names of the required packages and of all that they need, sorted."""
    left = [Requirement(text) for text in requirements]
    found: set[str] = set()
    while left:
        requirement = left.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if not applies or name in found or name in NOT_PACKED:
            continue
        found.add(name)
        left += [Requirement(text) for text in metadata.requires(name) or ()]
    return sorted(found)


def delta_jars() -> list[Path]:
    """Return Delta's two jars, which lie among those of the installed Spark."""
    import pyspark

    jars = sorted((Path(pyspark.__file__).parent / "jars").glob("delta-s*.jar"))
    if len(jars) != 2:
        raise Problem(
            f"Delta's two jars are not among Spark's in {Path(pyspark.__file__).parent / 'jars'}; "
            "run package through ./spark-submit.sh, which fetches them."
        )
    return jars


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in path.parts)


def _add_to_zip(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name)  # dated 1980-01-01
    entry.external_attr = 0o100644 << 16
    entry.create_system = 3  # Unix, where the mode counts
    archive.writestr(entry, content, zipfile.ZIP_DEFLATED)


def _add_to_tar(
    archive: tarfile.TarFile, name: str, size: int, content: IO[bytes], *, executable: bool = False
) -> None:
    entry = tarfile.TarInfo(name)  # owned by user and group 0
    entry.size, entry.mtime, entry.mode = size, EPOCH, 0o755 if executable else 0o644
    archive.addfile(entry, content)


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """Give a path to write to; the file is moved to `target` when all went well."""
    partial = target.with_name(f".{target.name}.partial")
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _print(folder: Path) -> None:
    for name in (PIPELINE, ENVIRONMENT, *(jar.name for jar in delta_jars())):
        say(f"{(folder / name).stat().st_size / 1e6:8.1f} MB  {folder / name}")
    version = "{}.{}".format(*sys.version_info[:2])
    say(
        f"\nFor machines with Spark {metadata.version('pyspark')}, Java 17 or newer, "
        f"{platform.system()} on {platform.machine()} and Python {version} on PATH."
    )
    options = shlex.join(spark_options(folder))
    say("From this checkout (for YARN, --master yarn; for Kubernetes, --master k8s://...):\n")
    say(f"  ./spark-submit.sh --master spark://HOST:7077 {options} run --warehouse FOLDER_OR_URI\n")
    say(f"From elsewhere, where both archives are unpacked as env and pipeline in {folder}:\n")
    say(f"  {shlex.join(elsewhere(folder))} run --warehouse FOLDER_OR_URI")


def elsewhere(folder: Path, master: str = "spark://HOST:7077") -> list[str]:
    """Return the call of a cluster's own spark-submit, without a checkout."""
    pipeline = folder / "pipeline"
    jars = ",".join(str(folder / jar.name) for jar in delta_jars())
    return [
        *("spark-submit", "--master", master),
        *("--properties-file", str(pipeline / "conf" / "spark-defaults.conf")),
        *("--jars", jars, *spark_options(folder)),
        *("--conf", f"spark.pyspark.driver.python={folder / 'env' / 'bin' / 'python'}"),
        str(pipeline / "jobs" / "__main__.py"),
    ]
