"""What is taken as a BACI release, and the sentence with which everything else is refused."""

import hashlib
import io
import os
import random
import zipfile
from pathlib import Path

import pytest

from conf.problem import Problem
from conf.settings import SAMPLE
from jobs.sources import baci
from jobs.sources.baci import Block, Country, TextFile, blocks, digest, open_release

TRADE, LATER = "BACI_HS92_Y2007_V202501.csv", "BACI_HS92_Y2008_V202501.csv"
COUNTRY_LIST, PRODUCT_LIST = "country_codes_V202501.csv", "product_codes_HS92_V202501.csv"
HEADER = b"t,i,j,k,v,q\n"
ROWS = b"2007,4,251,280530,         78.234,         24.400\n2007,251,4,10111,1,           NA\n"
COUNTRIES = b"country_code,country_name,country_iso2,country_iso3\n4,Afghanistan,AF,AFG\n"
PRODUCTS = b'code,description\n010111,"Horses: live, pure-bred"\n280530,Rare-earth metals\n'
GOOD = {
    TRADE: HEADER + ROWS,
    LATER: HEADER + ROWS.replace(b"2007", b"2008"),
    COUNTRY_LIST: COUNTRIES,
    PRODUCT_LIST: PRODUCTS,
}


def a_zip(folder, files=GOOD, name="BACI.zip", method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(folder / name, "w", method) as archive:
        for entry, data in files.items():
            archive.writestr(entry, data)
    return str(folder / name)


def a_folder(folder, files=GOOD):
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return str(folder)


def without(*names):
    return {name: data for name, data in GOOD.items() if name not in names}


def text_file(data, name="x.csv"):
    return TextFile(name, len(data), lambda: io.BytesIO(data))


def read_whole(path, **options):
    """Open a release and read every line of it."""
    release = open_release(path, **options)
    return release, {year: list(blocks(file)) for year, file in release.years.items()}


def refusal(path, **options):
    with pytest.raises(Problem) as caught:
        read_whole(path, **options)
    return str(caught.value)


# Taken as it is


@pytest.mark.parametrize("make", [a_zip, a_folder])
def test_a_release_is_what_its_names_and_lists_say(tmp_path, make):
    release, text = read_whole(make(tmp_path))

    assert (release.nomenclature, release.release) == ("HS92", "202501")
    assert list(release.years) == [2007, 2008]
    assert release.countries == (Country(4, "Afghanistan", "AF", "AFG"),)
    assert release.products == {
        "010111": "Horses: live, pure-bred",
        "280530": "Rare-earth metals",
    }
    assert text[2007] == [("t", "i", "j", "k", "v", "q"), Block(2, 2, ROWS)]


def test_the_bundled_sample_is_a_release_of_814_111_rows():
    release = open_release(str(SAMPLE / "BACI_HS92_V202601_raw_materials.zip"))
    rows = sum(
        piece.rows
        for file in release.years.values()
        for piece in blocks(file)
        if isinstance(piece, Block)
    )

    assert rows == 814_111  # data/README.md
    assert list(release.years) == list(range(2007, 2024))
    assert release.left_alone == ("Readme.txt",)
    assert next(c.iso2 for c in release.countries if c.name == "Namibia") == "NA"


@pytest.mark.parametrize("prefix", ["BACI_HS92_V202501/", "a\\b\\", "./", "a b/ü'\"/"])
def test_the_files_may_lie_in_a_folder_of_the_zip(tmp_path, prefix):
    release, _ = read_whole(a_zip(tmp_path, {prefix + name: d for name, d in GOOD.items()}))

    assert list(release.years) == [2007, 2008]


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_every_usual_way_of_packing_is_read(tmp_path, method):
    _, text = read_whole(a_zip(tmp_path, method=method))

    assert text[2007][1].text == ROWS


@pytest.mark.parametrize(
    "name", ["with spaces", "ünïcødé 国", 'it\'s "quoted" `so`', "a\nb", "a#b%20"]
)
def test_a_path_may_hold_any_character(tmp_path, name):
    (tmp_path / name).mkdir()
    path = a_zip(tmp_path / name, name=f"{name}.zip")

    assert read_whole(path)[0].archive == path
    assert digest(path) == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert list(open_release(a_folder(tmp_path / name / name)).years) == [2007, 2008]


def test_a_folder_with_one_zip_means_the_zip(tmp_path):
    path = a_zip(tmp_path)
    (tmp_path / "Readme.txt").write_text("from CEPII")

    assert list(read_whole(str(tmp_path))[0].years) == [2007, 2008]
    assert digest(str(tmp_path)) == digest(path)


def test_what_is_not_a_file_of_the_release_is_left_alone(tmp_path):
    strange = {"Readme.txt": b"", "notes.csv": b"", "._" + TRADE: b"", TRADE + ".bak": b""}
    path = a_folder(tmp_path, GOOD | strange)
    (tmp_path / "BACI_HS92_Y2009_V202501.csv").mkdir()
    os.mkfifo(tmp_path / "BACI_HS92_Y2010_V202501.csv")
    (tmp_path / "BACI_HS92_Y2011_V202501.csv").symlink_to("gone")

    release = open_release(path)

    assert list(release.years) == [2007, 2008]
    assert release.left_alone == tuple(sorted(strange))
    assert digest(path)


def test_only_the_years_asked_for_are_opened(tmp_path):
    path = a_zip(tmp_path, GOOD | {LATER: b"not a trade file"})

    assert list(read_whole(path, years=(2007,))[0].years) == [2007]


@pytest.mark.parametrize("asked", ["HS07", "hs07"])
def test_one_of_several_revisions_is_taken_when_named(tmp_path, asked):
    other = {name.replace("HS92", "HS07"): data for name, data in GOOD.items()}
    release, _ = read_whole(a_zip(tmp_path, GOOD | other), nomenclature=asked)

    assert release.nomenclature == "HS07"
    assert {file.name for file in release.years.values()} == {
        TRADE.replace("92", "07"),
        LATER.replace("HS92", "HS07"),
    }
    assert release.product_file.name == "product_codes_HS07_V202501.csv"


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (b"t,i,j,k,v,q\n", "tijkvq"),
        (b"k,v,q,t,j,i\n", "kvqtji"),
        (b'"t","i","j","k","v","q"\n', "tijkvq"),
        (b"\xef\xbb\xbft,i,j,k,v,q\r\n", "tijkvq"),
        (b"T, I, J, K, V, Q\n", "tijkvq"),
    ],
)
def test_a_header_is_understood_in_any_order_and_dress(text, fields):
    assert next(blocks(text_file(text + ROWS))) == tuple(fields)


