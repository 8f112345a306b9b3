"""Make this checkout's environment, once: packages in .venv, Delta's jars, a Java for Spark.

    python conf/environment.py [EXTRA ...]

`spark-submit.sh` calls this first. What is complete is left alone, in milliseconds and without
network; what a killed call left behind is repaired. Standard output is one line, the Java home to
use; everything else is said on standard error.

Only the standard library is used, and the file loads on Python 3.6, so that an old Python gets a
sentence instead of a syntax error.
"""

import fcntl
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 14)  # for which requirements.lock has wheels

if not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
    sys.exit(
        "spark-submit.sh: Python 3.{} to 3.{} is needed, and {} is Python {}.{}; install one, or "
        "name it: PYTHON=/path/to/python3 ./spark-submit.sh ...".format(
            OLDEST_PYTHON[1], NEWEST_PYTHON[1], sys.executable, *sys.version_info[:2]
        )
    )

ROOT = Path(__file__).resolve().parents[1]
PYTHON_TAG = "python{}.{}".format(*sys.version_info[:2])
STARTED = time.monotonic()

SUITABLE_JAVA = (17, 21, 25)
JAVA_FOLDERS = (
    "/usr/lib/jvm/*",
    "/usr/java/*",
    "/opt/java/*",
    "/opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
    "/usr/local/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "~/.sdkman/candidates/java/*",
)

SCALA = "2.13"
# Delta's package asks for 26 jars. Spark lacks two of them; the others are second copies of its
# own, and Delta's kernel and Unity Catalog, which nothing here uses.
NOT_NEEDED = "[!i]*:*,io.[!d]*:*,io.delta:delta-kernel*"

FRESH_GIGABYTES = 4.0  # pyspark comes as a source archive and for a while lies there three times
ADDED_GIGABYTES = 1.0

NO_ROOM = re.compile(r"No space left on device|quota exceeded", re.IGNORECASE)
NO_ANSWER = re.compile(
    r"NewConnectionError|Connection refused|Failed to establish|Max retries|timed? ?out|ProxyError"
    r"|name resolution|nodename nor servname|Network is unreachable|SSLError"
    r"|UnknownHost|ConnectException|unresolved dependency",
    re.IGNORECASE,
)


class SetupError(Exception):
    """What is missing and what to do about it, in one sentence."""


def say(text: str) -> None:
    """Print a line of progress, with the seconds since the start."""
    print(f"setup {time.monotonic() - STARTED:4.0f} s  {text}", file=sys.stderr, flush=True)


def note(text: str) -> None:
    """Print a sentence that the user should know."""
    print(f"spark-submit.sh: {text}", file=sys.stderr, flush=True)


# Java


def find_java(environ: Mapping[str, str], folders: Sequence[str] = JAVA_FOLDERS) -> Path:
    """Return the first suitable Java home of JAVA_HOME, the `java` on PATH, the usual folders.

    Raises:
        SetupError: there is no Java, or none of a version that Spark runs on.
    """
    unsuitable: list[str] = []
    for home, source in _java_homes(environ, folders):
        version = _java_version(home)
        if version in SUITABLE_JAVA:
            if unsuitable:
                note(f"{unsuitable[0]}; using Java {version} in {home}.")
            return home
        found = f"Java {version}" if version else "not a working Java"
        unsuitable.append(f"{source} is {found}")
    found = unsuitable[0] if unsuitable else "there is none"
    raise SetupError(
        f"Spark needs Java 17 or 21 (25 works too), and {found}; "
        "install one, or set JAVA_HOME to the folder of one."
    )


def _java_homes(environ: Mapping[str, str], folders: Sequence[str]) -> Iterator[tuple[Path, str]]:
    if environ.get("JAVA_HOME"):
        yield Path(environ["JAVA_HOME"]), f"JAVA_HOME={environ['JAVA_HOME']}"
    on_path = shutil.which("java", path=environ.get("PATH", ""))
    if on_path:
        home = Path(on_path).resolve().parents[1]
        shim = not (home / "release").exists()
        yield _ask(Path(on_path))[1] if shim else home, on_path
    for pattern in folders:
        for folder in sorted(glob.glob(os.path.expanduser(pattern))):
            if os.path.exists(os.path.join(folder, "bin", "java")):
                yield Path(folder), folder


def _java_version(home: Path) -> int:
    """Feature version (8, 17, ...) of the Java in a folder; 0 when there is none that works."""
    try:
        stated = re.search(r'^JAVA_VERSION="(.+?)"', (home / "release").read_text(), re.MULTILINE)
    except OSError:
        stated = None
    if stated and os.access(home / "bin" / "java", os.X_OK):
        return _feature_version(stated[1])
    return _ask(home / "bin" / "java")[0]


def _ask(java: Path) -> tuple[int, Path]:
    """Version and home as a `java` states them: it may be a version manager's shim."""
    command = [str(java), "-XshowSettings:properties", "-version"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True).stderr
    except OSError:
        answer = ""
    stated = dict(re.findall(r"^\s+(java\.home|java\.version) = (.+?)\s*$", answer, re.MULTILINE))
    return _feature_version(stated.get("java.version", "0")), Path(stated.get("java.home", java))


def _feature_version(stated: str) -> int:
    numbers = [int(number) for number in re.findall(r"\d+", stated)]
    return numbers[1] if numbers[0] == 1 else numbers[0]  # 1.8.0 is Java 8


# What is wanted, and whether it is there


def requirements(root: Path, extras: Sequence[str]) -> list[str]:
    """Names and ranges that pyproject.toml declares, with those of the extras."""
    import tomllib  # not there before 3.11

    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project.get("optional-dependencies", {})
    for extra in extras:
        if extra not in optional:
            raise SetupError(f"pyproject.toml has no extra {extra!r}, only {sorted(optional)}.")
    return [*project["dependencies"], *(name for extra in extras for name in optional[extra])]


def pins(root: Path) -> dict[str, str]:
    """Exact version of each package in requirements.lock."""
    lines = (root / "requirements.lock").read_text(encoding="utf-8").split()
    return dict(line.split("==") for line in lines)


def digest(root: Path, extras: Sequence[str]) -> str:
    """Digest of everything that decides what an environment contains."""
    wanted = [PYTHON_TAG, SCALA, *requirements(root, extras), *pins(root).items()]
    return hashlib.sha256(repr(wanted).encode()).hexdigest()


def is_complete(root: Path, extras: Sequence[str]) -> bool:
    """Whether the environment was finished, for these extras and what is declared now."""
    venv = root / ".venv"
    try:
        finished = (venv / "complete").read_text().split()
    except OSError:
        return False
    return (venv / "bin" / "python").exists() and digest(root, extras) in finished


# Making it


def ensure(root: Path, extras: Sequence[str], java_home: Path) -> None:
    """Make or repair the environment unless it is complete; of two calls the second waits."""
    if is_complete(root, extras):
        return
    with _only_call(root):
        if not is_complete(root, extras):
            _make(root, extras, java_home)


@contextmanager
def _only_call(root: Path) -> Iterator[None]:
    with open(root / ".venv.lock", "w") as lock:
        os.set_inheritable(lock.fileno(), True)  # a pip that outlives a killed call keeps it
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another call is setting up this environment; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(root: Path, extras: Sequence[str], java_home: Path) -> None:
    venv = root / ".venv"
    say(f"setting up, once: Python packages and Delta Lake, in {venv}")
    packages = venv / "lib" / PYTHON_TAG / "site-packages"
    fresh = not (packages / "pyspark").exists()
    require_free_disk(root, FRESH_GIGABYTES if fresh else ADDED_GIGABYTES)
    (venv / "complete").unlink(missing_ok=True)
    if not _usable(venv, packages):
        make_venv(venv)
    _install(root, extras)
    _add_delta(root, packages / "pyspark", java_home)
    finished = {digest(root, ()), digest(root, extras)}
    (venv / "complete").write_text("\n".join(sorted(finished)))
    say("ready")


def require_free_disk(folder: Path, gigabytes: float) -> None:
    """Raise SetupError unless the file system of `folder` has that much room."""
    free = shutil.disk_usage(folder).free / 1e9
    if free < gigabytes:
        raise SetupError(
            f"{gigabytes:.0f} GB of free disk are needed for the environment, and the disk of "
            f"{folder} has {free:.1f} GB; free some, or put the checkout on a larger disk."
        )


def _usable(venv: Path, packages: Path) -> bool:
    """Whether pip can go on here; it will install again what is not whole."""
    for record in packages.glob("*.dist-info"):
        if not is_whole(record):
            say(f"repairing {record.stem}")
            shutil.rmtree(record)
    return (venv / "bin" / "python").exists() and any(packages.glob("pip-*.dist-info"))


def is_whole(dist_info: Path) -> bool:
    """Whether each file of an installed package is there in the size that its record states."""
    import csv

    try:
        rows = list(csv.reader((dist_info / "RECORD").read_text(encoding="utf-8").splitlines()))
        sizes = {path: int(size) for path, _, size in rows if size}
        return all((dist_info.parent / path).stat().st_size == sizes[path] for path in sizes)
    except (OSError, ValueError):
        return False


def make_venv(venv: Path) -> None:
    """Make an empty virtual environment; raise SetupError when this Python cannot."""
    from importlib.util import find_spec

    # The file itself, not a link to it: when Python is upgraded, a link leads to another version.
    python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    if not (find_spec("venv") and find_spec("ensurepip")):
        raise SetupError(
            f"the venv module of {python} is missing; install it (Debian, Ubuntu: apt install "
            f"{PYTHON_TAG}-venv), or name another: PYTHON=/path/to/python3 ./spark-submit.sh ..."
        )
    shutil.rmtree(venv, ignore_errors=True)
    venv.mkdir()
    failed, output = _run([python, "-I", "-m", "venv", venv], log=venv / "setup.log")
    if failed:
        raise explained(output, f"no virtual environment could be made in {venv}")


def _install(root: Path, extras: Sequence[str]) -> None:
    """Let pip install what is declared, in the versions of the lock file, build tools included."""
    venv = root / ".venv"
    scratch = venv / "tmp"
    scratch.mkdir(exist_ok=True)
    environ = {
        "PIP_CONSTRAINT": "requirements.lock",  # relative, because pip splits it at spaces
        "PIP_BUILD_CONSTRAINT": "requirements.lock",
        "PIP_USER": "0",
        "TMPDIR": str(scratch),
    }
    names = requirements(root, extras)
    say(f"pip: {len(names)} packages and what they need")
    pip = [venv / "bin" / "python", "-I", "-m", "pip", "install"]
    quiet = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    log = venv / "setup.log"
    failed, output = _run([*pip, *quiet, *names], environ, cwd=root, log=log, show=_pip_progress)
    shutil.rmtree(scratch, ignore_errors=True)
    if failed:
        raise explained(
            output,
            f"pip could not install the packages (all it said is in {log})",
            unreachable="the Python package registry cannot be reached; check the network or name "
            "another with PIP_INDEX_URL, then run the same command again",
        )


def _pip_progress(line: str) -> str:
    """What to tell of a line of pip; empty for most."""
    download = re.match(r"\s*Downloading (.+?-[\d.]+\d).* \((\d{2,}\.\d MB)\)", line)
    if download:
        return f"pip: downloading {download[1]}, {download[2]}"
    if line.startswith("Building wheels for collected packages: "):
        return f"pip: building {line.partition(': ')[2]}"
    if line.startswith("Installing collected packages: "):
        return f"pip: unpacking {line.count(',') + 1} packages"
    return ""


def delta_package(root: Path) -> str:
    """Maven coordinates of Delta for the locked versions of pyspark and delta-spark."""
    version = pins(root)
    spark = version["pyspark"].rpartition(".")[0]
    return f"io.delta:delta-spark_{spark}_{SCALA}:{version['delta-spark']}"


def _add_delta(root: Path, spark_home: Path, java_home: Path) -> None:
    """Put Delta's two jars among Spark's own, where all of Spark's programs find them."""
    venv, jars = root / ".venv", spark_home / "jars"
    package = delta_package(root)
    _, name, version = package.split(":")
    wanted = [f"{name}-{version}.jar", f"delta-storage-{version}.jar"]
    if all((jars / jar).exists() for jar in wanted):
        return
    say(f"Spark's resolver: {package}")
    ivy = venv / "ivy"
    environ = {
        "JAVA_HOME": str(java_home),
        "SPARK_HOME": str(spark_home),
        "SPARK_CONF_DIR": str(venv),  # no settings
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_SUBMIT_OPTS": " ".join(java_proxy()),
        "PYSPARK_PYTHON": str(venv / "bin" / "python"),
    }
    where = ["--master", "local[1]", "--conf", f"spark.jars.ivy={ivy}"]
    what = ["--packages", package, "--exclude-packages", NOT_NEEDED]
    program = spark_home / "version.py"  # one is required; this one does nothing
    submit = [spark_home / "bin" / "spark-submit", *where, *what, program]
    failed, output = _run(submit, environ, log=venv / "setup.log")
    if failed:
        raise explained(
            output,
            f"Spark could not fetch {package} (all it said is in {venv / 'setup.log'})",
            unreachable=f"Maven's repository, for {package}, cannot be reached; check the network "
            "or name a mirror with DEFAULT_ARTIFACT_REPOSITORY, then run the same command again",
        )
    for old in jars.glob("delta-s*.jar"):
        old.unlink()
    for jar in wanted:
        (ivy / "jars" / f"io.delta_{jar}").replace(jars / jar)
    shutil.rmtree(ivy)


def java_proxy() -> list[str]:
    """Java's options for the proxies of the environment, which Java itself does not read."""
    from urllib.parse import urlsplit
    from urllib.request import getproxies

    proxies = {name: urlsplit(url) for name, url in getproxies().items() if name.startswith("http")}
    return [
        f"-D{name}.proxyHost={proxy.hostname} -D{name}.proxyPort={proxy.port or 80}"
        for name, proxy in sorted(proxies.items())
    ]


def _run(
    command: Sequence[object],
    environ: "Mapping[str, str] | None" = None,
    *,
    log: Path,
    cwd: "Path | None" = None,
    show: Callable[[str], str] = lambda line: "",
) -> tuple[int, str]:
    """Run a command into the log; return its exit code and what it printed."""
    process = subprocess.Popen(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **(environ or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        close_fds=False,  # hand on the lock
    )
    lines = []
    with process, open(log, "a", encoding="utf-8") as kept:
        for line in process.stdout or ():
            kept.write(line)
            lines.append(line)
            message = show(line.rstrip())
            if message:
                say(message)
    return process.returncode, "".join(lines)


# Chromium, for the test that opens the report in a browser


def offer_browser(root: Path) -> None:
    """Install Debian's Chromium where that can be done without asking; else say what is missing."""
    if any(map(shutil.which, ("chromium", "chromium-browser"))):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say("installing Chromium, which opens the report in a test")
        quiet, log = {"DEBIAN_FRONTEND": "noninteractive"}, root / ".venv" / "chromium.log"
        _run(["apt-get", "update"], quiet, log=log)
        install = ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"]
        if _run(install, quiet, log=log)[0] == 0:
            return
    note("there is no Chromium, so the report is not opened in a browser; install `chromium`.")


def explained(output: str, attempt: str, unreachable: str = "") -> SetupError:
    """The error for a failed tool: no room, no answer, or its own last complaint."""
    if NO_ROOM.search(output):
        return SetupError(f"{attempt}: the disk is full; free some and run the same command again.")
    if unreachable and NO_ANSWER.search(output):
        return SetupError(f"{unreachable}.")
    complaints = re.findall(r"^.*(?:error|exception).*$", output, re.MULTILINE | re.IGNORECASE)
    said = (complaints or output.strip().splitlines() or ["nothing"])[0].strip()
    return SetupError(f"{attempt}: {said}")


BROWSER = "--browser"


def main(words: Sequence[str]) -> int:
    """Make the environment with these extras and print the Java home; return an exit code.

    BROWSER among the words: offer a browser too.
    """
    extras = [word for word in words if word != BROWSER]
    try:
        java_home = find_java(os.environ)
        ensure(ROOT, extras, java_home)
        if BROWSER in words:
            offer_browser(ROOT)
    except SetupError as error:
        note(str(error))
        return 1
    except OSError as error:
        note(f"the environment could not be made in {ROOT}: {error}.")
        return 1
    except KeyboardInterrupt:
        note("interrupted; the same command carries on from here.")
        return 130
    print(java_home)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
