"""All settings: typed, frozen and complete before Spark starts.

A setting has one name everywhere: `years` in a TOML file (in its section), `--years` on the
command line, `TRADE_RISK_YEARS` in the environment. The file is the weakest of the three, the
environment the strongest. Everything wrong is reported at once.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo

from conf.problem import Problem, nearest

CONF = Path(__file__).parent
SAMPLE = CONF / "sample"
SAMPLE_BACI = SAMPLE / "BACI_HS92_V202601_raw_materials.zip"
SAMPLE_WGI = SAMPLE / "wgi_political_stability.csv"
ENVIRONMENT_PREFIX = "TRADE_RISK_"
FIRST_YEAR, LAST_YEAR = 1988, 2100
YEAR_RANGE = re.compile(r"(\d{4})(?:\s*-\s*(\d{4}))?", re.ASCII)
MISTAKEN: dict[Any, tuple[str, tuple[type, ...]]] = {
    bool: ("true or false", (int, float)),
    int: ("a whole number", (bool, float)),
    float: ("a number", (bool,)),
}
"""Types that are not taken for another, and the other in words."""


def _parse_years(given: Any) -> Any:
    if isinstance(given, str):
        given = given.split(",")
    elif isinstance(given, int):
        given = [given]
    elif not isinstance(given, list | tuple):
        return given
    return tuple(sorted({year for part in given for year in _year_range(part)}))


def _year_range(part: Any) -> range:
    found = part.strip() if isinstance(part, str) else part
    match = YEAR_RANGE.fullmatch(str(found))
    if match is None:
        raise ValueError(f"found {_short(found)}; expected years like 2007-2023 or 2007,2010")
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise ValueError(f"found {found!r}, which runs backwards; expected {last}-{first}")
    if not FIRST_YEAR <= first <= last <= LAST_YEAR:
        raise ValueError(f"found {found!r}; expected years from {FIRST_YEAR} to {LAST_YEAR}")
    return range(first, last + 1)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:80]}..."


def _parse_names(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    names = tuple(name.strip() for name in given.split(",") if name.strip())
    if not names:
        raise ValueError(f"found {_short(given)}; expected one name or more, with commas between")
    return names


def _digits(codes: tuple[str, ...]) -> tuple[str, ...]:
    wrong = [
        code for code in codes if not (code.isascii() and code.isdigit() and len(code) in (2, 4, 6))
    ]
    if wrong:
        raise ValueError(
            f"found {', '.join(map(_short, wrong))}; expected HS codes of 2, 4 or 6 digits"
        )
    return codes


def materials_available() -> list[str]:
    """Names of the materials in conf/materials, sorted."""
    return sorted(path.stem for path in (CONF / "materials").glob("*.toml"))


def _known_materials(names: tuple[str, ...]) -> tuple[str, ...]:
    valid = materials_available()
    if names == ("all",):
        return tuple(valid)
    wrong = [name for name in names if name not in valid]
    if wrong or not names:
        hints = ", ".join(f"{_short(name)}{nearest(name, valid)}" for name in wrong) or "none"
        raise ValueError(f"found {hints}; expected all or some of {', '.join(valid)}")
    return tuple(dict.fromkeys(names))


EMBEDDING, FOLDER = "embedding:", "sentence-transformers"
"""Embeddings by an endpoint, with the model's name after it, and by a folder with a model."""
EMBEDDINGS = ("tfidf", FOLDER)
MATCHERS = ("pick", "neighbours", *EMBEDDINGS)


def _one_of(*valid: str) -> AfterValidator:
    """Return the check that a name is one of `valid` or an embedding by an endpoint."""

    def known(name: str) -> str:
        if name in valid or (name.startswith(EMBEDDING) and name != EMBEDDING):
            return name
        hint = nearest(name, [*valid, EMBEDDING])
        raise ValueError(
            f"found {_short(name)}{hint}; expected {', '.join(valid)} or {EMBEDDING}MODEL"
        )

    return AfterValidator(known)


Years = Annotated[tuple[int, ...], BeforeValidator(_parse_years)]
HsCodes = Annotated[tuple[str, ...], BeforeValidator(_parse_names), AfterValidator(_digits)]
Names = Annotated[tuple[str, ...], BeforeValidator(_parse_names)]
Materials = Annotated[
    tuple[str, ...], BeforeValidator(_parse_names), AfterValidator(_known_materials)
]