COUNTRY_HEADER = b"country_code,country_name,country_iso2,country_iso3\n"
OLD_HEADER = (
    b"country_code,country_name_abbreviation,country_name_full,iso_2digit_alpha,iso_3digit_alpha\n"
)
AFGHANISTAN = Country(4, "Afghanistan", "AF", "AFG")


@pytest.mark.parametrize(
    ("text", "country"),
    [
        (COUNTRIES, AFGHANISTAN),
        (b"\xef\xbb\xbf" + COUNTRIES, AFGHANISTAN),
        (COUNTRIES.replace(b"\n", b"\r\n"), AFGHANISTAN),
        (COUNTRIES.strip(), AFGHANISTAN),
        (COUNTRIES + b"\n\n", AFGHANISTAN),
        (
            OLD_HEADER + b'68,Bolivia,"Bolivia, Plurinational State of",BO,BOL\n',
            Country(68, "Bolivia, Plurinational State of", "BO", "BOL"),
        ),
        (b'"country_code","country_name"\n"4","Here"\n', Country(4, "Here", None, None)),
        (COUNTRY_HEADER + b"516,Namibia,NA,NAM\n", Country(516, "Namibia", "NA", "NAM")),
        (COUNTRY_HEADER + b"490,Other Asia,N/A,S19\n", Country(490, "Other Asia", None, "S19")),
    ],
    ids=["plain", "BOM", "CRLF", "unended", "blank", "old", "quoted", "Namibia", "no ISO2"],
)
def test_country_lists_of_all_releases_are_read(text, country):
    assert baci._read_countries(text_file(text)) == (country,)


@pytest.mark.parametrize(
    "written", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "mangled", "mangled-1252"]
)
def test_names_come_out_right_in_every_encoding(written):
    names = ("Côte d'Ivoire", "Curaçao", "Türkiye", "Saint-Barthélemy")
    lines = "".join(f"{n},{name},,\n" for n, name in enumerate(names))
    data = {
        "mangled": lines.encode().decode("latin-1").encode(),
        "mangled-1252": lines.encode().decode("cp1252").encode(),
    }.get(written) or lines.encode(written)
    header = COUNTRY_HEADER
    if written == "utf-8-sig":
        header, data = b"\xef\xbb\xbf" + header, lines.encode()

    read = baci._read_countries(text_file(header + data))

    assert tuple(country.name for country in read) == names


