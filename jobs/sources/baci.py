"""BACI as CEPII publishes it: a zip, or a folder of its CSV files, opened with suspicion.

`open_release` reads names, sizes and the two code lists and refuses what cannot be a BACI
release before anything is written. `blocks` then streams one year's text in pieces of whole lines.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import IO

from conf.problem import Problem, nearest

BLOCK_BYTES = 16 * 2**20
"""Text given to one parsing call: large enough to vectorise, small enough for many tasks."""
LONGEST_LINE = 2**20
MOST_UNPACKED = 40 * 2**30
"""Bytes of the largest plausible file in a release; a full BACI year has about 0.4 GB."""
HIGHEST_RATIO = 60
"""Unpacked over packed size; BACI's text packs about 5 to 1, a zip bomb 1,000 to 1."""
LONGEST_LIST = 64 * 2**20
"""Bytes of the largest plausible code list; CEPII's product lists have 0.5 MB."""
FIELDS = ("t", "i", "j", "k", "v", "q")
RECIPE = "world.json"
"""What a synthetic world is made from; without trade files beside it, trade is generated."""
TRADE_FILE = re.compile(
    r"BACI_(?P<hs>HS\d{2})_Y(?P<year>\d{4})_V(?P<release>\w+)\.csv", re.IGNORECASE
)
COUNTRY_FILE = re.compile(r"country_codes(?P<hs>)(_V(?P<release>\w+)|_\w+)?\.csv", re.IGNORECASE)
PRODUCT_FILE = re.compile(
    r"product_codes_?(?P<hs>HS\d{2})?(_V(?P<release>\w+)|_\w+)?\.csv", re.IGNORECASE
)
COUNTRY_COLUMNS = {
    "country": ("country_code", "i"),
    "name": ("country_name", "country_name_full", "country_name_abbreviation"),
    "iso2": ("country_iso2", "iso_2digit_alpha", "iso2"),
    "iso3": ("country_iso3", "iso_3digit_alpha", "iso3"),
}


@dataclass(frozen=True)
class TextFile:
    """A file inside the zip or folder."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True)
class Country:
    """A row of the release's country list."""

    country: int
    name: str
    iso2: str | None
    iso3: str | None


@dataclass(frozen=True)
class Release:
    """A BACI release: `years` maps each year to its file, the code lists are read.

    recipe: of a synthetic world whose files do not exist, so that `ingest` generates their flows.
    """

    archive: str
    nomenclature: str
    release: str
    years: dict[int, TextFile]
    countries: tuple[Country, ...]
    products: dict[str, str]
    country_file: TextFile
    product_file: TextFile
    left_alone: tuple[str, ...]
    recipe: str | None = None


@dataclass(frozen=True)
class Block:
    """Whole lines of a file's body: `first_line` is the number of the first (the header is 1)."""

    first_line: int
    rows: int
    text: bytes


def open_release(
    path: str, *, nomenclature: str | None = None, years: tuple[int, ...] = ()
) -> Release:
    """Open a BACI zip or folder and check that it is one release, whole and harmless.

    Args:
        path: the zip, or a folder.
        nomenclature: HS revision to take where several lie together.
        years: years wanted; empty = all there are.
    """
    place = _located(path)
    files = _folder_files(place) if place.is_dir() else _zip_files(place)
    recipe = _recipe(files)
    files |= _promised(recipe)
    trade = {name: TRADE_FILE.fullmatch(_base(name)) for name in files}
    found = {name: match for name, match in trade.items() if match}
    if not found:
        raise Problem(
            f"{path} holds no BACI trade file; found {_some(files)}; "
            "expected files like BACI_HS07_Y2020_V202501.csv, as in the zip from CEPII."
        )
    hs = _one_revision({m["hs"].upper() for m in found.values()}, nomenclature, path)
    found = {name: m for name, m in found.items() if m["hs"].upper() == hs}
    releases = sorted({m["release"] for m in found.values()})
    if len(releases) > 1:
        raise Problem(
            f"{path} mixes the BACI releases {', '.join(releases)}; expected one. "
            "Keep each release in a folder of its own."
        )
    by_year = _one_file_a_year(found, files, path)
    if missing := sorted(set(years) - set(by_year)):
        raise Problem(
            f"{path} has no data for {', '.join(map(str, missing))}; "
            f"it covers {_ranges(sorted(by_year))}."
        )
    country_file = _code_list(files, COUNTRY_FILE, "country_codes", hs, releases[0], path)
    product_file = _code_list(files, PRODUCT_FILE, f"product_codes_{hs}", hs, releases[0], path)
    used = {*found, country_file.name, product_file.name}
    return Release(
        archive=path,
        nomenclature=hs,
        release=releases[0],
        years={year: by_year[year] for year in sorted(years or by_year)},
        countries=_read_countries(country_file),
        products=_read_products(product_file),
        country_file=country_file,
        product_file=product_file,
        left_alone=tuple(sorted(set(files) - used)),
        recipe=recipe,
    )


