"""The README says what the code does."""

from pathlib import Path

from jobs.query import markdown
from jobs.tables import TABLES

README = Path(__file__).parent.parent / "README.md"
START = "<!-- tables: printed by `./spark-submit.sh tables markdown` -->\n"
END = "<!-- end of tables -->"


def test_table_dictionary_is_the_declarations():
    printed = README.read_text(encoding="utf-8").split(START)[1].split(END)[0].strip()

    assert printed == markdown(TABLES), "paste the output of ./spark-submit.sh tables markdown"