def test_a_product_that_lost_its_leading_zero_gets_it_back():
    assert baci._read_products(text_file(b"code,description\n10111,Horses\n9999AA,nes\n")) == {
        "010111": "Horses",
        "9999AA": "nes",
    }


# Blocks


@pytest.mark.parametrize("size", [1, 7, 64, 2**20])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_blocks_hold_whole_lines_and_every_byte_of_them(monkeypatch, size, end, last):
    monkeypatch.setattr(baci, "BLOCK_BYTES", size)
    body = ROWS.replace(b"\n", end) * 3 + b"\n" + b"short\n" * 2
    data = HEADER + (body if last else body[:-1])
    seen = hashlib.sha256()

    _, *found = blocks(text_file(data), seen=seen.update)

    assert b"".join(block.text for block in found) == body
    assert all(block.text.endswith(b"\n") for block in found)
    assert [block.rows for block in found] == [block.text.count(b"\n") for block in found]
    starts = [2 + sum(block.rows for block in found[:n]) for n in range(len(found))]
    assert [block.first_line for block in found] == starts
    assert seen.hexdigest() == hashlib.sha256(data).hexdigest()


def test_a_header_alone_has_no_blocks():
    assert list(blocks(text_file(HEADER))) == [("t", "i", "j", "k", "v", "q")]
    assert list(blocks(text_file(HEADER.strip()))) == [("t", "i", "j", "k", "v", "q")]


def test_memory_stays_bounded_when_a_line_never_ends(monkeypatch):
    monkeypatch.setattr(baci, "BLOCK_BYTES", 2**21)
    taken = []

    class Endless:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def readline(self, _):
            return HEADER

        def read(self, size):
            taken.append(size)
            return b"7" * size

    with pytest.raises(Problem, match=r"x.csv, line 2: no line end within 1,048,576 bytes"):
        list(blocks(TextFile("x.csv", 2**40, Endless)))
    assert sum(taken) <= 2**22


# Refused: what is in the files


