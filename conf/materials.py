"""Materials: one TOML file each in conf/materials, with the seeds of the value chain."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass

from conf.problem import Problem, nearest
from conf.settings import CONF

DEPTH, VOTES = 4, 5
"""Klimek et al. (2025) have tiers 0 to 4; how many votes they require is not printed."""
KEYS = ("name", "notes", "depth", "votes", "seeds", "steps")
STEP_KEYS = ("name", "inputs", "outputs")


@dataclass(frozen=True, slots=True)
class Seed:
    """An HS code that is the material itself, and why; revisions = () means all HS revisions."""

    product: str
    reason: str
    revisions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the chain that is known to exist: any of `inputs` goes into any of `outputs`."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Material:
    """A material: its key (file name), its name, its seeds, and what HS6 cannot tell apart.

    depth: last tier of its network. votes: answers of ten that must name a product. steps: known
    ones, which its network is held against.
    """

    key: str
    name: str
    seeds: tuple[Seed, ...]
    notes: tuple[str, ...]
    depth: int = DEPTH
    votes: int = VOTES
    steps: tuple[Step, ...] = ()

    def seeds_in(self, nomenclature: str) -> tuple[Seed, ...]:
        """Return the seeds that exist in an HS revision."""
        return tuple(s for s in self.seeds if not s.revisions or nomenclature in s.revisions)


def material(key: str) -> Material:
    """Read a material of conf/materials."""
    path = CONF / "materials" / f"{key}.toml"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Problem(f"The material file {path} is not TOML: {error}.") from None
    faults = [f"{word}: no such key{nearest(word, KEYS)}" for word in content if word not in KEYS]
    faults += [f"{word} is missing" for word in ("name", "seeds") if not content.get(word)]
    seeds = content.get("seeds", {})
    faults += [f"seeds.{code}: no reason is given" for code in seeds if "reason" not in seeds[code]]
    steps = content.get("steps", ())
    faults += [
        f"steps, number {n}: expected {', '.join(STEP_KEYS)}, found {', '.join(step) or 'nothing'}"
        for n, step in enumerate(steps, 1)
        if set(step) != set(STEP_KEYS) or not all(step.values())
    ]
    faults += [
        f"{word} is {content[word]!r}; expected a whole number from 1 to 10"
        for word in ("depth", "votes")
        if word in content and content[word] not in range(1, 11)
    ]
    if faults:
        raise Problem("\n".join([f"The material file {path} cannot be used:", *faults]))
    return Material(
        key=key,
        name=content["name"],
        seeds=tuple(
            Seed(product, seed["reason"], tuple(seed.get("revisions", ())))
            for product, seed in seeds.items()
        ),
        notes=tuple(content.get("notes", ())),
        depth=content.get("depth", DEPTH),
        votes=content.get("votes", VOTES),
        steps=tuple(
            Step(step["name"], tuple(step["inputs"]), tuple(step["outputs"])) for step in steps
        ),
    )