class Section(BaseModel):
    """A group of settings that one or a few jobs depend on."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch_for_a_number(cls, given: Any, info: ValidationInfo) -> Any:
        """Refuse 1 for true, true for 1 and 2.5 for 2, which would be converted in silence."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        kind = get_args(annotation)[0] if isinstance(annotation, UnionType) else annotation
        words, mistaken = MISTAKEN.get(kind, ("", ()))
        if type(given) in mistaken:
            raise ValueError(f"found {_short(given)}; expected {words}")
        return given


def _place(description: str, **options: Any) -> Any:
    """Declare a setting that says where something lies; where it lies changes no result."""
    return Field(description=description, json_schema_extra={"place": True}, **options)


class Ingest(Section):
    """Which trade data are read."""

    baci: str | None = _place(
        "BACI zip as CEPII publishes it, or a folder of its CSV files", default=None
    )
    nomenclature: str | None = Field(
        None, description="HS revision to read where several lie together, e.g. HS92"
    )
    products: HsCodes = Field(
        (), description="only these HS codes or their beginnings (2, 4 or 6 digits); default all"
    )
    replace: bool = _place(
        "replace what the warehouse holds of another release or selection", default=False
    )
    unpack_mb: int = _place(
        "text unpacked at a time, whole years, at least one (disk)", default=1000, ge=1
    )


class Stability(Section):
    """Which governance scores are used, and how gaps are filled."""

    wgi: str | None = _place("World Bank WGI file, CSV or workbook", default=None)
    scale: Literal["rank", "score", "estimate"] = Field(
        "rank",
        description="PV: percentile rank, 0-100 score of the 2025 edition, or estimate",
    )
    carry_years: int = Field(
        3, ge=0, le=10, description="years the first and last score are carried outwards"
    )
    missing: Literal["year_median", "0", "50", "100"] = Field(
        "year_median", description="PV of a country that has no score near the year"
    )
    parents: str | None = _place(
        "CSV iso3,parent: countries without a score near the year that take another's", default=None
    )


class Minerals(Section):
    """How networks of mineral trade are built, and what is known of minerals beside trade."""

    merged_region: Literal["EU", "EU27_2020", "none"] = Field(
        "EU", description="countries that trade minerals as one: EU as dated, as fixed, or none"
    )
    region_stability: Literal["mean", "exports"] = Field(
        "mean", description="stability of the merged region: plain or export-weighted mean"
    )
    share_filter: float = Field(
        0.01, ge=0, lt=1, description="a flow is a link above this share of the importer's imports"
    )
    share_denominator: Literal["links", "imports"] = Field(
        "links", description="import shares relative to imports over links, or to all imports"
    )
    pagerank_form: Literal["normalised", "literal"] = Field(
        "normalised", description="PageRank normalised to one, or as printed in 2015 (negative)"
    )
    draws: int = Field(
        100, ge=1, le=10_000, description="randomised networks for each mineral, year and scheme"
    )
    compared_regions: Names = Field(
        ("EU", "USA"), description="regions, by ISO3 or EU, whose TradeRisk meets volatility"
    )
    import_reliance: str | None = _place(
        "CSV resource,region,import_reliance[,year]; default a proxy from trade", default=None
    )
    criticality: str | None = _place(
        "CSV resource,list,score; default the supply risk printed in 2015", default=None
    )
    reserves: str | None = _place(
        "CSV resource,reserves,unit,source; default USGS 2014", default=None
    )
    governance_index: str | None = _place(
        "CSV iso3,score (0 to 100): resource governance as an alternative to stability",
        default=None,
    )


