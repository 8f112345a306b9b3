"""Settings: where they come from, which wins, and everything wrong with them at once."""

import re
from typing import Literal, get_args, get_origin

import pytest
from pydantic import ValidationError

from conf import settings as module
from conf.problem import Problem
from conf.settings import Settings, load, materials_available, options, overridden
from conf.settings import parse_command_line as parsed


def from_file(tmp_path, text, **others):
    path = tmp_path / "run.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load(file=path, **({"environment": {}} | others))


def faults(call, *arguments, **options):
    """Return the lines of the refusal, without its first and without the file's name."""
    with pytest.raises(Problem) as caught:
        call(*arguments, **options)
    return [
        re.sub(r" in /\S*run.toml", "", line.strip()) for line in str(caught.value).splitlines()
    ]


# Where they come from


def test_without_anything_every_setting_has_its_default():
    assert load(environment={}) == Settings()
    assert load(environment={"PATH": "/bin", "trade_risk_seed": "9"}) == Settings()


def test_the_environment_is_stronger_than_the_command_line_and_that_than_the_file(tmp_path):
    text = 'seed = 1\nyears = "2001"\nwarehouse = "file"\n[stability]\ncarry_years = 1\n'
    line = {"years": "2002", "warehouse": "line", "carry_years": "2"}
    environment = {"TRADE_RISK_WAREHOUSE": "environment", "TRADE_RISK_CARRY_YEARS": "3"}

    found = from_file(tmp_path, text, command_line=line, environment=environment)

    assert (found.seed, found.years, found.warehouse) == (1, (2002,), "environment")
    assert found.stability.carry_years == 3


def another_value(option):
    """Return text for a value that is allowed and not the default."""
    named = {"materials": "lithium,cobalt", "years": "2007-2009", "products": "28,2805,280530"}
    named |= {"matcher": "tfidf", "compared_matcher": "none", "neighbours_embedding": "embedding:m"}
    named |= {"growth_baseline": "2007-2009", "growth_target": "2013-2015"}
    kind, default = option.field.annotation, option.field.default
    if get_origin(kind) is Literal:
        return next(value for value in get_args(kind) if value != default)
    if kind in (int, int | None):
        return str((default or 6) + 1)
    if kind in (float, float | None):
        return str((default or 6) / 2)
    return named.get(option.name, "true" if option.is_switch else "some text")


@pytest.mark.parametrize("given", ["embeding:m", "embedding:", "picks"])
def test_unknown_matcher_names_those_there_are(given):
    with pytest.raises(Problem, match="expected pick, neighbours, tfidf, sentence-transformers or"):
        load({"matcher": given}, environment={})
    assert load({"matcher": "embedding:m"}, environment={}).network.matcher == "embedding:m"


@pytest.mark.parametrize("option", list(options()), ids=lambda option: option.name)
def test_every_setting_may_come_from_each_of_the_three(tmp_path, option):
    given = another_value(option)
    head = f"[{option.section}]\n" if option.section else ""

    by_file = from_file(tmp_path, f'{head}{option.name} = "{given}"\n')
    values, words, file = parsed([f"{option.flag}={given}"])
    by_line = load(values, environment={})
    by_environment = load(environment={f"TRADE_RISK_{option.name.upper()}": given})

    assert by_file == by_line == by_environment != Settings()
    assert (words, file) == ([], None)


def test_names_and_flags_are_unique_and_every_setting_is_described():
    listed = list(options())

    assert len({option.name for option in listed}) == len(listed)
    assert len({option.flag for option in listed}) == len(listed)
    assert all(option.field.description for option in listed)
    assert not set(module.ALIASES) & {option.name for option in listed}
    assert set(module.ALIASES.values()) <= {option.name for option in listed}


def test_an_override_is_said():
    said = overridden({"unpack_mb": "5", "seed": "1"}, {"TRADE_RISK_UNPACK_MB": "9"})

    assert said == ["TRADE_RISK_UNPACK_MB=9 (environment) overrides --unpack-mb"]


def test_settings_survive_being_written_and_read():
    found = load(
        {"years": "2007,2010-2012", "products": "28", "materials": "all", "force": True},
        environment={},
    )

    assert Settings.model_validate_json(found.model_dump_json()) == found
    assert Settings.model_validate(found.model_dump()) == found


def test_settings_do_not_change():
    found = load(environment={})
    with pytest.raises(ValidationError, match="frozen"):
        found.seed = 2
    with pytest.raises(ValidationError, match="frozen"):
        found.ingest.baci = "x"
    with pytest.raises(ValidationError, match="Extra inputs"):
        Settings(seeds=1)
    assert hash(found) == hash(load(environment={}))


# Values