def _recipe(files: dict[str, TextFile]) -> str | None:
    """Return the recipe of a world that has no trade files."""
    if RECIPE not in files or any(TRADE_FILE.fullmatch(_base(name)) for name in files):
        return None
    if files[RECIPE].size > LONGEST_LINE:
        raise Problem(f"{RECIPE} has {files[RECIPE].size:,} bytes; expected that of `generate`.")
    with _opened(files[RECIPE]) as stream:
        return _decoded(stream.read(), files[RECIPE])


def _promised(recipe: str | None) -> dict[str, TextFile]:
    """Return the files that a recipe stands for, with the size they would have."""
    if recipe is None:
        return {}
    try:
        sizes = {str(name): int(size) for name, size in json.loads(recipe)["files"].items()}
    except (ValueError, TypeError, AttributeError, KeyError):
        raise Problem(
            f"{RECIPE} is not the recipe of a synthetic world; expected that of `generate`."
        ) from None
    return {name: TextFile(name, size, io.BytesIO) for name, size in sizes.items()}


def digest(path: str) -> str:
    """Return the SHA-256 of a file, or of the names and contents of a folder's CSVs."""
    place = _located(path)
    if not place.is_dir():
        return _sha256(TextFile(path, 0, partial(place.open, "rb"))).hex()
    total = hashlib.sha256()
    for name, file in _folder_files(place).items():
        if name.lower().endswith(".csv") or name == RECIPE:
            total.update(os.fsencode(name) + _sha256(file))
    return total.hexdigest()


def _sha256(file: TextFile) -> bytes:
    with _opened(file) as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def blocks(
    file: TextFile, *, seen: Callable[[bytes], None] = lambda _: None
) -> Iterator[Block | tuple[str, ...]]:
    """Yield the header's field names, then the body in blocks of whole lines.

    `seen` is given every byte as it passes (for a digest). Memory stays at a few blocks however
    long the file is. A zip member that is damaged ends in a `Problem`.
    """
    with _opened(file) as stream:
        yield from _blocks_of(stream, file, seen)


@contextmanager
def _opened(file: TextFile) -> Iterator[IO[bytes]]:
    """Open a file of the release; what cannot be read or unpacked ends in a `Problem`."""
    try:
        with file.open() as stream:
            yield stream
    except OSError as error:
        raise Problem(f"{file.name} cannot be read: {error.strerror or error}.") from None
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        raise Problem(
            f"{file.name} is damaged inside the zip ({error or 'it ends too early'}); "
            "download the release again."
        ) from None
    except (NotImplementedError, RuntimeError, ValueError) as error:
        raise Problem(
            f"{file.name} cannot be unpacked ({error}); expected the zip as CEPII publishes it."
        ) from None


def _blocks_of(
    stream: IO[bytes], file: TextFile, seen: Callable[[bytes], None]
) -> Iterator[Block | tuple[str, ...]]:
    first = stream.readline(LONGEST_LINE)
    seen(first)
    header = _header(first, file)
    yield header
    line, rest = 2, b""
    while chunk := stream.read(BLOCK_BYTES):
        seen(chunk)
        text = rest + chunk
        end = text.rfind(b"\n") + 1
        if end == 0 and len(text) > LONGEST_LINE:
            raise Problem(
                f"{file.name}, line {line}: no line end within {LONGEST_LINE:,} bytes; "
                "expected a CSV file with short lines."
            )
        text, rest = text[:end], text[end:]
        if text:
            rows = text.count(b"\n")
            yield Block(line, rows, text)
            line += rows
    if rest:
        yield Block(line, 1, rest + b"\n")


def _header(line: bytes, file: TextFile) -> tuple[str, ...]:
    text = _decoded(line, file).strip()
    names = tuple(name.strip().strip('"').lower() for name in text.split(","))
    if sorted(names) != sorted(FIELDS):
        found = f"the first line is {text[:80]!r}" if line else "the file is empty"
        raise Problem(f"{file.name}: {found}; expected the header {','.join(FIELDS)}.")
    return names