class Network(Section):
    """How answers become a production network, and by which test trade confirms it."""

    answers: Literal["recorded", "live", "batch"] = Field(
        "recorded", description="who answers what no recording answers: nobody, an endpoint, a file"
    )
    recordings: str | None = _place(
        "folder with recordings of your own, responses_*.jsonl and picks_*.csv", default=None
    )
    prompt_version: str = Field("v1", description="version of the question whose answers count")
    picks: Literal["recorded", "live", "batch"] = Field(
        "recorded", description="who picks products of lines that no recording has: as for answers"
    )
    matcher: Annotated[str, _one_of(*MATCHERS)] = Field(
        "pick",
        description="lines to products: pick, neighbours, tfidf,"
        " embedding:MODEL, sentence-transformers",
    )
    compared_matcher: Annotated[str, _one_of(*MATCHERS, "none")] = Field(
        "tfidf", description="second matcher, or none, whose votes are kept beside"
    )
    neighbours_embedding: Annotated[str, _one_of(*EMBEDDINGS)] = Field(
        "tfidf", description="embedding by which neighbours are near: tfidf or as for the matcher"
    )
    embedding_folder: str | None = _place(
        "folder of a sentence-transformers model, for that embedding", default=None
    )
    votes: int | None = Field(
        None, ge=1, description="answers of ten that must name a product; default the material's, 5"
    )
    depth: int | None = Field(
        None, ge=1, le=10, description="last tier of the network; default the material's, 4"
    )
    link_mode: Literal["paper", "robust"] = Field(
        "paper", description="test that keeps a link: paper (raw values, p) or robust (RCA, FDR)"
    )
    p_value: float = Field(0.05, gt=0, le=1, description="largest p-value of a kept link, paper")
    q_value: float = Field(0.1, gt=0, le=1, description="false discovery rate of links, robust")
    correction: Literal["bh", "by"] = Field(
        "bh", description="rate by Benjamini-Hochberg, or -Yekutieli for any dependence"
    )
    min_countries: int = Field(
        10, ge=2, description="countries that must trade a product, or its pairs are refused"
    )
    untested: Literal["keep", "drop"] = Field(
        "keep", description="what happens to a link whose trade is not loaded"
    )
    country_draws: int = Field(
        999, ge=0, le=100_000, description="permutations of countries in the test by countries"
    )
    link_years: bool = Field(
        False, description="test each year by itself too, for the share of years that confirm"
    )
    verdicts: str | None = _place(
        "CSV material,input,output,verdict(accept or reject),reason[,by,date]: before any test",
        default=None,
    )
    all_pairs: bool = Field(
        False, description="also test every pair of products loaded, as material 'all' in links"
    )
    endpoint: str = _place(
        "base URL of an OpenAI-compatible service", default="https://api.openai.com/v1"
    )
    model: str = Field("gpt-5-mini", description="model that answers live or in a batch")
    concurrency: int = _place("questions in flight at a time", default=8, ge=1, le=256)
    max_requests: int = _place(
        "requests after which a live run stops, repeated ones included", default=1000, ge=0
    )
    price_asked: float | None = _place(
        "USD for a million tokens asked of --model, to show what a live run costs",
        default=None,
        ge=0,
    )
    price_answered: float | None = _place(
        "USD for a million tokens answered, for the same", default=None, ge=0
    )
    timeout_s: float = _place("seconds to wait for an answer", default=120.0, gt=0)


class Countries(Section):
    """How indicators become contributions, profiles, clusters and growth of countries."""

    contribution_floor: float = Field(
        0.001, ge=0, description="contributions below it are summed into supplier 0"
    )
    strength_universe: Literal["cube", "network"] = Field(
        "cube", description="RCA that makes a strength: over all products, or within the network"
    )
    absent_rca: Literal["zero", "skip"] = Field(
        "zero", description="RCA of a product not traded in a year with exports: 0, or left out"
    )
    profile_columns: Literal["16", "40"] = Field(
        "16", description="columns of a profile that is clustered: 16, or all by tier, 40"
    )
    clusters_without_inputs: Literal["drop", "copy", "mean"] = Field(
        "drop", description="profile without input products: not clustered, as all, or the mean"
    )
    log_influence: bool = Field(
        False, description="cluster by log(1 + influence) instead of influence, which is skewed"
    )
    cluster_detail: Literal[
        "most high", "very high", "high", "medium", "low", "very low", "adaptive"
    ] = Field(
        "very low", description="preset of density-based merging; `adaptive` goes by the data"
    )
    cluster_background: Literal["label", "nearest", "drop"] = Field(
        "label", description="country-years in no cluster: cluster 0, in the nearest, or left out"
    )
    cluster_repeats: int = Field(
        2,
        ge=0,
        le=100,
        description="seeds for each of 15, 30, 50 neighbours behind stability; 0 = one run only",
    )
    growth_baseline: Years = Field(
        (), description="years growth is measured from; default 2008-2011, or the first loaded"
    )
    growth_target: Years = Field(
        (), description="years growth is measured to; default 2020-2023, or the last loaded"
    )


