"""Every table of the warehouse, declared once.

The text below creates the Delta table, types what vectorised functions return, is checked on
every write, and is what `tables` and the README print. A column that can be undefined is nullable
and its comment says when; values are thousand current US dollars, quantities metric tons.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property

from udfs.profiles import FEATURE_NAMES


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, Spark SQL type, whether null is allowed, and what it holds."""

    name: str
    type: str
    nullable: bool
    comment: str

    @property
    def ddl(self) -> str:
        """The column as CREATE TABLE and ALTER TABLE name it."""
        required = "" if self.nullable else " not null"
        return f"{self.name} {self.type}{required} comment '{_quoted(self.comment)}'"


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
    def measures(self) -> tuple[str, ...]:
        """Paths in a Parquet file of the columns that hold doubles."""
        paths = {"double": "{}", "array<double>": "{}.list.element"}
        return tuple(paths[c.type].format(c.name) for c in self.columns if c.type in paths)

    @property
    def ddl(self) -> str:
        """The column list of CREATE TABLE, with comments."""
        return ", ".join(column.ddl for column in self.columns)


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
        pv_source string not null 'observed, interpolated, carried, parent (--parents) or year_median (or the constant set)'
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

RESOURCES = Table(
    name="resources",
    comment="Minerals, whether their trade is loaded, and what is known of them beside trade.",
    columns_ddl="""
        resource string not null 'mineral, as Klimek et al. (2015) print it'
        name string not null 'mineral, as people know it'
        nomenclature string not null 'HS revision of the codes'
        coverage string not null 'complete, partial or not loaded: its HS codes in trade'
        reason string not null 'why coverage is what it is, in words'
        codes_loaded array<string> not null 'its HS codes with trade'
        codes_missing array<string> not null 'its HS codes of this revision without trade'
        bundled_with string 'what else its codes hold; null = nothing known'
        reserves_kg double 'world reserves, kg; null where not known'
        reserves_source string 'where the reserves are from; null without'
        printed_unit_factor double 'the printed exp(scarcity) times this is traded kg over kg of reserves; null = unit not known'
        criticality double 'mean of the supply-risk lists, each scaled to 0 to 1, 1 = riskiest; null = on no list'
        criticality_lists int not null 'lists behind criticality'
        criticality_source string 'where criticality is from; null without'
    """,
    key=("resource",),
    checks={
        "reserves_are_positive": "reserves_kg is null or reserves_kg > 0",
        "criticality_is_a_share": "criticality is null or (criticality >= 0 and criticality <= 1)",
    },
)

RESOURCE_FLOWS = Table(
    name="resource_flows",
    comment="Trade in a mineral in a year as a network, its codes added up, a region merged.",
    columns_ddl="""
        resource string not null 'mineral, see resources'
        year int not null 'calendar year'
        exporters array<smallint> not null 'exporter of each flow, 97 = the merged region; sorted by importer, then exporter'
        importers array<smallint> not null 'importer of each flow'
        values array<double> not null 'value of each flow, thousand current USD'
        quantities array<double> not null 'known quantity of each flow, metric tons; an element is null where none is known'
        priced_values array<double> not null 'part of each value whose quantity is known, thousand current USD'
        countries array<smallint> not null 'countries that trade any loaded mineral in the year, ascending'
        stability array<double> not null 'political stability of each of them, 0 to 100'
        governance array<double> 'governance index of each of them, 0 to 100, an element is null where unknown; null = no index given'
    """,
    key=("resource", "year"),
    partition_by=("year",),
    checks={
        "arrays_have_one_length": "size(exporters) = size(importers) and size(exporters) = "
        "size(values) and size(exporters) = size(quantities) and size(countries) = size(stability)"
    },
    has_statistics=False,
)