@pytest.mark.parametrize(
    ("files", "options", "sentence"),
    [
        ({}, {}, "holds no BACI trade file; found no files; expected files like BACI_HS07_Y2020"),
        ({"a.txt": b"", "b.csv": b""}, {}, "holds no BACI trade file; found a.txt, b.csv;"),
        (without(COUNTRY_LIST), {}, "holds no file like country_codes_V202501.csv (found BACI_"),
        (without(PRODUCT_LIST), {}, "holds no file like product_codes_HS92_V202501.csv"),
        (
            without(PRODUCT_LIST) | {"product_codes_HS07_V202501.csv": PRODUCTS},
            {},
            "no file like product_codes_HS92_V202501.csv (found product_codes_HS07_V202501.csv)",
        ),
        (
            GOOD | {"product_codes_HS92.csv": PRODUCTS},
            {},
            "more than one file like product_codes_HS92_V202501.csv "
            "(found product_codes_HS92.csv, product_codes_HS92_V202501.csv)",
        ),
        (
            without(COUNTRY_LIST) | {"country_codes_V202401.csv": COUNTRIES},
            {},
            "no file like country_codes_V202501.csv (found country_codes_V202401.csv)",
        ),
        (
            GOOD | {"BACI_HS07_Y2007_V202501.csv": HEADER + ROWS},
            {},
            "holds several HS revisions, HS07, HS92, which must not be mixed. "
            "Choose one with --nomenclature, e.g. --nomenclature HS07.",
        ),
        (GOOD, {"nomenclature": "HS96"}, "has no HS96 (nearest: HS92); it holds HS92."),
        (
            GOOD | {"BACI_HS92_Y2009_V202401.csv": HEADER + ROWS},
            {},
            "mixes the BACI releases 202401, 202501; expected one. Keep each release in a folder",
        ),
        (
            GOOD | {TRADE.lower(): HEADER + ROWS},
            {},
            f"holds 2007 twice, {TRADE} and {TRADE.lower()}; remove one of them.",
        ),
        (GOOD, {"years": (2007, 2030)}, "has no data for 2030; it covers 2007-2008."),
        (
            without(LATER) | {LATER.replace("2008", "2010"): HEADER},
            {"years": (2008, 2009)},
            "has no data for 2008, 2009; it covers 2007, 2010.",
        ),
        (GOOD | {TRADE: b""}, {}, f"{TRADE}: the file is empty; expected the header t,i,j,k,v,q."),
        (GOOD | {TRADE: ROWS}, {}, f"{TRADE}: the first line is '2007,4,251,280530,"),
        (GOOD | {TRADE: b"t;i;j;k;v;q\n"}, {}, "the first line is 't;i;j;k;v;q'; expected the"),
        (GOOD | {TRADE: b"t,i,j,k,v\n"}, {}, "the first line is 't,i,j,k,v'; expected the header"),
        (GOOD | {TRADE: b"t,i,j,k,v,v\n"}, {}, "the first line is 't,i,j,k,v,v'; expected the"),
        (GOOD | {TRADE: b"x" * 9999}, {}, f"the first line is '{'x' * 80}'; expected the header"),
        (
            GOOD | {TRADE: (HEADER + ROWS).decode().encode("utf-16")},
            {},
            f"{TRADE} is not plain text: it has NUL bytes, as UTF-16 has; expected UTF-8.",
        ),
        (
            GOOD | {TRADE: b"\x1f\x8b\x08packed"},
            {},
            r"the first line is '‹\x08packed'; expected the",
        ),
    ],
    ids=lambda value: value[:50] if isinstance(value, str) else "",
)
@pytest.mark.parametrize("make", [a_zip, a_folder])
def test_what_is_not_one_whole_release_is_refused(tmp_path, make, files, options, sentence):
    assert sentence in refusal(make(tmp_path, files), **options)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "found nothing; expected the columns country_code, country_name"),
        (COUNTRY_HEADER, "found only the header 'country_code,country_name,country_iso2,"),
        (b"code;name\n4;X\n", "found the columns code;name; expected country_code, country_name"),
        (b"country_code,iso3\n4,AFG\n", "found the columns country_code, iso3; expected country_"),
        (COUNTRIES + b"4,Again,AG,AGA\n", "line 3: the country code 4 stands twice."),
        (COUNTRIES + b"04,Again,AG,AGA\n", "line 3: the country code 04 stands twice."),
        (COUNTRIES + b"32768,X,,\n", "line 3: found the country code '32768'; expected 0 to 32767"),
        (COUNTRIES + b"-1,X,,\n", "line 3: found the country code '-1'; expected 0 to 32767."),
        (COUNTRIES + b"4.0,X,,\n", "line 3: found the country code '4.0'; expected 0 to 32767."),
        (COUNTRIES + b",X,,\n", "line 3: found the country code ''; expected 0 to 32767."),
        (COUNTRIES + "٤,X,,\n".encode(), "line 3: found the country code '٤'; expected 0 to"),
        (COUNTRIES + b"9" * 5000 + b",X,,\n", f"found the country code '{'9' * 40}'; expected 0"),
        (COUNTRIES + b"68,Bolivia, State of,BO,BOL\n", "line 3: found 5 fields; expected 4, count"),
        (COUNTRIES + b"68,Bolivia\n", "line 3: found 2 fields; expected 4, country_code,"),
        (COUNTRIES + b'8,"Albania,AL,ALB\n12,Algeria\n', "line 4 is not CSV: unexpected end of"),
        (COUNTRIES + b'8,"Albania\n12,"Algeria",DZ,DZA\n', "line 4 is not CSV: ',' expected after"),
        (COUNTRIES.decode().encode("utf-16"), "is not plain text: it has NUL bytes, as UTF-16 has"),
        (COUNTRIES + b"8,Alb\0ania,AL,ALB\n", "is not plain text: it has NUL bytes, as UTF-16 has"),
        (COUNTRIES + b"8," + b"x" * 200_000 + b",,\n", "line 3 is not CSV: field larger than"),
    ],
    ids=lambda value: value[:50] if isinstance(value, str) else "",
)
def test_a_country_list_with_a_fault_is_refused(tmp_path, text, sentence):
    said = refusal(a_folder(tmp_path, GOOD | {COUNTRY_LIST: text}))

    assert said.startswith(COUNTRY_LIST) and sentence in said


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "found nothing; expected the columns code, description and rows."),
        (b"code\n010111\n", "found the columns code; expected code, description."),
        (PRODUCTS + b"280530,again\n", "line 4: the product 280530 stands twice."),
        (PRODUCTS + b"10111,again\n", "line 4: the product 010111 stands twice."),
        (PRODUCTS + b"2805,heading\n", "line 4: found the product '2805'; expected 6 characters."),
        (PRODUCTS + b"2805301,x\n", "line 4: found the product '2805301'; expected 6 characters."),
        (PRODUCTS + b",x\n", "line 4: found the product ''; expected 6 characters."),
        (PRODUCTS + b"280540,Mercury, pure\n", "line 4: found 3 fields; expected 2, code, descri"),
    ],
    ids=lambda value: value[:50] if isinstance(value, str) else "",
)
def test_a_product_list_with_a_fault_is_refused(tmp_path, text, sentence):
    said = refusal(a_folder(tmp_path, GOOD | {PRODUCT_LIST: text}))

    assert said.startswith(PRODUCT_LIST) and sentence in said


