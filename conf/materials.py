"""Materials: one TOML file each in conf/materials, with the seeds of the value chain."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass

from conf.settings import CONF


@dataclass(frozen=True, slots=True)
class Seed:
    """An HS code that is the material itself, and why; revisions = () means all HS revisions."""

    product: str
    reason: str
    revisions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Material:
    """A material: its key (file name), its name, its seeds, and what HS6 cannot tell apart."""

    key: str
    name: str
    seeds: tuple[Seed, ...]
    notes: tuple[str, ...]

    def seeds_in(self, nomenclature: str) -> tuple[Seed, ...]:
        """Return the seeds that exist in an HS revision."""
        return tuple(s for s in self.seeds if not s.revisions or nomenclature in s.revisions)


def material(key: str) -> Material:
    """Read a material of conf/materials."""
    content = tomllib.loads((CONF / "materials" / f"{key}.toml").read_text(encoding="utf-8"))
    seeds = tuple(
        Seed(product, seed["reason"], tuple(seed.get("revisions", ())))
        for product, seed in content["seeds"].items()
    )
    return Material(key, content["name"], seeds, tuple(content.get("notes", ())))