RESOURCE_NETWORKS = Table(
    name="resource_networks",
    comment="The network of trade in a mineral in a year: how connected, how resilient, how scarce.",
    columns_ddl="""
        resource string not null 'mineral, see resources'
        year int not null 'calendar year'
        coverage string not null 'complete or partial: whether all HS codes of the mineral are loaded'
        countries int not null 'countries in the network: all that trade any loaded mineral in the year'
        traders int not null 'of them, those that trade this one'
        links int not null 'flows above the share filter'
        value_kusd double not null 'all flows, thousand current USD'
        linked_value_share double 'part of the value that passes the share filter, 0 to 1; null without value'
        mean_degree double not null 'links per country'
        lambda double not null 'largest eigenvalue of V, 0 to 1; 0 = no cycle'
        resilience double '1 / lambda; null where lambda is 0: no shock comes back'
        scc_share double not null 'largest strongly connected component over countries, 0 to 1'
        ttv_kg double 'total traded volume, kg; null without any quantity'
        ttv_value_share double 'part of the value whose quantity is known, 0 to 1; null without value'
        ttv_reason string not null 'computed, or why there is no volume'
        scarcity double 'ln(traded volume / reserves), both in kg; null with a reason'
        scarcity_reason string not null 'computed, or why there is no scarcity'
        lambda_unweighted double not null 'lambda if every supplier were fully unstable (no stability index)'
        lambda_governance double 'lambda with a governance index instead of stability; null without an index'
        governance_filled_share double 'linked value whose exporter has no governance score and got the median, 0 to 1; null without an index'
    """,
    key=("resource", "year"),
    partition_by=("year",),
    checks={
        "lambda_is_a_radius": "lambda >= 0 and lambda <= 1.000000001",
        "scc_is_a_share": "scc_share >= 0 and scc_share <= 1",
    },
)

RESOURCE_RISK = Table(
    name="resource_risk",
    comment="TradeRisk and price of a mineral for each country that trades it, by year.",
    columns_ddl="""
        resource string not null 'mineral, see resources'
        year int not null 'calendar year'
        country smallint not null 'country code of BACI, 97 = the merged region'
        name string not null 'name of the country or region'
        imports_kusd double not null 'imports, thousand current USD'
        exports_kusd double not null 'exports, thousand current USD'
        stability double not null 'political stability, 0 to 100; of a region the mean of its members'
        in_degree int not null 'suppliers above the share filter'
        out_degree int not null 'customers for whom this supplier is above the share filter'
        in_strength double not null 'share of imports that a shock to all suppliers would hit, 0 to 1'
        pagerank double not null 'share of a spreading shock that ends here, sums to 1 over countries'
        import_reliance double '0 to 1; null where not known'
        import_reliance_source string 'given, or proxy: max(0, (imports - exports) / imports) by value, which knows no domestic production; null without'
        trade_risk double 'pagerank * import_reliance; null without reliance'
        in_strength_trade_risk double 'in_strength * import_reliance; null without reliance'
        pagerank_unweighted double not null 'pagerank without a stability index'
        trade_risk_unweighted double 'pagerank_unweighted * import_reliance; null without reliance'
        pagerank_governance double 'pagerank with the governance index; null without an index'
        trade_risk_governance double 'pagerank_governance * import_reliance; null without either'
        price double 'export unit value, USD per kg; null with a reason'
        price_reason string not null 'computed, or why there is no price'
        log_return double 'ln(price / price of the year before); null with a reason'
        log_return_reason string not null 'computed, or why there is no return'
    """,
    key=("resource", "year", "country"),
    partition_by=("year",),
    checks={
        "reliance_is_a_share": "import_reliance is null or (import_reliance >= 0 and import_reliance <= 1)"
    },
)

RESOURCE_VOLATILITY = Table(
    name="resource_volatility",
    comment="How much the export price of a mineral moves in each country over the years.",
    columns_ddl="""
        resource string not null 'mineral, see resources'
        country smallint not null 'country code of BACI, 97 = the merged region'
        volatility double 'standard deviation (n - 1) of yearly log returns; null with a reason'
        returns int not null 'log returns behind it'
        reason string not null 'computed, or why there is no volatility'
    """,
    key=("resource", "country"),
)