@pytest.mark.parametrize(
    ("given", "years"),
    [
        ("2007", (2007,)),
        ("2007-2009", (2007, 2008, 2009)),
        (" 2009 - 2010 , 2007 ", (2007, 2009, 2010)),
        ("2007,2007,2006-2007", (2006, 2007)),
        ("1988,2100", (1988, 2100)),
        (2007, (2007,)),
        ([2010, 2007, 2010], (2007, 2010)),
        (["2007-2008", 2010], (2007, 2008, 2010)),
        ([], ()),
    ],
)
def test_years_are_understood(given, years):
    assert load({"years": given}, environment={}).years == years


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("", "found ''; expected years like 2007-2023 or 2007,2010"),
        ("2007-", "found '2007-'; expected years like 2007-2023 or 2007,2010"),
        ("-2007", "found '-2007'; expected years like"),
        ("2007;2008", "found '2007;2008'; expected years like"),
        ("2007-2008-2009", "found '2007-2008-2009'; expected years like"),
        ("07-23", "found '07-23'; expected years like"),
        ("2_007", "found '2_007'; expected years like"),
        ("٢٠٠٧", "found '٢٠٠٧'; expected years like"),
        ("9" * 5000, f"found '{'9' * 79}...; expected years like"),
        ("2009-2007", "found '2009-2007', which runs backwards; expected 2007-2009"),
        ("1800", "found '1800'; expected years from 1988 to 2100"),
        ("2007-2101", "found '2007-2101'; expected years from 1988 to 2100"),
        ([2007, 1], "found 1; expected years like"),
        ([2007, 1800], "found 1800; expected years from 1988 to 2100"),
        ([2007.0], "found 2007.0; expected years like"),
        (True, "found True; expected years like"),
        ({"from": 2007}, "found {'from': 2007}; input should be a valid tuple"),
    ],
)
def test_years_that_are_none_are_refused(given, sentence):
    (said,) = faults(load, {"years": given}, environment={})[1:]

    assert said.startswith(f"--years: {sentence}")


def test_materials_are_known_by_name():
    assert load({"materials": "all"}, environment={}).materials == tuple(materials_available())
    twice = load({"materials": "lithium, cobalt,lithium"}, environment={})
    assert twice.materials == ("lithium", "cobalt")


@pytest.mark.parametrize(
    ("name", "given", "sentence"),
    [
        (
            "materials",
            "litium",
            "found 'litium' (nearest: lithium, gallium); expected all or some of ",
        ),
        ("materials", "rare_earths,xyzzy", "found 'xyzzy'; expected all or some of cobalt, "),
        ("materials", "", "found ''; expected one name or more, with commas between"),
        ("materials", [], "found none; expected all or some of cobalt, gallium, lithium, rare_"),
        ("materials", [1], "found 1; input should be a valid string"),
        ("products", " , ", "found ' , '; expected one name or more, with commas between"),
        ("products", "280", "found '280'; expected HS codes of 2, 4 or 6 digits"),
        ("products", "2805,28 05,2805301", "found '28 05', '2805301'; expected HS codes of 2, "),
        ("products", 2805, "found 2805; input should be a valid tuple"),
        ("seed", "-1", "found '-1'; input should be greater than or equal to 0"),
        ("seed", "1.5", "found '1.5'; input should be a valid integer, unable to parse"),
        ("seed", True, "found True; expected a whole number"),
        ("seed", 1.0, "found 1.0; expected a whole number"),
        ("seed", None, "found None; input should be a valid integer"),
        ("depth", True, "found True; expected a whole number"),
        ("timeout_s", False, "found False; expected a number"),
        ("timeout_s", "nan", "found 'nan'; input should be greater than 0"),
        ("carry_years", 11, "found 11; input should be less than or equal to 10"),
        ("unpack_mb", 0, "found 0; input should be greater than or equal to 1"),
        ("force", "perhaps", "found 'perhaps'; input should be a valid boolean, unable to"),
        ("force", 1, "found 1; expected true or false"),
        ("missing", "51", "found '51'; input should be 'year_median', '0', '50' or '100'"),
        ("scale", "ranks", "found 'ranks'; input should be 'rank', 'score' or 'estimate'"),
        ("warehouse", 5, "found 5; input should be a valid string"),
        ("baci", ["a", "b"], "found ['a', 'b']; input should be a valid string"),
        ("wgi", [0] * 10**5, f"found [{'0, ' * 26}0..."),
    ],
)
def test_a_value_of_the_wrong_kind_or_range_is_refused(name, given, sentence):
    (said,) = faults(load, {name: given}, environment={})[1:]

    assert said.startswith(f"--{name.replace('_', '-')}: {sentence}")


