"""Every table of the warehouse, declared once.

The text below creates the Delta table, types what vectorised functions return, is checked on
every write, and is what `tables` and the README print. A column that can be undefined is nullable
and its comment says when; values are thousand current US dollars, quantities metric tons.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, Spark SQL type, whether null is allowed, and what it holds."""

    name: str
    type: str
    nullable: bool
    comment: str


@dataclass(frozen=True)
class Table:
    """A Delta table: columns as DDL, key, partitioning and the rules each row must keep.

    `checks` are SQL conditions by name; Delta refuses a commit with a row for which one is false
    or null, so write `x is null or x > 0`. `has_statistics` is False where every file holds the
    whole range of every column, so that Delta's minima and maxima would skip nothing and cost a
    quarter of the time of a write.
    """

    name: str
    comment: str
    columns_ddl: str
    key: tuple[str, ...]
    partition_by: tuple[str, ...] = ()
    checks: dict[str, str] = field(default_factory=dict)
    has_statistics: bool = True

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The declared columns, in order."""
        lines = [line.strip().rstrip(",") for line in self.columns_ddl.strip().splitlines()]
        return tuple(_parse_column(self.name, line) for line in lines)

    @property
    def result_schema(self) -> str:
        """DDL of the same columns, all nullable: for functions whose result Spark types.

        Spark believes `not null` in a function's schema and dies unclearly on a null; Delta
        checks it on write and names the column.
        """
        return ", ".join(f"{column.name} {column.type}" for column in self.columns)

    @property
    def ddl(self) -> str:
        """The column list of CREATE TABLE, with comments."""
        return ", ".join(
            f"{c.name} {c.type}{'' if c.nullable else ' not null'} comment '{_quoted(c.comment)}'"
            for c in self.columns
        )


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


_COLUMN = re.compile(
    r"(?P<name>\w+)\s+(?P<type>[\w<>,: ]+?)(?P<required>\s+not null)?\s+'(?P<comment>.*)'"
)


def _parse_column(table: str, line: str) -> Column:
    match = _COLUMN.fullmatch(line)
    if match is None:
        raise ValueError(f"{table}: cannot read the column {line!r}; expected: name type 'comment'")
    return Column(match["name"], match["type"], match["required"] is None, match["comment"])


LARGEST = "1.7976931348623157E308D"
"""The largest double; a literal, since Delta evaluates `double('infinity')` anew for every row."""

SOURCES = Table(
    name="sources",
    comment="Files that went into the warehouse, with the account of their rows and dollars.",
    columns_ddl="""
        path string not null 'file inside the zip or folder, as named there'
        archive string not null 'zip or folder the file came from'
        sha256 string not null 'SHA-256 of the file, unpacked'
        kind string not null 'baci, countries or products'
        nomenclature string 'HS revision, such as HS92'
        release string 'release, such as 202601'
        year int 'year of a BACI trade file; null for others'
        selection string 'HS codes given with --products, or all'
        rows bigint not null 'data rows in the file'
        rows_selected bigint 'rows left by --products; null where the file has no flows'
        rows_rejected bigint 'rows of the selection that are in rejects'
        value_kusd double 'sum over the selected rows with a readable value, thousand current USD'
        rejected_kusd double 'part of it that is in rejects, thousand current USD'
        ingested_at timestamp not null 'when the file was read'
    """,
    key=("path", "sha256"),
)

TRADE = Table(
    name="trade",
    comment="BACI trade flows: one row for each exporter, importer, product and year.",
    columns_ddl="""
        year int not null 'calendar year'
        exporter smallint not null 'country code of BACI (not ISO)'
        importer smallint not null 'country code of BACI (not ISO)'
        product string not null 'HS code, 6 digits; leading zeros are part of it'
        value_kusd double not null 'value, thousand current USD'
        quantity_t double 'quantity, metric tons; null where the source says NA'
    """,
    key=("year", "exporter", "importer", "product"),
    partition_by=("year",),
    checks={
        "value_is_finite": f"value_kusd >= 0 and value_kusd <= {LARGEST}",
        "quantity_is_finite": f"quantity_t is null or (quantity_t >= 0 and quantity_t <= {LARGEST})",
        "no_self_trade": "exporter <> importer",
        "product_has_six_digits": "length(product) = 6",
    },
    has_statistics=False,
)

REJECTS = Table(
    name="rejects",
    comment="Every input row that is not in trade, as it stood, with where and why.",
    columns_ddl="""
        file string not null 'file inside the zip or folder'
        line bigint not null 'line in that file, the header is line 1'
        year int not null 'year the file is for'
        reason string not null 'kind of fault, one of a fixed list'
        detail string not null 'what was found and what was expected'
        text string not null 'the row as it stood, without line end'
        value_kusd double 'its value, thousand current USD; null where it cannot be read'
    """,
    key=("file", "line"),
    partition_by=("year",),
)

COUNTRIES = Table(
    name="countries",
    comment="Country codes of the BACI release, with the code under which WGI scores them.",
    columns_ddl="""
        country smallint not null 'country code of BACI (not ISO)'
        name string not null 'name in the release'
        iso2 string 'ISO 3166 alpha-2 as in the release; NA is Namibia'
        iso3 string 'ISO 3166 alpha-3 as in the release; may stand twice'
        wgi_code string 'code in the Worldwide Governance Indicators; null = never scored'
    """,
    key=("country",),
)

PRODUCTS = Table(
    name="products",
    comment="Product list of the BACI release.",
    columns_ddl="""
        nomenclature string not null 'HS revision, such as HS92'
        product string not null 'HS code, 6 digits'
        description string not null 'text of the release'
    """,
    key=("nomenclature", "product"),
)

REGION_MEMBERS = Table(
    name="region_members",
    comment="Members of country groups; a year counts from from_year to to_year, both included.",
    columns_ddl="""
        region string not null 'EU (members as dated) or EU27_2020 (fixed)'
        country smallint not null 'country code of BACI (not ISO)'
        from_year int not null 'first year as a member'
        to_year int 'last year as a member; null = still a member'
    """,
    key=("region", "country"),
)

STABILITY = Table(
    name="stability",
    comment="Political stability (WGI) of every country of the release in every year, gaps filled.",
    columns_ddl="""
        country smallint not null 'country code of BACI (not ISO)'
        year int not null 'calendar year'
        pv double not null 'political stability, 0 to 100, high = stable; scale as set'
        pv_source string not null 'observed, interpolated, carried or year_median (or the constant set)'
        estimate double 'WGI estimate, about -2.5 to 2.5; null where not observed'
        stderr double 'standard error of the estimate; null where not observed'
        edition string 'WGI edition of the observation; null where not observed'
    """,
    key=("country", "year"),
    checks={"pv_is_a_score": "pv >= 0 and pv <= 100"},
)

TRADE_MATRICES = Table(
    name="trade_matrices",
    comment="The flows of trade, one row a product-year: each row is a sparse matrix.",
    columns_ddl="""
        year int not null 'calendar year'
        product string not null 'HS code, 6 digits'
        exporters array<smallint> not null 'exporter of each flow; sorted by importer, then exporter'
        importers array<smallint> not null 'importer of each flow'
        values array<double> not null 'value of each flow, thousand current USD'
    """,
    key=("year", "product"),
    partition_by=("year",),
    checks={
        "arrays_have_one_length": "size(exporters) = size(importers) "
        "and size(exporters) = size(values)"
    },
    has_statistics=False,
)

INDICATORS = Table(
    name="indicators",
    comment="Dependence of every country on every product it trades, and its weight as a supplier.",
    columns_ddl="""
        year int not null 'calendar year'
        product string not null 'HS code, 6 digits'
        country smallint not null 'country code of BACI (not ISO)'
        imports_kusd double not null 'imports, thousand current USD'
        exports_kusd double not null 'exports, thousand current USD'
        exposure double 'imports / (imports + exports), 0 to 1; null without trade'
        hhi double 'sum of squared supplier shares in imports, 0 to 1; null without imports'
        str double 'systemic trade risk, >= 1: column sum of (I-V)^-1, diagonal included; null without imports'
        influence double not null 'row sum of (I-V)^-1 without the diagonal, >= 0'
        rca double 'Balassa index over all products and countries loaded, >= 0; null without any exports'
        pv_imputed_share double 'share of imports whose supplier has a filled stability score, 0 to 1; null without imports'
        damping double not null '1 = V as it is; below 1 = I-V was singular and V was scaled by this'
    """,
    key=("year", "product", "country"),
    partition_by=("year",),
    checks={
        "exposure_is_a_share": "exposure is null or (exposure >= 0 and exposure <= 1)",
        "hhi_is_a_concentration": "hhi is null or (hhi > 0 and hhi <= 1.000000001)",
        "str_starts_at_one": "str is null or str >= 0.999999999",
        "influence_is_not_negative": "influence >= 0",
        "damping_is_a_factor": "damping > 0 and damping <= 1",
    },
    has_statistics=False,
)

TABLES: tuple[Table, ...] = tuple(
    value for value in dict(globals()).values() if isinstance(value, Table)
)
"""All tables, in the order in which data flow."""