RANDOMISED_NETWORKS = Table(
    name="randomised_networks",
    comment="Networks of a mineral with links or values drawn anew, each averaged over years.",
    columns_ddl="""
        resource string not null 'mineral, see resources'
        scheme string not null 'what stays fixed: degree, in_degree or in_out_degree'
        realisation int not null 'number of the draw, from 0'
        years int not null 'years averaged'
        mean_degree double not null 'links per country'
        lambda double not null 'largest eigenvalue of V, 0 to 1'
        scc_share double not null 'largest strongly connected component over countries, 0 to 1'
    """,
    key=("resource", "scheme", "realisation"),
)

RANDOMISED_RISK = Table(
    name="randomised_risk",
    comment="The compared regions in the randomised networks, each averaged over years.",
    columns_ddl="""
        resource string not null 'mineral, see resources'
        scheme string not null 'what stays fixed: degree, in_degree or in_out_degree'
        realisation int not null 'number of the draw, from 0'
        country smallint not null 'country code of BACI, 97 = the merged region'
        years int not null 'years averaged: those in which it trades the mineral'
        pagerank double not null 'share of a spreading shock that ends here'
        in_strength double not null 'share of imports that a shock to all suppliers would hit, 0 to 1'
    """,
    key=("resource", "scheme", "realisation", "country"),
)

RANDOMISED_SUMMARY = Table(
    name="randomised_summary",
    comment="Where the observed network of a mineral stands among its randomised ones.",
    columns_ddl="""
        resource string not null 'mineral, see resources'
        scheme string not null 'what stays fixed: degree, in_degree or in_out_degree'
        indicator string not null 'mean_degree, lambda or scc_share, mean over years'
        draws int not null 'randomised networks'
        observed double not null 'value of the observed network'
        mean double not null 'mean of the draws'
        sd double 'standard deviation (n - 1) of the draws; null with one draw'
        p05 double not null '5th percentile of the draws'
        p50 double not null 'median of the draws'
        p95 double not null '95th percentile of the draws'
        z double '(observed - mean) / sd; null where the scheme keeps the indicator'
        p_value double not null '(1 + draws at least as large as observed) / (1 + draws)'
    """,
    key=("resource", "scheme", "indicator"),
    checks={"p_value_is_a_probability": "p_value > 0 and p_value <= 1"},
)

RESOURCE_CORRELATIONS = Table(
    name="resource_correlations",
    comment="Tables 1, 2, S4 and S5 of Klimek et al. (2015) and their variants, over minerals.",
    columns_ddl="""
        table string not null '1 = networks, 2 = TradeRisk of a region, S4 and S5 = the same on randomised networks, S3 = loaded against printed values'
        source string not null 'loaded = computed from the warehouse, printed = from the printed Table S3, loaded against printed'
        sample string not null 'which minerals: complete (all their codes loaded), all, or which were left out'
        region string not null 'world, or the region whose TradeRisk it is'
        x string not null 'first variable'
        y string not null 'second variable'
        control string not null 'variable held constant; none'
        method string not null 'pearson or spearman; pearson with a control is partial, over minerals with all three'
        scheme string not null 'observed, or what the randomised networks keep'
        r double 'coefficient, -1 to 1, of randomised networks its mean over draws; null with a reason'
        r_sd double 'its standard deviation over draws; null for observed'
        p_value double 'two-sided, Student t, in [0, 1]; of randomised networks (1 + draws with |r| at least that observed) / (1 + draws)'
        n int not null 'minerals; of randomised networks the fewest over draws'
        reason string not null 'computed, or why there is no coefficient'
        note string not null 'what it may be read as'
    """,
    key=("table", "source", "sample", "region", "x", "y", "control", "method", "scheme"),
    checks={"r_is_a_correlation": "r is null or (r >= -1 and r <= 1)"},
)

RESPONSES = Table(
    name="responses",
    comment="Answers to: which traded products are made directly from this product? Ten per input.",
    columns_ddl="""
        material string not null 'file name in conf/materials'
        input string not null 'HS code asked about, of the nomenclature of the answer'
        replicate int not null 'independent answer, 1 to 10'
        prompt_version string not null 'version of the wording'
        model string not null 'model that answered, as it or its recording names it'
        nomenclature string not null 'HS revision of the question'
        text string not null 'the answer as given, one product a line, or none'
        asked_at timestamp 'when it was asked; null where the recording does not say'
        source string not null 'live, recorded or batch'
    """,
    key=("material", "input", "replicate", "prompt_version", "model"),
    partition_by=("material",),
    checks={"replicate_is_counted_from_one": "replicate >= 1"},
)