def _decoded(data: bytes, file: TextFile) -> str:
    """Decode a list or header: UTF-8 with or without BOM, else Western European (old releases)."""
    if b"\0" in data:
        raise Problem(
            f"{file.name} is not plain text: it has NUL bytes, as UTF-16 has; expected UTF-8."
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")  # Latin-1, and Windows' quotes and dashes


def _unmangled(name: str) -> str:
    """Undo UTF-8 read as a one-byte encoding and encoded again, as in copies of country lists."""
    for encoding in ("latin-1", "cp1252"):
        with suppress(UnicodeError):
            return name.encode(encoding).decode("utf-8")
    return name


def _base(name: str) -> str:
    """Return the last part of a name in a zip; some programs write backslashes between parts."""
    return PureWindowsPath(name).name


def _located(path: str) -> Path:
    """Return the zip or folder that is meant: the zip, where it lies beside no trade file."""
    place = Path(path)
    try:
        if place.is_dir():
            names = _folder_files(place)
            zips = [name for name in names if name.lower().endswith(".zip")]
            if not zips or any(TRADE_FILE.fullmatch(name) for name in names):
                return place
            if len(zips) == 1:
                return place / zips[0]
            raise Problem(f"{path} holds no CSV files but {_some(zips)}; give one zip by its name.")
        if place.is_file():
            return place
        exists = place.exists()
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}.") from None
    raise Problem(f"{path} is neither a file nor a folder." if exists else _no_such(place))


def _folder_files(folder: Path) -> dict[str, TextFile]:
    paths = [path for path in sorted(folder.iterdir()) if path.is_file()]
    return {p.name: TextFile(p.name, p.stat().st_size, partial(p.open, "rb")) for p in paths}


def _zip_files(path: Path) -> dict[str, TextFile]:
    if path.suffix.lower() == ".csv":
        raise Problem(f"{path} is a single CSV file; give the folder it lies in, or the zip.")
    try:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise Problem(
            f"{path} is not a whole zip file ({error}); it may be cut off: download it again."
        ) from None
    if (packed := sum(entry.compress_size for entry in entries)) > size:
        raise Problem(
            f"{path} has {size:,} bytes, and its entries claim {packed:,}; "
            "it is cut off or hostile: download it again."
        )
    files: dict[str, TextFile] = {}
    for entry in entries:
        name = entry.filename
        if not name.endswith("/"):
            _refuse_hostile(entry, files, path)
            files[name] = TextFile(name, entry.file_size, partial(_member, path, name))
    return files


def _member(path: Path, name: str) -> IO[bytes]:
    """Open a file of a zip; the zip is closed with it."""
    with zipfile.ZipFile(path) as archive:
        return archive.open(name)


def _refuse_hostile(entry: zipfile.ZipInfo, files: dict[str, TextFile], path: Path) -> None:
    name, shown = entry.filename, f"{path}: the entry {entry.filename[:100]!r}"
    if name.startswith(("/", "\\")) or ":" in name or ".." in re.split(r"[/\\]", name):
        raise Problem(f"{shown} points outside the zip; such a file is not opened.")
    if re.search(r"[\x00-\x1f\x7f-\x9f]", name):
        raise Problem(f"{shown} has control characters in its name; such a file is not opened.")
    if entry.flag_bits & 0x1:
        raise Problem(f"{shown} is encrypted; expected the zip as CEPII publishes it.")
    if name.lower().endswith(".zip"):
        raise Problem(
            f"{shown} is a zip inside the zip; unpack the outer one and give the inner one."
        )
    if name in files:
        raise Problem(f"{shown} stands twice in the zip; which one counts cannot be known.")
    if (
        entry.file_size > max(HIGHEST_RATIO * entry.compress_size, 2**20)
        or entry.file_size > MOST_UNPACKED
    ):
        raise Problem(
            f"{shown} unpacks from {entry.compress_size:,} to {entry.file_size:,} bytes; "
            f"expected at most {HIGHEST_RATIO} times its packed size and {MOST_UNPACKED:,} bytes."
        )


def _one_revision(found: set[str], wanted: str | None, path: str) -> str:
    if wanted is not None and wanted.upper() not in found:
        raise Problem(
            f"{path} has no {wanted}{nearest(wanted, found)}; it holds {', '.join(sorted(found))}."
        )
    if wanted is None and len(found) > 1:
        raise Problem(
            f"{path} holds several HS revisions, {', '.join(sorted(found))}, which must not be "
            f"mixed. Choose one with --nomenclature, e.g. --nomenclature {min(found)}."
        )
    return wanted.upper() if wanted else next(iter(found))


def _one_file_a_year(
    found: dict[str, re.Match[str]], files: dict[str, TextFile], path: str
) -> dict[int, TextFile]:
    by_year: dict[int, TextFile] = {}
    for name, match in found.items():
        year = int(match["year"])
        if year in by_year:
            raise Problem(
                f"{path} holds {year} twice, {by_year[year].name} and {name}; remove one of them."
            )
        by_year[year] = files[name]
    return by_year