class World(Section):
    """How large a generated world is and how strong what is planted in it."""

    world_products: int = Field(5000, ge=1, description="products of a generated world")
    world_countries: int = Field(226, ge=24, description="countries of a generated world")
    world_files: Literal["csv", "zip", "none"] = Field(
        "csv", description="its trade as yearly files, as one zip, or left to ingest to generate"
    )
    strength_network: float = Field(1.0, ge=0, le=1, description="planted networks; 0 = none")
    strength_groups: float = Field(1.0, ge=0, le=1, description="planted groups; 0 = none")
    strength_growth: float = Field(1.0, ge=0, le=1, description="planted growth; 0 = none")
    strength_upstream: float = Field(1.0, ge=0, le=1, description="planted chains; 0 = none")


class Settings(Section):
    """Everything a run depends on."""

    warehouse: str = _place("folder or URI of the tables", default="warehouse")
    report_dir: str = _place("folder of the report", default="report")
    materials: Materials = Field(("rare_earths",), description="materials by name, or all")
    years: Years = Field(
        (), description="years, like 2007-2023 or 2007,2010; default all that are loaded"
    )
    seed: int = Field(1, ge=0, description="seed of everything random")
    force: bool = _place("recompute what is up to date too", default=False)
    ingest: Ingest = Ingest()
    stability: Stability = Stability()
    network: Network = Network()
    minerals: Minerals = Minerals()
    countries: Countries = Countries()
    world: World = World()


@dataclass(frozen=True, slots=True)
class Option:
    """One setting as a user meets it: `name` everywhere, `section` '' or its table in the file."""

    name: str
    section: str
    field: FieldInfo

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def is_switch(self) -> bool:
        """True when it takes no value on the command line."""
        return self.field.annotation is bool

    @property
    def is_list(self) -> bool:
        """True when it holds several values, which may be given one by one."""
        return self.field.annotation in (tuple[str, ...], tuple[int, ...])

    @property
    def changes_results(self) -> bool:
        """False for settings that say where things lie or how to run."""
        extra = self.field.json_schema_extra
        return not (isinstance(extra, dict) and extra.get("place"))


def options() -> Iterator[Option]:
    """Yield every setting, the general ones first."""
    sections: list[tuple[str, type[Section]]] = []
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            sections.append((name, field.annotation))
        else:
            yield Option(name, "", field)
    for section, model in sections:
        for name, field in model.model_fields.items():
            yield Option(name, section, field)


ALIASES = {"material": "materials", "report": "report_dir", "year": "years", "product": "products"}
"""Other names under which a setting is understood on the command line."""