MATCHES = Table(
    name="matches",
    comment="Lines of answers and the product that each was taken to be, by method.",
    columns_ddl="""
        line string not null 'distinct line of the answers: lower case, without punctuation'
        nomenclature string not null 'HS revision of the product'
        method string not null 'pick, neighbours, tfidf, embedding:MODEL or sentence-transformers'
        product string 'HS code; null = nothing fits'
        second string 'other product of a line that names two kinds of goods (pick); null = one'
        similarity double 'cosine with the closest text of the product, 0 to 1; null for picks'
        runner_up string 'second best product; null = none, and for picks'
        margin double 'by how much the best beats it: cosine, or share of votes (neighbours); null for picks'
        source string 'of a pick: recorded, live or batch; null for other methods'
    """,
    key=("line", "nomenclature", "method"),
    checks={
        "similarity_is_a_cosine": "similarity is null or (similarity >= 0 and similarity <= 1.000001)"
    },
)

VOTES = Table(
    name="votes",
    comment="How many answers name an output of an input, for every input that was answered.",
    columns_ddl="""
        material string not null 'file name in conf/materials'
        matcher string not null 'method of matches; pick: neighbours where no pick is'
        input string not null 'HS code'
        output string not null 'HS code'
        votes int not null 'answers that name the output'
        replicates int not null 'answers to the question'
        similarity double 'mean similarity of the lines that name it; null where all are picks'
    """,
    key=("material", "matcher", "input", "output"),
    partition_by=("material",),
    checks={"votes_are_some_of_the_answers": "votes >= 1 and votes <= replicates"},
)

CANDIDATES = Table(
    name="candidates",
    comment="Pairs of products with enough votes, reached stage by stage from the seeds.",
    columns_ddl="""
        material string not null 'file name in conf/materials'
        input string not null 'HS code'
        output string not null 'HS code'
        votes int not null 'answers that name the output'
        replicates int not null 'answers to the question'
        similarity double 'mean similarity of the lines that name it; null where all are picks'
        depth int not null 'stage at which the input was reached, 0 = seed'
        matcher string not null 'how lines became products'
    """,
    key=("material", "input", "output"),
    partition_by=("material",),
)

FRONTIER = Table(
    name="frontier",
    comment="Products that the walk reached and nobody answered for: what follows them is unknown.",
    columns_ddl="""
        material string not null 'file name in conf/materials'
        product string not null 'HS code'
        depth int not null 'stage at which it was reached, 0 = seed'
        votes int 'most votes with which it was reached; null for a seed'
    """,
    key=("material", "product"),
    partition_by=("material",),
)

LINKS = Table(
    name="links",
    comment="Does trade confirm a pair: imports of the input against exports of the output over countries.",
    columns_ddl="""
        material string not null 'file name in conf/materials, or all = every pair of products loaded'
        input string not null 'HS code'
        output string not null 'HS code'
        test string not null 'paper (raw values), robust (asinh RCA), either with _reversed (placebo: exports of the input, imports of the output), countries (raw, countries permuted)'
        rho double 'Pearson correlation over countries, -1 to 1; null = untested or, with a p_value of 1, too few countries trade a side'
        null_mean double 'mean of rho over all other outputs (countries: 0); null where rho is'
        null_sd double 'its standard deviation (countries: 1/sqrt(n-1)); null where rho is'
        z double '(rho - null_mean) / null_sd; null where rho is or the null has no spread'
        p_value double 'one-sided, 0 to 1, never 0: share of outputs (draws) with at least this rho; 1 = too few countries trade a side, rho is null; null = untested'
        q_value double 'smallest false discovery rate over the tested pairs of the material; null where rho is'
        n_countries int not null 'importers of the input or exporters of the output, the fewer; 0 = not loaded'
        share_of_years double 'share of single years with p up to the limit; null unless asked for or untested'
        verdict string 'accept or reject, where a person gave one (tests paper and robust); null = none'
        kept boolean not null 'true if the pair stays: by the verdict, else by this test'
        reason string not null 'what was done with it and why'
    """,
    key=("material", "input", "output", "test"),
    partition_by=("material",),
    checks={
        "rho_is_a_correlation": "rho is null or (rho >= -1 and rho <= 1)",
        "p_value_is_a_probability": "p_value is null or (p_value > 0 and p_value <= 1)",
        "q_value_is_a_rate": "q_value is null or (q_value > 0 and q_value <= 1)",
    },
)