# The file


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("seeed = 1", ["seeed: no such setting (nearest: seed)"]),
        ("xyzzy = 1", ["xyzzy: no such setting"]),
        ("[ingests]\nbaci = 'x'", ["ingests: no such setting (nearest: ingest"]),
        ("[ingest]\nbacy = 'x'", ["ingest.bacy: no such setting (nearest: baci)"]),
        ("ingest = 5", ["ingest: found 5; expected a section [ingest]"]),
        ("[[ingest]]\nbaci = 'x'", ["ingest: found [{'baci': 'x'}]; expected a section [ingest]"]),
        ("baci = 'x'", ["baci: expected in the section [ingest]"]),
        ("[ingest]\nseed = 1", ["ingest.seed: expected before the first section"]),
        ("[ingest]\nwgi = 'x'", ["ingest.wgi: expected in the section [stability]"]),
        ("[seed]\n", ["seed: found {}; input should be a valid integer"]),
        ("seed = nan", ["seed: found nan; expected a whole number"]),
        ("[ingest]\nbaci = 1979-05-27", ["ingest.baci: found datetime.date(1979, 5, 27); input "]),
        (
            "seed = true\nxyzzy = 1\n[ingest]\nproducts = ['280', '2805']\n[stability]\nmising = 1",
            [
                "xyzzy: no such setting",
                "stability.mising: no such setting (nearest: missing)",
                "seed: found True; expected a whole number",
                "ingest.products: found '280'; expected HS codes of 2, 4 or 6 digits",
            ],
        ),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_each_fault_of_a_file_is_named(tmp_path, text, lines):
    said = faults(from_file, tmp_path, text)

    assert said[0] == "The settings cannot be used:"
    assert len(said) == len(lines) + 1
    assert all(found.startswith(line) for found, line in zip(said[1:], lines, strict=True))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("seed = ", r"is not TOML: Invalid value \(at "),
        ("seed = 1\nseed = 2", "is not TOML: Cannot overwrite a value"),
        (b"seed = '\xff'", "is not TOML: 'utf-8' codec can't decode byte 0xff"),
        ("x = " + "[" * 100_000, "is not TOML: maximum recursion depth exceeded"),
        ("seed = " + "9" * 5000, "is not TOML: Exceeds the limit"),
        ("seed: 1", "is not TOML: Expected '=' after a key"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_file_that_is_not_toml_is_refused(tmp_path, text, sentence):
    with pytest.raises(Problem, match=sentence):
        from_file(tmp_path, text)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(Problem, match=r"none.toml cannot be read: No such file or directory\."):
        load(file=tmp_path / "none.toml", environment={})
    with pytest.raises(Problem, match=r"cannot be read: Is a directory\."):
        load(file=tmp_path, environment={})


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path):
    assert from_file(tmp_path, b"\xef\xbb\xbfseed = 5\r\n").seed == 5


# Everything at once


def test_faults_of_file_command_line_and_environment_come_together(tmp_path):
    said = faults(
        from_file,
        tmp_path,
        "xyzzy = 1\n[stability]\ncarry_years = -1",
        command_line={"years": "20x7", "seed": "x"},
        environment={"TRADE_RISK_SEEED": "1", "TRADE_RISK_MATERIALS": "litium"},
    )[1:]

    assert [line.split(": ")[0] for line in said] == [
        "xyzzy",
        "TRADE_RISK_SEEED in the environment",
        "TRADE_RISK_MATERIALS in the environment",
        "--years",
        "--seed",
        "stability.carry_years",
    ]
    assert said[1].endswith("no such setting (nearest: seed)")


# The command line


def test_a_command_line_is_settings_words_and_a_file():
    line = "--settings a.toml --force --material=lithium --seed -5 --materials cobalt"
    more = "--year 2007 --years=2009 -- --not --options"

    values, words, file = parsed(["sql", "select -1", *line.split(), *more.split()])

    assert words == ["sql", "select -1", "--not", "--options"]
    assert file == "a.toml"
    assert values == {
        "force": True,
        "materials": "lithium,cobalt",
        "seed": "-5",
        "years": "2007,2009",
    }


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["--bacy", "x"], ["--bacy: no such option (nearest: --baci)"]),
        (["--xyzzy"], ["--xyzzy: no such option"]),
        (["--setting", "x"], ["--setting: no such option (nearest: --settings)"]),
        (["--years"], ["--years: needs a value"]),
        (["--years", "--force"], ["--years: needs a value"]),
        (["--settings"], ["--settings: needs a value"]),
        (["--unpack_mb", "5"], ["--unpack_mb: no such option (nearest: --unpack-mb)"]),
        (["--seed", "1", "--seed", "2"], ["--seed: given twice, '1' and '2'"]),
        (["--settings=a", "--settings=b"], ["--settings: given twice, 'a' and 'b'"]),
        (
            ["--bacy=x", "run", "--yeers", "2007", "--seed"],
            [
                "--bacy: no such option (nearest: --baci)",
                "--yeers: no such option (nearest: --years, --year)",
                "--seed: needs a value",
            ],
        ),
    ],
)
def test_each_fault_of_a_command_line_is_named(arguments, lines):
    said = faults(parsed, arguments)

    assert said[0] == "The command line cannot be used:"
    assert len(said) == len(lines) + 1
    assert all(found.startswith(line[:-1]) for found, line in zip(said[1:], lines, strict=True))
