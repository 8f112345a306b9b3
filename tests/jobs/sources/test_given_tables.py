"""A user's CSV is read as it stands, and a fault in it is named by its line in the file."""

import pytest

from conf.problem import Problem
from jobs.sources.given_tables import read_given


def given(tmp_path, content, key=("iso3",)):
    file = tmp_path / "given.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_given(str(file), ("iso3", "score"), key)


def test_rows_are_text_with_their_line_in_the_file(tmp_path):
    table = given(tmp_path, '\ufeffiso3,score,why\n\nNAM,007,"one,\ntwo"\nDEU,,NA\n')
    assert table.to_dict("records") == [
        {"iso3": "NAM", "score": "007", "why": "one,\ntwo", "line": 4},
        {"iso3": "DEU", "score": "", "why": "NA", "line": 5},
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("iso3,score\nDEU,1,\n", "line 2: found a row of another length .* expected 2 fields"),
        ("iso3,score\n\nDEU\n", "line 3: found a row of another length"),
        ("iso3,value\nDEU,1\n", "no column score; expected iso3, score, found iso3, value"),
        ("", "no column iso3, score"),
        ("iso3,score\nDEU,1\n\nDEU,2\n", "line 4: DEU stands a second time"),
        (b"iso3,score\n\xff\xfe,1\n", "is not a CSV file"),
        ('iso3,score\nDEU,"1\n', "is not a CSV file"),
    ],
)
def test_a_fault_is_named_by_line(tmp_path, content, said):
    with pytest.raises(Problem, match=said):
        given(tmp_path, content)


def test_a_file_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(Problem, match="cannot be read: No such file"):
        read_given(str(tmp_path / "none.csv"), ("iso3",), None)