EDGES = Table(
    name="edges",
    comment="The production network: what is made from what, without a way back.",
    columns_ddl="""
        material string not null 'file name in conf/materials'
        input string not null 'HS code'
        output string not null 'HS code; in the same tier or the next'
        votes int not null 'answers that name the output'
        tested boolean not null 'false if its trade is not loaded or, where verdict is accept, too few countries trade a side; true if trade confirmed it or, where verdict is accept, refused it'
        z double 'how far its correlation stands out of the null; null = not correlated'
        verdict string 'accept, where a person said so; null = none'
    """,
    key=("material", "input", "output"),
    partition_by=("material",),
)

REMOVED_EDGES = Table(
    name="removed_edges",
    comment="Links that were kept by the test and still are not in the network, and why.",
    columns_ddl="""
        material string not null 'file name in conf/materials'
        input string not null 'HS code'
        output string not null 'HS code'
        votes int not null 'answers that name the output'
        z double 'how far its correlation stands out of the null; null = not correlated'
        reason string not null 'unreachable, beyond depth, backward, self or cycle'
        path string not null 'products of the stronger edges that close the cycle, by blanks; else empty'
    """,
    key=("material", "input", "output"),
    partition_by=("material",),
)

TIERS = Table(
    name="tiers",
    comment="Products of the network and their shortest distance from the seeds.",
    columns_ddl="""
        material string not null 'file name in conf/materials'
        product string not null 'HS code'
        tier int not null 'edges from the nearest seed, 0 = seed'
        trade_loaded boolean not null 'true if its trade is in the warehouse'
        answered boolean not null 'false if the walk ended here for want of answers'
    """,
    key=("material", "product"),
    partition_by=("material",),
    checks={"tier_is_a_distance": "tier >= 0"},
)

NETWORK_VARIANTS = Table(
    name="network_variants",
    comment="Tiers of the networks with one thing changed: votes, test, untested links or matcher.",
    columns_ddl="""
        material string not null 'file name in conf/materials'
        variant string not null 'what is different; as set = the network itself'
        product string not null 'HS code'
        tier int not null 'edges from the nearest seed, 0 = seed'
    """,
    key=("material", "variant", "product"),
    partition_by=("material",),
)

DEPENDENCY_SCORES = Table(
    name="dependency_scores",
    comment="Exposure, HHI and systemic trade risk as one number: their first principal component.",
    columns_ddl="""
        material string not null 'file name in conf/materials'
        year int not null 'calendar year'
        product string not null 'HS code'
        country smallint not null 'country code of BACI (not ISO)'
        score double 'mean 0, standard deviation 1 over all rows of the material, high = dependent; null where an indicator is null, or for the reason in score_loadings'
    """,
    key=("material", "year", "product", "country"),
    partition_by=("material",),
)

SCORE_LOADINGS = Table(
    name="score_loadings",
    comment="What the dependency score is made of: one fit over all countries, products and years.",
    columns_ddl="""
        material string not null 'file name in conf/materials'
        indicator string not null 'exposure, hhi or str'
        loading double 'weight of the z-scored indicator, -1 to 1; null = see note'
        explained_variance double 'share of the variance of all three, 1/3 to 1; null = see note'
        mean double 'mean of the indicator, in its own unit; null without rows'
        sd double 'its standard deviation (n-1); null without rows'
        n bigint not null 'country-product-years with all three indicators'
        note string 'a warning, or why there is no score; null = neither'
    """,
    key=("material", "indicator"),
    partition_by=("material",),
)

