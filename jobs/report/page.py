"""The page: templates filled with what the other modules tell, every text escaped."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any

import pandas as pd
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from jobs.report.exports import inline

TEMPLATES = resources.files("jobs.report").joinpath("templates")


def render(told: Mapping[str, Any]) -> str:
    """Return the page as HTML; `told` has a value for every name that the templates use."""
    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["thousands"] = lambda number: f"{number:,.0f}"
    environment.filters["number"] = _number
    environment.filters["inline"] = lambda figure: Markup(inline(figure))
    page: str = environment.get_template("page.html").render(told)
    return page


def digests() -> dict[str, str]:
    """Return a digest of each template: they are part of the code that makes the page."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:16]
        for file in sorted(TEMPLATES.iterdir(), key=lambda file: file.name)
        if file.is_file()
    }


def _template(name: str) -> str:
    return TEMPLATES.joinpath(name).read_text(encoding="utf-8")


def _number(number: Any, digits: int = 2) -> str:
    return "–" if pd.isna(number) else f"{number:,.{digits}f}"
