"""All settings: typed, frozen and complete before Spark starts.

A setting has one name everywhere: `years` in a TOML file (in its section), `--years` on the
command line, `TRADE_RISK_YEARS` in the environment. The file is the weakest of the three, the
environment the strongest. Everything wrong is reported at once.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from conf.problem import Problem, nearest

CONF = Path(__file__).parent
SAMPLE = CONF / "sample"
ENVIRONMENT_PREFIX = "TRADE_RISK_"
FIRST_YEAR, LAST_YEAR = 1988, 2100


def _parse_years(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    years: set[int] = set()
    for part in given.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            start, end = int(first), int(last if dash else first)
        except ValueError:
            raise ValueError(
                f"found {part.strip()!r}; expected years like 2007-2023 or 2007,2010"
            ) from None
        if end < start:
            raise ValueError(
                f"found {part.strip()!r}, which runs backwards; expected {end}-{start}"
            )
        if not FIRST_YEAR <= start <= end <= LAST_YEAR:
            raise ValueError(
                f"found {part.strip()!r}; expected years from {FIRST_YEAR} to {LAST_YEAR}"
            )
        years.update(range(start, end + 1))
    return tuple(sorted(years))


def _parse_names(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    return tuple(name.strip() for name in given.split(",") if name.strip())


def _digits(codes: tuple[str, ...]) -> tuple[str, ...]:
    wrong = [
        code for code in codes if not (code.isascii() and code.isdigit() and len(code) in (2, 4, 6))
    ]
    if wrong:
        raise ValueError(
            f"found {', '.join(map(repr, wrong))}; expected HS codes of 2, 4 or 6 digits"
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
    if wrong:
        hints = ", ".join(f"{name!r}{nearest(name, valid)}" for name in wrong)
        raise ValueError(f"found {hints}; expected all or some of {', '.join(valid)}")
    return names


Years = Annotated[tuple[int, ...], BeforeValidator(_parse_years)]
HsCodes = Annotated[tuple[str, ...], BeforeValidator(_parse_names), AfterValidator(_digits)]
Materials = Annotated[
    tuple[str, ...], BeforeValidator(_parse_names), AfterValidator(_known_materials)
]


class Section(BaseModel):
    """A group of settings that one or a few jobs depend on."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


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
            valid = [ENVIRONMENT_PREFIX + known.upper() for known in by_name]
            faults.append(
                f"{variable} in the environment: no such setting{nearest(variable, valid)}"
            )
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
        content = tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise Problem(f"The settings file {file} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Problem(f"The settings file {file} is not TOML: {error}.") from None
    sections = sorted({option.section for option in by_name.values()} - {""})
    for key, value in content.items():
        if key in sections and isinstance(value, dict):
            for name, inner in value.items():
                if name in by_name and by_name[name].section == key:
                    yield by_name[name], inner, f"{key}.{name} in {file}"
                else:
                    valid = [known for known, option in by_name.items() if option.section == key]
                    faults.append(f"{key}.{name} in {file}: no such setting{nearest(name, valid)}")
        elif key in by_name and not by_name[key].section:
            yield by_name[key], value, f"{key} in {file}"
        else:
            valid = [*(known for known, option in by_name.items() if not option.section), *sections]
            faults.append(f"{key} in {file}: no such setting{nearest(key, valid)}")


def _sentence(fault: Any, origin: Mapping[tuple[str, ...], str]) -> str:
    location = tuple(str(part) for part in fault["loc"])
    where = next(
        (origin[location[:n]] for n in (2, 1) if location[:n] in origin), ".".join(location)
    )
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "value_error":
        return f"{where}: {message}"
    return f"{where}: found {fault['input']!r}; {message[0].lower()}{message[1:]}"


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
        if option is None:
            file = value
        elif option.name in values and option.field.annotation == tuple[str, ...]:
            values[option.name] += "," + value
        else:
            values[option.name] = value
    if faults:
        raise Problem(
            "\n".join(["The command line cannot be used:", *(f"  {fault}" for fault in faults)])
        )
    return values, words, file