CONTRIBUTIONS = Table(
    name="contributions",
    comment="Who stands behind whose systemic trade risk: the rows of an importer add up to its str.",
    columns_ddl="""
        material string not null 'file name in conf/materials'
        year int not null 'calendar year'
        product string not null 'HS code'
        supplier smallint not null 'country code of BACI; 0 = all others below the floor; supplier = country is the diagonal'
        country smallint not null 'importer, country code of BACI'
        contribution double not null '[(I-V)^-1] of supplier on importer, >= 0; the diagonal >= 1'
        extraction double not null 'by how much str would fall if nobody depended on the supplier, >= 0; not additive over suppliers'
        suppliers int not null 'suppliers summed in the row; 1 unless supplier = 0'
    """,
    key=("material", "year", "product", "supplier", "country"),
    partition_by=("material", "year"),
    checks={
        "contribution_is_not_negative": "contribution >= 0",
        "diagonal_starts_at_one": "supplier <> country or contribution >= 0.999999999",
    },
    has_statistics=False,
)

INFLUENCES = Table(
    name="influences",
    comment="Weight of each supplier on all others, in both readings and three ways of summing up.",
    columns_ddl="""
        material string not null 'file name in conf/materials'
        year int not null 'calendar year'
        product string not null 'HS code'
        supplier smallint not null 'exporter, country code of BACI'
        summand double not null 'sum of [(I-V)^-1] over all other countries, >= 0; = influence in indicators'
        summand_mean double 'its mean over the others that import; null if none does'
        summand_weighted double 'its mean weighted by their imports; null if none imports'
        extraction double not null 'sum of the fall of str of the others if nobody depended on the supplier, >= 0'
        extraction_mean double 'its mean over the others that import; null if none does'
        extraction_weighted double 'its mean weighted by their imports; null if none imports'
    """,
    key=("material", "year", "product", "supplier"),
    partition_by=("material",),
    checks={"influence_is_not_negative": "summand >= 0 and extraction >= 0"},
)

STRENGTHS = Table(
    name="strengths",
    comment="Mean comparative advantage over the years, and which products a country needs for it.",
    columns_ddl="""
        material string not null 'file name in conf/materials'
        product string not null 'HS code'
        country smallint not null 'country code of BACI; negative = region'
        region string 'name of the region, such as EU27_2020; null for a country'
        mean_rca double 'mean over years of rca over all products loaded, >= 0; null for a country without exports'
        mean_rca_network double 'the same with rca over the products of the network only; null without such exports'
        years int not null 'years in the mean'
        is_strength boolean not null 'mean RCA above 1, in the universe set (strength_universe)'
        is_input boolean not null 'true if the product has an edge to a strength of the country'
    """,
    key=("material", "product", "country"),
    partition_by=("material",),
    checks={"rca_is_not_negative": "mean_rca is null or mean_rca >= 0"},
)

PROFILES = Table(
    name="profiles",
    comment="Trade-weighted mean indicators of every country and region, by tier and basket.",
    columns_ddl="""
        material string not null 'file name in conf/materials'
        country smallint not null 'country code of BACI; negative = region'
        region string 'name of the region, such as EU27_2020; null for a country'
        year int not null 'calendar year'
        feature string not null 'indicator, basket (all, inputs) and tier, such as str_inputs or score_tier0'
        value double 'mean over products weighted by imports + exports; unit of the indicator; null = see reason'
        weight double not null 'imports + exports of the products with a value, thousand current USD'
        missing_share double 'share of the trade of the cell in products without a value, 0 to 1; null without trade'
        imputed_share double 'share of imports from suppliers with a filled stability score, 0 to 1; null where unknown'
        reason string 'why there is no value; null = there is one'
    """,
    key=("material", "country", "year", "feature"),
    partition_by=("material",),
    checks={
        "weight_is_not_negative": "weight >= 0",
        "a_null_has_a_reason": "(value is null) = (reason is not null)",
    },
)

