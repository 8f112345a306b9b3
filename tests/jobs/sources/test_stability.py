"""Countries that take the score of another: what the file of parents may say."""

import pandas as pd
import pytest

from conf.problem import Problem
from jobs.sources.stability import _parents

COUNTRIES = pd.DataFrame(
    {"iso3": ["DNK", "FRO", None, "S19", "R20"], "wgi_code": ["DNK", "FRO", None, "TWN", None]}
)
OBSERVED = pd.DataFrame({"code": ["DNK", "TWN"]})


def parents(tmp_path, text):
    file = tmp_path / "parents.csv"
    file.write_text(text)
    return _parents(str(file), COUNTRIES, OBSERVED)


def test_parents_are_codes_of_wgi_in_the_order_of_the_countries(tmp_path):
    found = parents(tmp_path, "iso3,parent,why\nFRO,DNK,autonomous\nR20,S19,to try\n")
    assert found == [None, "DNK", None, None, "TWN"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("iso3,parent\nFRX,DNK\n", r"line 2: 'FRX' is no ISO3 of the release \(nearest: FRO\)"),
        ("iso3,parent\nFRO,DMK\n", r"line 2: 'DMK' is no ISO3 of the release \(nearest: DNK\)"),
        ("iso3,parent\nR20,FRO\n", r"line 2: WGI scores no FRO, the parent of R20"),
        ("iso3,parent\nFRO,DNK\nFRO,S19\n", r"line 3: FRO stands a second time"),
        ("iso3\nFRO\n", r"no column parent; expected iso3, parent, found iso3"),
    ],
)
def test_a_wrong_file_of_parents_is_refused_by_line(tmp_path, text, said):
    with pytest.raises(Problem, match=said):
        parents(tmp_path, text)