def test_a_code_list_of_absurd_size_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(baci, "LONGEST_LIST", 10)

    assert f"{COUNTRY_LIST} has 73 bytes; expected a list of at most 10." in refusal(
        a_zip(tmp_path)
    )


# Refused: the zip and the path


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("../evil.csv", "'../evil.csv' points outside the zip; such a file is not opened."),
        ("a/../../evil.csv", "'a/../../evil.csv' points outside the zip"),
        ("..\\evil.csv", r"'..\\evil.csv' points outside the zip"),
        ("/etc/passwd", "'/etc/passwd' points outside the zip"),
        ("\\\\server\\share", "server\\\\share' points outside the zip"),
        ("C:\\evil.csv", r"'C:\\evil.csv' points outside the zip"),
        ("a\x1b[31m.csv", r"'a\x1b[31m.csv' has control characters in its name"),
        ("BACI_HS07.zip", "is a zip inside the zip; unpack the outer one and give the inner one."),
        ("x/" + TRADE, f"holds 2007 twice, {TRADE} and x/{TRADE}; remove one of them."),
    ],
)
def test_a_hostile_entry_refuses_the_zip(tmp_path, name, sentence):
    assert sentence in refusal(a_zip(tmp_path, GOOD | {name: b"x"}))


def test_an_entry_that_stands_twice_refuses_the_zip(tmp_path):
    path = a_zip(tmp_path)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(TRADE, HEADER)

    assert f"'{TRADE}' stands twice in the zip; which one counts cannot be known" in refusal(path)


def test_an_encrypted_entry_refuses_the_zip(tmp_path):
    path = Path(a_zip(tmp_path))
    data = bytearray(path.read_bytes())
    for start in (data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8):
        data[start] |= 1
    path.write_bytes(data)

    assert f"'{TRADE}' is encrypted; expected the zip as CEPII publishes it." in refusal(str(path))


def test_an_entry_that_unpacks_to_absurd_size_refuses_the_zip(tmp_path):
    path = a_zip(tmp_path, GOOD | {"BACI_HS92_Y2009_V202501.csv": b"0" * 2**22})

    assert "to 4,194,304 bytes; expected at most 60 times its packed size" in refusal(path)


def declaring(path, offset, value, size=4):
    """Overwrite a number in the central directory's first entry."""
    data = bytearray(Path(path).read_bytes())
    start = data.index(b"PK\x01\x02") + offset
    data[start : start + size] = value.to_bytes(size, "little")
    Path(path).write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("offset", "value", "size", "sentence"),
    [
        (20, 2**30, 4, "and its entries claim 1,073,742,"),  # packed size
        (24, 2**32 - 2, 4, "to 4,294,967,294 bytes; expected at most 60 times"),  # size
        (24, 20, 4, "is damaged inside the zip (Bad CRC-32"),
        (16, 1, 4, "is damaged inside the zip (Bad CRC-32"),  # checksum
        (42, 7, 4, "is damaged inside the zip (Bad magic number for file header)"),  # place
        (10, 9, 2, "cannot be unpacked (That compression method is not supported)"),
        (10, 12, 2, "cannot be read: Invalid data stream"),  # bzip2, which it is not
        (10, 0, 2, "is damaged inside the zip"),
        (6, 99, 2, "is not a whole zip file (zip file version 9.9)"),
    ],
)
def test_a_directory_that_lies_is_caught(tmp_path, offset, value, size, sentence):
    assert sentence in refusal(declaring(a_zip(tmp_path), offset, value, size))