def _code_list(
    files: dict[str, TextFile],
    pattern: re.Pattern[str],
    stem: str,
    hs: str,
    release: str,
    path: str,
) -> TextFile:
    """Return the one list of this revision and release; a name without them fits all."""
    named = {name: match for name in files if (match := pattern.fullmatch(_base(name)))}
    fitting = [
        name
        for name, match in named.items()
        if (match["hs"] or hs).upper() == hs and (match["release"] or release) == release
    ]
    if len(fitting) != 1:
        raise Problem(
            f"{path} holds {'no' if not fitting else 'more than one'} file like "
            f"{stem}_V{release}.csv (found {_some(fitting or named or files)}); "
            "expected exactly one, as in the zip from CEPII."
        )
    return files[fitting[0]]


def _read_list(file: TextFile, columns: str) -> list[tuple[int, dict[str, str]]]:
    """Return line number and fields by column name, in lower case, of each row of a code list."""
    if file.size > LONGEST_LIST:
        raise Problem(
            f"{file.name} has {file.size:,} bytes; expected a list of at most {LONGEST_LIST:,}."
        )
    with _opened(file) as stream:
        text = _decoded(stream.read(), file)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    header: list[str] = []
    try:
        for row in filter(None, reader):
            if not header:
                header = [name.strip().lower() for name in row]
            elif len(row) != len(header):
                raise Problem(
                    f"{file.name}, line {reader.line_num}: found {len(row)} fields; "
                    f"expected {len(header)}, {', '.join(header)}."
                )
            else:
                fields = (field.strip() for field in row)
                rows.append((reader.line_num, dict(zip(header, fields, strict=True))))
    except csv.Error as error:
        raise Problem(f"{file.name}, line {reader.line_num} is not CSV: {error}.") from None
    if not rows:
        found = f"only the header {','.join(header)[:80]!r}" if header else "nothing"
        raise Problem(f"{file.name}: found {found}; expected the columns {columns} and rows.")
    return rows


def _read_countries(file: TextFile) -> tuple[Country, ...]:
    expected = "country_code, country_name, country_iso2, country_iso3"
    rows = _read_list(file, expected)
    header = rows[0][1]
    columns = {
        ours: next((name for name in names if name in header), None)
        for ours, names in COUNTRY_COLUMNS.items()
    }
    if columns["country"] is None or columns["name"] is None:
        raise Problem(f"{file.name}: found the columns {_some(header)}; expected {expected}.")
    found: dict[int, Country] = {}
    for number, row in rows:
        code = row[columns["country"]]
        if not (re.fullmatch(r"\d{1,5}", code, re.ASCII) and int(code) < 2**15):
            raise Problem(
                f"{file.name}, line {number}: found the country code {code[:40]!r}; "
                "expected 0 to 32767."
            )
        if int(code) in found:
            raise Problem(f"{file.name}, line {number}: the country code {code} stands twice.")
        found[int(code)] = Country(
            int(code),
            _unmangled(row[columns["name"]]),
            *(
                row[columns[c]] or None if columns[c] and row[columns[c]] != "N/A" else None
                for c in ("iso2", "iso3")
            ),
        )
    return tuple(found[code] for code in sorted(found))


def _read_products(file: TextFile) -> dict[str, str]:
    rows = _read_list(file, "code, description")
    header = rows[0][1]
    if not {"code", "description"} <= set(header):
        raise Problem(
            f"{file.name}: found the columns {_some(header)}; expected code, description."
        )
    found: dict[str, str] = {}
    for number, row in rows:
        code = row["code"].zfill(6)
        if len(row["code"]) not in (5, 6):  # 5 where a program has taken the leading zero
            raise Problem(
                f"{file.name}, line {number}: found the product {row['code'][:40]!r}; "
                "expected 6 characters."
            )
        if code in found:
            raise Problem(f"{file.name}, line {number}: the product {code} stands twice.")
        found[code] = row["description"]
    return dict(sorted(found.items()))


def _no_such(place: Path) -> str:
    near = (
        nearest(place.name, (p.name for p in place.parent.glob("*")))
        if place.parent.is_dir()
        else ""
    )
    return f"There is no file or folder {place}{near}."


def _some(names: Iterable[str], most: int = 5) -> str:
    listed = [name if name.isprintable() else repr(name) for name in sorted(names)]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return (", ".join(listed[:most]) or "no files") + more


def _ranges(years: list[int]) -> str:
    if years == list(range(years[0], years[-1] + 1)):
        return f"{years[0]}-{years[-1]}"
    return ", ".join(map(str, years))
