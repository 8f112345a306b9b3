"""The files of the report: the page whole or not at all, every figure as SVG, PNG and CSV."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import vl_convert

from jobs.report.figures import FONT, INK, Figure

FOLDER = "figures"
SYNTHETIC = "SYNTHETIC DATA"
TITLE_ROW = 18
CHARACTERS = 6.6
"""Width of a character of a title, pixels."""
PIXELS = 2
"""Pixels of the PNG for each of the SVG."""
SIZE = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
THREADS = 2


def figures_in(story: Any) -> Iterator[Figure]:
    """Yield every figure in what a page is made from, however deep it lies."""
    if isinstance(story, Figure):
        yield story
    elif isinstance(story, pd.DataFrame):
        return
    elif isinstance(story, Mapping):
        yield from figures_in(list(story.values()))
    elif isinstance(story, list | tuple):
        for part in story:
            yield from figures_in(part)
    elif is_dataclass(story) and not isinstance(story, type):
        yield from figures_in([getattr(story, field.name) for field in fields(story)])


def export(figures: list[Figure], folder: Path, *, synthetic: bool) -> None:
    """Write each figure as NAME.svg, .png and .csv, and remove those that are no longer made."""
    names = [figure.name for figure in figures]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two figures are called {', '.join(twice)}; their files would be one")
    folder.mkdir(parents=True, exist_ok=True)

    def one(figure: Figure) -> None:
        svg = framed(figure, synthetic=synthetic)
        write(folder / f"{figure.name}.svg", svg.encode())
        write(folder / f"{figure.name}.png", vl_convert.svg_to_png(svg, scale=PIXELS))
        write(folder / f"{figure.name}.csv", as_csv(figure, synthetic=synthetic).encode())

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(one, figures))
    made = {f"{name}.{kind}" for name in names for kind in ("svg", "png", "csv")}
    for file in folder.iterdir():
        if file.suffix in {".svg", ".png", ".csv"} and file.name not in made:
            file.unlink()


def as_csv(figure: Figure, *, synthetic: bool) -> str:
    """Return the rows of a figure, with a column that says so where they are synthetic."""
    data = figure.data.assign(data="synthetic") if synthetic else figure.data
    text: str = data.to_csv(index=False, lineterminator="\n")
    return text


def framed(figure: Figure, *, synthetic: bool) -> str:
    """Return the SVG of a figure with its title above it, and a title element for readers."""
    size = SIZE.search(figure.svg)
    if size is None:
        raise ValueError(f"the SVG of {figure.name} has no viewBox from 0 0")
    width, height = float(size[1]), float(size[2])
    title = f"{SYNTHETIC}: {figure.title}" if synthetic else figure.title
    rows = wrapped(title, int((width - 12) / CHARACTERS))
    top = TITLE_ROW * len(rows) + 6
    inner = re.sub(r'(<svg [^>]*?) width="[^"]*" height="[^"]*"', r"\1", figure.svg, count=1)
    inner = inner.replace("<svg ", f'<svg y="{top}" width="{width:g}" height="{height:g}" ', 1)
    texts = "".join(
        f'<text x="6" y="{TITLE_ROW * (n + 1) - 2}">{escape(row)}</text>'
        for n, row in enumerate(rows)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height + top:g}" '
        f'width="{width:g}" height="{height + top:g}" role="img">'
        f"<title>{escape(title)}</title><desc>{escape(figure.told)}</desc>"
        f'<rect width="100%" height="100%" fill="#ffffff"/>'
        f'<g font-family="{FONT}" font-size="13" font-weight="bold" fill="{INK}">{texts}</g>'
        f"{inner}</svg>\n"
    )


def wrapped(text: str, length: int) -> list[str]:
    """Return a text in rows of at most `length` characters, words kept whole where they fit."""
    rows = [""]
    for word in text.split():
        if rows[-1] and len(rows[-1]) + 1 + len(word) > length:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    return rows


def inline(figure: Figure) -> str:
    """Return the SVG for a page: no size of its own, hidden from readers, ids of its own."""
    svg = re.sub(r'(<svg [^>]*?) width="[^"]*" height="[^"]*"', r"\1", figure.svg, count=1)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{figure.name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{figure.name}-\1)", svg)
    return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def write(file: Path, content: bytes) -> None:
    """Write a file so that it appears whole or not at all."""
    partial = file.with_name(f".{file.name}.partial")
    partial.write_bytes(content)
    partial.replace(file)