_PROFILE_COLUMNS = "\n".join(
    f"        {name} double 'as in profiles; null = no value, see there'" for name in FEATURE_NAMES
)

PROFILES_WIDE = Table(
    name="profiles_wide",
    comment="profiles, one column a feature.",
    columns_ddl=f"""
        material string not null 'file name in conf/materials'
        country smallint not null 'country code of BACI; negative = region'
        region string 'name of the region, such as EU27_2020; null for a country'
        year int not null 'calendar year'
{_PROFILE_COLUMNS}
    """,
    key=("material", "country", "year"),
    partition_by=("material",),
)

CLUSTERS = Table(
    name="clusters",
    comment="Where the profile of each country and region lies in each year, and in which cluster.",
    columns_ddl="""
        material string not null 'file name in conf/materials'
        country smallint not null 'country code of BACI; negative = region'
        region string 'name of the region, such as EU27_2020; null for a country'
        year int not null 'calendar year'
        x double 'UMAP coordinate of the default run, no unit; null = see reason'
        y double 'UMAP coordinate of the default run, no unit; null = see reason'
        cluster int '0 = background of DBM (outlier), 1, 2, ... = its clusters; null = see reason'
        filled_features int not null 'columns of this profile without a value, filled with their mean of the year'
        features int not null 'columns of the profiles that entered the embedding'
        reason string 'why the profile was not clustered; null = it was'
    """,
    key=("material", "country", "year"),
    partition_by=("material",),
    checks={
        "label_is_not_negative": "cluster is null or cluster >= 0",
        "a_null_has_a_reason": "(cluster is null) = (reason is not null)",
    },
)

COUNTRY_CLUSTERS = Table(
    name="country_clusters",
    comment="The cluster of each country and region over the years, and how firmly it is in it.",
    columns_ddl="""
        material string not null 'file name in conf/materials'
        country smallint not null 'country code of BACI; negative = region'
        region string 'name of the region, such as EU27_2020; null for a country'
        cluster int 'most frequent label over the years, a tie goes to the latest; 0 = background; null = see reason'
        share_of_years double 'share of n_years with this label, 0 to 1; null = see reason'
        n_years int not null 'years in which the country was clustered'
        stability double 'share of the other runs (seeds, neighbours) with this label after aligning, 0 to 1; null without other runs'
        isolation double 'distance to the nearest profile of another country, of any year, median over years, 1 = the median country, >= 0; a region stands near its members; null = see reason, or half of the countries have a twin'
        consensus int 'most frequent label of all aligned runs; null = see reason'
        runs int not null 'runs behind consensus, the default run included'
        hdbscan int 'label by HDBSCAN on the same coordinates, aligned, over the years; 0 = noise; null = see reason'
        kmeans int 'label by k-means on the same coordinates, aligned, over the years; null = see reason'
        reason string 'why there is no cluster; null = there is one'
    """,
    key=("material", "country"),
    partition_by=("material",),
    checks={
        "shares_are_shares": "(share_of_years is null or (share_of_years > 0 and share_of_years <= 1))"
        " and (stability is null or (stability >= 0 and stability <= 1))",
        "isolation_is_a_distance": "isolation is null or isolation >= 0",
        "a_null_has_a_reason": "(cluster is null) = (reason is not null)",
    },
)

CLUSTER_AGREEMENT = Table(
    name="cluster_agreement",
    comment="How far two clusterings agree, whatever their labels are called.",
    columns_ddl="""
        material string not null 'file name in conf/materials'
        unit string not null 'what is labelled: country_year, or country (most frequent label over the years)'
        run_a string not null 'clustering, such as umap15 seed1 dbm, hdbscan, kmeans, consensus'
        run_b string not null 'the other clustering; each pair stands once'
        adjusted_rand double 'adjusted Rand index: 1 = the same groups, about 0 = as by chance; null = fewer than two labelled'
        n int not null 'countries or country-years that both label'
        clusters_a int not null 'clusters of run_a, background not counted'
        clusters_b int not null 'clusters of run_b, background not counted'
        background_share_a double 'share of n in the background of run_a, 0 to 1'
        background_share_b double 'share of n in the background of run_b, 0 to 1'
    """,
    key=("material", "unit", "run_a", "run_b"),
    partition_by=("material",),
    checks={"index_is_at_most_one": "adjusted_rand is null or adjusted_rand <= 1.000000001"},
)