def test_an_entry_without_a_name_is_left_alone(tmp_path):
    path = a_zip(tmp_path, {"n": b"", **GOOD})
    declaring(path, 28, 1 << 16, 4)  # the length of the name, then of what follows it

    assert open_release(path).left_alone == ("",)


@pytest.mark.parametrize("left", [0, 1, 30, 200, -1, -22, -60])
def test_a_zip_cut_off_anywhere_is_refused(tmp_path, left):
    path = Path(a_zip(tmp_path))
    path.write_bytes(path.read_bytes()[:left])

    assert "is not a whole zip file" in refusal(str(path))


def test_a_member_overwritten_with_zeros_is_refused(tmp_path):
    many = HEADER + b"".join(b"2007,4,251,280530,%d,1\n" % n for n in range(3000))
    path = Path(a_zip(tmp_path, GOOD | {TRADE: many}))
    data = bytearray(path.read_bytes())
    data[2000:3000] = bytes(1000)
    path.write_bytes(data)

    assert f"{TRADE} is damaged inside the zip" in refusal(str(path))


def test_no_damaged_byte_ends_in_anything_but_a_sentence(tmp_path):
    path = Path(a_zip(tmp_path))
    whole, chance = path.read_bytes(), random.Random(1)
    outcomes = set()
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 1, 2, 5))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        try:
            read_whole(str(path))
            outcomes.add("read")
        except Problem:
            outcomes.add("refused")

    assert outcomes == {"read", "refused"}  # a date or comment may change without harm


def test_a_link_in_a_zip_is_not_followed(tmp_path):
    link = zipfile.ZipInfo(TRADE)
    link.external_attr = 0o120777 << 16
    path = tmp_path / "BACI.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in GOOD.items():
            archive.writestr(
                link if name == TRADE else name, b"/etc/passwd" * (name == TRADE) or data
            )

    assert f"{TRADE}: the first line is '/etc/passwd'; expected the header" in refusal(str(path))


def test_a_path_that_is_nothing_readable_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "notes.zip").write_text("not a zip")
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("BACI_HS92.zip", "BACI_HS07.zip"):
        (folder / name).write_bytes(b"")
    said = {
        "BACI_HS29.zip": "There is no file or folder",
        "pipe": "pipe is neither a file nor a folder.",
        "x" * 300: "cannot be read: File name too long.",
        "nul\0": "There is no file or folder",
        "notes.zip": "notes.zip is not a whole zip file (File is not a zip file)",
        "folder": "holds no CSV files but BACI_HS07.zip, BACI_HS92.zip; give one zip by its name.",
        "folder/BACI_HS29.zip": "BACI_HS29.zip (nearest: BACI_HS92.zip, BACI_HS07.zip).",
    }

    for name, sentence in said.items():
        assert sentence in refusal(str(tmp_path / name))


def test_a_single_csv_is_refused_with_the_way_out(tmp_path):
    a_folder(tmp_path)

    assert f"{TRADE} is a single CSV file; give the folder it lies in, or the zip." in refusal(
        str(tmp_path / TRADE)
    )


@pytest.mark.parametrize("name", [TRADE, COUNTRY_LIST])
def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch, name):
    path, allowed = a_folder(tmp_path), Path.open

    def opened(self, *arguments, **options):
        if self.name == name:
            raise PermissionError(13, "Permission denied", str(self))
        return allowed(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", opened)

    assert refusal(path) == f"{name} cannot be read: Permission denied."
    with pytest.raises(Problem, match=f"{name} cannot be read: Permission denied."):
        digest(path)


# The digest, by which a run knows what it has read


def test_the_digest_of_a_folder_changes_with_any_name_or_byte(tmp_path):
    seen = {digest(a_folder(tmp_path / "a"))}
    assert digest(a_folder(tmp_path / "b")) in seen

    for number, files in enumerate(
        (
            GOOD | {TRADE: HEADER},
            without(TRADE) | {TRADE.replace("2007", "2006"): GOOD[TRADE]},
            GOOD | {"BACI_HS92_Y2009_V202501.CSV": HEADER},
            without(LATER),
        )
    ):
        seen.add(digest(a_folder(tmp_path / f"changed {number}", files)))

    assert len(seen) == 5


def test_the_digest_of_a_file_is_its_sha_256(tmp_path):
    path = a_zip(tmp_path)

    assert digest(path) == hashlib.sha256(Path(path).read_bytes()).hexdigest()