def load(
    command_line: Mapping[str, Any] | None = None,
    *,
    file: str | Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings of a run, or raise one `Problem` that lists everything wrong.

    Args:
        command_line: raw values by option name, as `parse_command_line` returns them.
        file: TOML file, general settings first, then one table a section.
        environment: variables to look in; default the process's own.
    """
    by_name = {option.name: option for option in options()}
    faults: list[str] = []
    merged: dict[str, Any] = {}
    origin: dict[tuple[str, ...], str] = {}

    def put(option: Option, value: Any, where: str) -> None:
        target = merged.setdefault(option.section, {}) if option.section else merged
        target[option.name] = value
        origin[(option.section, option.name) if option.section else (option.name,)] = where

    for option, value, where in _from_file(file, by_name, faults):
        put(option, value, where)
    for name, value in (command_line or {}).items():
        put(by_name[name], value, by_name[name].flag)
    for variable, value in (os.environ if environment is None else environment).items():
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        if name in by_name:
            put(by_name[name], value, f"{variable} in the environment")
        else:
            faults.append(f"{variable} in the environment: no such setting{nearest(name, by_name)}")
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        faults += [_sentence(fault, origin) for fault in error.errors()]
    if faults:
        raise Problem(
            "\n".join(["The settings cannot be used:", *(f"  {fault}" for fault in faults)])
        )
    return settings


def overridden(command_line: Mapping[str, Any], environment: Mapping[str, str]) -> list[str]:
    """Return a sentence for each command-line option that an environment variable overrides."""
    named = {name: ENVIRONMENT_PREFIX + name.upper() for name in command_line}
    return [
        f"{variable}={environment[variable]} (environment) overrides --{name.replace('_', '-')}"
        for name, variable in named.items()
        if variable in environment
    ]


def _from_file(
    file: str | Path | None, by_name: Mapping[str, Option], faults: list[str]
) -> Iterator[tuple[Option, Any, str]]:
    if file is None:
        return
    try:
        content = tomllib.loads(Path(file).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise Problem(f"The settings file {file} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise Problem(f"The settings file {file} is not TOML: {error}.") from None
    sections = sorted({option.section for option in by_name.values()} - {""})
    for key, value in content.items():
        if key not in sections:
            yield from _known("", {key: value}, file, by_name, faults, also=sections)
        elif isinstance(value, dict):
            yield from _known(key, value, file, by_name, faults)
        else:
            faults.append(f"{key} in {file}: found {_short(value)}; expected a section [{key}]")


def _known(
    section: str,
    values: Mapping[str, Any],
    file: str | Path,
    by_name: Mapping[str, Option],
    faults: list[str],
    *,
    also: Sequence[str] = (),
) -> Iterator[tuple[Option, Any, str]]:
    """Yield the settings of a section that exist; say of each other where it belongs."""
    valid = [name for name, option in by_name.items() if option.section == section]
    for name, value in values.items():
        where = f"{section}.{name} in {file}" if section else f"{name} in {file}"
        if name in valid:
            yield by_name[name], value, where
        elif name in by_name:
            home = by_name[name].section
            place = f"in the section [{home}]" if home else "before the first section"
            faults.append(f"{where}: expected {place}")
        else:
            faults.append(f"{where}: no such setting{nearest(name, [*valid, *also])}")


def _sentence(fault: Any, origin: Mapping[tuple[str, ...], str]) -> str:
    location = tuple(str(part) for part in fault["loc"])
    where = next(
        (origin[location[:n]] for n in (2, 1) if location[:n] in origin), ".".join(location)
    )
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "value_error":
        return f"{where}: {message}"
    return f"{where}: found {_short(fault['input'])}; {message[0].lower()}{message[1:]}"


def parse_command_line(
    arguments: Sequence[str],
) -> tuple[dict[str, Any], list[str], str | None]:
    """Split arguments into raw settings by name, positional words, and the settings file.

    Every unknown option, every missing value is collected and reported in one `Problem`.
    """
    by_flag = {option.flag: option for option in options()}
    by_flag |= {
        "--" + alias: by_flag["--" + name.replace("_", "-")] for alias, name in ALIASES.items()
    }
    values: dict[str, Any] = {}
    words: list[str] = []
    faults: list[str] = []
    file: str | None = None
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            words += rest
            break
        if not argument.startswith("--"):
            words.append(argument)
            continue
        flag, equals, value = argument.partition("=")
        option = by_flag.get(flag)
        if option is not None and option.is_switch and not equals:
            values[option.name] = True
            continue
        if option is None and flag != "--settings":
            faults.append(f"{flag}: no such option{nearest(flag, [*by_flag, '--settings'])}")
            if not equals and rest and not rest[0].startswith("-"):
                rest.pop(0)
            continue
        if not equals:
            if not rest or rest[0].startswith("--"):
                faults.append(f"{flag}: needs a value")
                continue
            value = rest.pop(0)
        given_before = file if option is None else values.get(option.name)
        if option is not None and given_before is not None and option.is_list:
            value = f"{given_before},{value}"
        elif given_before is not None and given_before != value:
            faults.append(f"{flag}: given twice, {_short(given_before)} and {_short(value)}")
        if option is None:
            file = value
        else:
            values[option.name] = value
    if faults:
        raise Problem(
            "\n".join(["The command line cannot be used:", *(f"  {fault}" for fault in faults)])
        )
    return values, words, file