GROWTH = Table(
    name="growth",
    comment="Change of comparative advantage regressed on dependence: Table 1 of K25, and variants.",
    columns_ddl="""
        material string not null 'file name in conf/materials'
        model string not null 'name of the variant; "ln, I1, ols" is the default'
        term string not null 'regressor: const, rca, exposure, hhi, str, the same with _inputs, cluster_c, tier_t'
        coefficient double not null 'change of the dependent variable per unit of the term'
        std_error double 'standard error, by covariance; null = see note'
        p_value double 'two-sided, by t, 0 to 1; null = see note'
        ci_low double 'lower end of the 95 % confidence interval; null = see note'
        ci_high double 'upper end of the 95 % confidence interval; null = see note'
        note string 'why there is no standard error; null = there is one'
        n int not null 'rows of the regression: country x product'
        countries int not null 'countries among them'
        products int not null 'products among them'
        r2 double not null 'share of the variance explained, 0 to 1'
        adjusted_r2 double not null 'the same less what terms explain by chance'
        covariance string not null 'ols, country (clustered by country) or two_way (country and product)'
        inputs string not null 'inputs: I1 = direct inputs of the product, I2 = all of the country, I3 = those by tier, none'
        rca_form string not null 'RCA on both sides as ln, raw, log1p, asinh or ln_offset = ln(RCA + 0.01)'
        str_form string not null 'STR with its diagonal, or less the diagonal of its own product'
        baseline_from int not null 'first year of the baseline window'
        baseline_to int not null 'last year of the baseline window'
        target_from int not null 'first year of the target window, whose RCA the baseline RCA is subtracted from'
        target_to int not null 'last year of the target window'
        indicators_from int not null 'first year of exposure, HHI and STR: the baseline, but in placebos the target'
        indicators_to int not null 'last year of exposure, HHI and STR'
        kind string not null 'default, variant, window (sweep) or placebo (the change lies before the indicators)'
        printed_coefficient double 'what Table 1 of K25 prints (rare earths), rounded there; null = not known here'
        printed_std_error double 'the standard error printed there, rounded; null = not known here'
        printed_note string 'what to know about the printed figure; null = nothing'
    """,
    key=("material", "model", "term"),
    partition_by=("material",),
    checks={
        "error_is_positive": "std_error is null or std_error > 0",
        "p_is_a_probability": "p_value is null or (p_value >= 0 and p_value <= 1)",
        "a_null_has_a_note": "(std_error is null) = (note is not null)",
    },
)

GROWTH_DIAGNOSTICS = Table(
    name="growth_diagnostics",
    comment="What a referee asks of each model of growth: rows, collinearity, influence, residuals.",
    columns_ddl="""
        material string not null 'file name in conf/materials'
        model string not null 'name of the variant, as in growth'
        kind string not null 'rows, n_by_tier, n_by_cluster, vif, influence, residual_quantile, residual_by_fitted, left_out_term or not_fitted'
        key string not null 'rows: candidates, used, or why dropped; else the tier, cluster, term, row, quantile or tenth of the fitted values'
        value double 'rows, n_by_...: rows; vif: >= 1; influence: Cook distance; residual_...: residual, its mean; null = see note'
        country smallint 'country of an influential row; else null'
        product string 'HS code of an influential row; else null'
        fitted double 'fitted value of an influential row, mean of a tenth; else null'
        residual double 'residual of an influential row, standard deviation in a tenth; else null'
        note string 'explanation; null = none needed'
    """,
    key=("material", "model", "kind", "key"),
    partition_by=("material",),
    checks={"a_null_has_a_note": "value is not null or note is not null"},
)

TABLES: tuple[Table, ...] = tuple(
    value for value in dict(globals()).values() if isinstance(value, Table)
)
"""All tables, in the order in which data flow."""
