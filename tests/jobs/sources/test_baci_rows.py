"""What becomes of every kind of row, and that reading at once and reading by row agree."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.sources import baci_rows
from jobs.sources.baci_rows import FLOW, SUMS, Codes, Reason, parse

CODES = Codes(("t", "i", "j", "k", "v", "q"), ("010111", "280530", "9999AA"), (4, 251, 842))
CLEAN = "2007,4,251,280530,         78.234,         24.400"
ROUNDING = 1e-12
"""Relative: a dozen doubles added in different order."""


def read(*lines, codes=CODES, end="\n"):
    text = "".join(line + end for line in lines).encode()
    return parse(text, first_line=2, year=2007, codes=codes)


def by_row(*lines, codes=CODES):
    text = "".join(line + "\n" for line in lines).encode()
    return baci_rows._parse_by_row(text, 2, 2007, codes)


@pytest.mark.parametrize(
    ("line", "value", "quantity"),
    [
        (CLEAN, 78.234, 24.4),
        ("2007,4,251,280530,78.234,           NA", 78.234, np.nan),
        ("2007,4,251,280530,78.234,NA", 78.234, np.nan),
        ("2007,4,251,280530,78.234,", 78.234, np.nan),
        ('2007,4,251,"280530",78.234,24.4', 78.234, 24.4),
        ("2007,  4,251,280530,1e3,0", 1000, 0),
        ("2007,4,251,280530,0.000,0", 0, 0),
        ("2007,4,251,280530,+5,+.5", 5, 0.5),
    ],
)
def test_a_good_row_becomes_a_flow(line, value, quantity):
    found = read(line)

    assert found.rejects == ()
    assert found.flows["exporter"].tolist() == [4] and found.flows["importer"].tolist() == [251]
    assert found.flows["line"].tolist() == [2]
    assert found.flows["value"] == pytest.approx([value])
    assert found.flows["quantity"] == pytest.approx([quantity], nan_ok=True)


@pytest.mark.parametrize("code", ["010111", "10111", " 010111 ", '"010111"'])
def test_leading_zeros_belong_to_the_product(code):
    found = read(f"2007,4,251,{code},1,1")

    assert [CODES.products[n] for n in found.products] == ["010111"]


def test_a_product_need_not_be_digits():
    assert [CODES.products[n] for n in read("2007,4,251,9999AA,1,1").products] == ["9999AA"]


def test_windows_line_ends_are_line_ends():
    found = read(CLEAN, CLEAN.replace("251", "842"), end="\r\n")

    assert found.flows.size == 2 and found.rejects == ()


@pytest.mark.parametrize(
    ("line", "reason", "detail", "value"),
    [
        ("2007,4,251,280530,1", Reason.FIELDS, "5 fields; expected 6", None),
        ("2007,4,251,280530,1,1,1", Reason.FIELDS, "7 fields; expected 6", None),
        ("", Reason.FIELDS, "1 fields; expected 6", None),
        ("2007,4,251,280530,abc,1", Reason.UNPARSABLE, "v is 'abc'; expected a number", None),
        ("2007,4,251,280530,NA,1", Reason.UNPARSABLE, "v is 'NA'; expected a number", None),
        ("2007,4,251,280530,,1", Reason.UNPARSABLE, "v is ''; expected a number", None),
        ("2007,x,251,280530,5,1", Reason.UNPARSABLE, "i is 'x'; expected a whole number", 5),
        ("2007,4.0,251,280530,5,1", Reason.UNPARSABLE, "i is '4.0'; expected a whole number", 5),
        ("2007,4,251,280530,5,abc", Reason.UNPARSABLE, "q is 'abc'; expected a number or NA", 5),
        ("2007,4,251,280530,1_0,1", Reason.UNPARSABLE, "v is '1_0'; expected a number", None),
        ("2007,4,251,280530,0x1F,1", Reason.UNPARSABLE, "v is '0x1F'; expected a number", None),
        ("2007,0x4,251,280530,5,1", Reason.UNPARSABLE, "i is '0x4'; expected a whole number", 5),
        (
            f"2007,{'9' * 5000},251,280530,5,1",
            Reason.UNPARSABLE,
            f"i is '{'9' * 5000}'; expected a whole number",
            5,
        ),
        ("2008,4,251,280530,+5,1", Reason.YEAR, "t is 2008; the file is for 2007", 5),
        ("2008,4,251,280530,5,1", Reason.YEAR, "t is 2008; the file is for 2007", 5),
        ("2007,5,251,280530,5,1", Reason.COUNTRY, "i is 5, not in the country list", 5),
        ("2007,4,-1,280530,5,1", Reason.COUNTRY, "j is -1, not in the country list", 5),
        ("2007,4,99999,280530,5,1", Reason.COUNTRY, "j is 99999, not in the country list", 5),
        ("2007,4,251,999999,5,1", Reason.PRODUCT, "k is '999999', not in the product list", 5),
        ("2007,4,251,2805301,5,1", Reason.PRODUCT, "k is '2805301', not in the product list", 5),
        ("2007,4,251,280530,nan,1", Reason.NOT_FINITE, "v is nan", None),
        ("2007,4,251,280530,inf,1", Reason.NOT_FINITE, "v is inf", None),
        ("2007,4,251,280530,1e999,1", Reason.NOT_FINITE, "v is 1e999", None),
        ("2007,4,251,280530,-5,1", Reason.NEGATIVE, "v is -5", -5),
        ("2007,4,251,280530,5,-1", Reason.QUANTITY, "q is -1", 5),
        ("2007,4,251,280530,5,inf", Reason.QUANTITY, "q is inf", 5),
        ("2007,4,4,280530,5,1", Reason.SELF_TRADE, "i and j are both 4", 5),
    ],
)
def test_a_bad_row_is_rejected_with_its_line_and_reason(line, reason, detail, value):
    found = read(CLEAN, line)

    assert found.flows.size == 1
    (reject,) = found.rejects
    assert (reject.line, reject.reason, reject.detail, reject.text) == (3, reason, detail, line)
    assert reject.value_kusd == value
    assert found.rows_selected == 2
    assert found.value_kusd == pytest.approx(78.234 + (value or 0))


def test_bytes_that_are_not_text_are_kept_readable():
    found = parse(b"2007,4,251,280530,\xff,1\n", first_line=2, year=2007, codes=CODES)

    assert found.rejects[0].text == "2007,4,251,280530,\\xff,1"


ODD = ["", " 2 ", '"4"', "+1", "1 2", "00", "-0", "1e400", "é", "NA", "nan", "-inf", "abc"]
PLAIN = ["2007", "2008", "4", "251", "842", "5", "280530", "10111", "999999", "1.5", "-3", "1e3"]
FIELDS = st.sampled_from([*ODD, *PLAIN])
ROWS = st.lists(FIELDS, min_size=4, max_size=8).map(",".join)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(ROWS, st.just(CLEAN), st.just(CLEAN.replace("251", "842"))), max_size=6))
def test_reading_at_once_and_by_row_agree(lines):
    at_once, one_by_one = read(*lines), by_row(*lines)

    assert at_once.flows.tobytes() == one_by_one.flows.tobytes()
    assert at_once.products.tolist() == one_by_one.products.tolist()
    assert at_once.rejects == one_by_one.rejects
    assert at_once.rows_selected == one_by_one.rows_selected == len(lines)
    assert at_once.value_kusd == pytest.approx(one_by_one.value_kusd, rel=ROUNDING)


def test_unselected_products_are_left_out_and_not_rejected():
    codes = Codes(CODES.fields, CODES.products, CODES.countries, wanted=("2805",))
    for reading in (read, by_row):
        found = reading(CLEAN, "2007,4,251,010111,5,1", "2007,4,251,777777,5,1", codes=codes)

        assert found.flows.size == 1
        assert [reject.reason for reject in found.rejects] == [Reason.PRODUCT]
        assert found.rows_selected == 2


def packed(*texts):
    first, batches = 2, []
    for text in texts:
        found = parse(text.encode(), first_line=first, year=2007, codes=CODES)
        batches.append(baci_rows.pack(found, 2007, first))
        first += text.count("\n")
    table = pa.Table.from_batches(batches).sort_by(
        [("product", "ascending"), ("first_line", "ascending")]
    )
    return table.combine_chunks().to_batches()


@pytest.mark.parametrize("at_a_time", [1, 2**20])
def test_of_rows_with_one_key_the_first_in_the_file_stays(monkeypatch, at_a_time):
    monkeypatch.setattr(baci_rows, "FLOWS_PER_MERGE", at_a_time)
    twice = "2007,4,251,280530,1,1\n2007,842,4,280530,7,1\n"
    batches = packed(twice, "2007,4,251,280530,2,2\n2007,4,251,010111,3,3\n")
    merged = pa.Table.from_batches(list(baci_rows.merge_products(iter(batches)))).to_pylist()
    rows = {row["product"]: row for row in merged if row["product"] != SUMS}
    kept = np.frombuffer(rows[1]["flows"], FLOW)

    assert kept["value"].tolist() == [7, 1]  # by importer: 4, then 251
    assert rows[1]["value_kusd"] == 8
    assert [(r["line"], r["value_kusd"]) for r in rows[1]["rejects"]] == [(4, 2)]
    assert rows[1]["rejects"][0]["detail"] == "same exporter, importer and product as line 2"
    assert np.frombuffer(rows[0]["flows"], FLOW)["value"].tolist() == [3]
    assert rows[0]["rejects"] == []


def test_unpacking_gives_the_rows_back():
    batches = packed("2007,4,251,280530,1,NA\n2007,842,4,010111,7,2\n")
    merged = baci_rows.merge_products(iter(batches))
    rows = pa.Table.from_batches(list(baci_rows.unpack_trade(CODES.products)(merged))).to_pylist()

    assert sorted(map(tuple, (row.values() for row in rows)), key=str) == [
        (2007, 4, 251, "280530", 1.0, None),
        (2007, 842, 4, "010111", 7.0, 2.0),
    ]


def test_lines_are_found_again_in_their_block():
    batch = pa.RecordBatch.from_pylist(
        [{"path": "x/year=2007/first_line=10.txt", "content": b"a\r\nb\nc\n"}],
        pa.schema([("path", pa.string()), ("content", pa.binary())]),
    )
    wanted = {2007: np.array([9, 10, 12, 13])}
    found = pa.Table.from_batches(list(baci_rows.lines_of_blocks(wanted)(iter([batch]))))

    assert found.to_pylist() == [
        {"year": 2007, "line": 10, "text": "a"},
        {"year": 2007, "line": 12, "text": "c"},
    ]
