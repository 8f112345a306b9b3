"""From a line of an answer to a product of the Harmonised System.

A line such as "polishing powders of cerium oxide, for glass" is compared with texts whose product
is known. Two matchers use the same embedding of texts as vectors: `nearest` takes the product of
the most similar official description (what Klimek et al. 2025 do); `voted` lets the most similar
texts vote, lines whose product was picked by a reader among them, so that what was read once
helps to file what was not. Any embedding will do; the one here, `TextEmbedding`, needs no download.
A line never votes on itself: texts that come from the line to be matched are left out.

The parameters were chosen on picked lines set aside for it, never on the labelled lines.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Names = NDArray[np.object_]
Vectors = Any
"""Unit rows, one a text: a NumPy array or a SciPy sparse array, shape (n texts, n features)."""
Embed = Callable[[Sequence[str]], Vectors]
"""Any embedding of texts, of no texts too."""

HEADING = 4
"""Digits of an HS heading; a subheading has six."""
CHARACTER_WEIGHT = 2.0
"""Length of the vector of character n-grams where that of words is 1."""
LEAD_WEIGHT = 0.6
"""Length of the vector of the good named first where that of the whole text is 1."""
HEADING_WEIGHT = 0.2
"""Length of the mean vector of a description's heading where its own is 1."""
NEIGHBOURS = 64
"""Texts that vote on a line."""
RIDGE = 0.3
"""Penalty of the vote: 0 trusts each neighbour fully, large values ignore that some are alike."""
TOP = 5
"""Products kept for a line."""
TINY = float(np.finfo(np.float64).tiny)
"""Divisor where nothing got a vote."""
LINES = 256
"""Lines matched at a time: 256 x 40,000 similarities are 80 MB."""

BULLET = re.compile(r"^\s*(?:[-*•–]\s+|\d{1,2}[.)]\s+)")
NOT_IN_A_LINE = re.compile(r"[^a-z0-9%-]+")
EXCEPTION = re.compile(
    r"\b(?:other than|excluding|except|not|n\.e\.s\.|nes|whether or not)(?=\W|$)[^,;:()]*"
    r"|\b(?:of|in|to) (?:heading|item|subheading)s? no\.?[^,;:()]*",
    re.IGNORECASE,
)
AFTER_THE_LEAD = re.compile(
    r" (?:and|or|for|of|with|containing|in|from|by|as|used|made|to|on|based|using|including|under"
    r"|at|having|such) "
)
SECOND_GOOD = re.compile(r" (?:and|or) ")


def normalise_line(text: str) -> str:
    """Return `text` as lines are compared: lower case, punctuation but % and - blank, squeezed.

    Letters beyond a-z count as punctuation, as in the recorded picks.
    """
    return NOT_IN_A_LINE.sub(" ", text.lower()).strip()


def lines_of_answer(text: str) -> list[str]:
    """Return the distinct lines of an answer, normalised, in order; none where it says `none`."""
    lines = (normalise_line(BULLET.sub("", line)) for line in text.splitlines())
    return list(dict.fromkeys(line for line in lines if line not in ("", "none")))


def plain_description(description: str) -> str:
    """Return an official description, normalised, without what it says it is not.

    "Bromides: n.e.s. in heading no. 2827" names a number, "(excluding cerium)" a good that the
    product does not cover; both mislead a comparison of words.
    """
    return normalise_line(EXCEPTION.sub(" ", description)) or normalise_line(description)


def lead(line: str) -> str:
    """Return the good that a normalised line names first: "magnets" of "magnets of neodymium"."""
    return AFTER_THE_LEAD.split(f" {line} ", maxsplit=1)[0].strip() or line


@dataclass(frozen=True, slots=True)
class TextEmbedding:
    """Tf-idf of words, word pairs and character n-grams (3 to 5), the first-named good in bold.

    The good named first is added in features of its own: a line "mine hoists and rolling mills"
    is filed under hoists, "thickness gauges using beta sources" under gauges.
    """

    words: TfidfVectorizer
    characters: TfidfVectorizer

    @classmethod
    def fit(cls, texts: Sequence[str]) -> TextEmbedding:
        """Learn the vocabulary and how rare its words are from normalised `texts`."""
        common = {"sublinear_tf": True, "lowercase": False, "dtype": np.float32}
        words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"[^ ]+", **common)
        characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), **common)
        return cls(words.fit(texts), characters.fit(texts))

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """Return unit rows, sparse, shape (n texts, n features); zero where no feature is known."""
        if not texts:
            features = len(self.words.vocabulary_) + len(self.characters.vocabulary_)
            return sparse.csr_array((0, 2 * features))
        leads = [lead(text) for text in texts]
        whole = [self.words.transform(texts), self.characters.transform(texts) * CHARACTER_WEIGHT]
        first = [self.words.transform(leads), self.characters.transform(leads) * CHARACTER_WEIGHT]
        return normalize(sparse.hstack([*whole, *(part * LEAD_WEIGHT for part in first)]).tocsr())


@dataclass(frozen=True, slots=True)
class Index:
    """Texts whose product is known.

    vectors: unit rows, shape (n texts, n features). products: HS codes, shape (n texts,).
    sources: the normalised line each text comes from, empty for a description, shape (n texts,).
    """

    vectors: Vectors
    products: Names
    sources: Names


@dataclass(frozen=True, slots=True)
class Matches:
    """The best products of each line, best first, ties by code.

    products: HS codes, None where fewer were found, shape (n lines, top). scores: falling, shape
    (n lines, top), 0 where there is no product: cosine for `nearest`, share of the votes in
    [0, 1] for `voted`. similarity: cosine of the line and the closest text of its best product,
    shape (n lines,), 0 where nothing was found.
    """

    products: Names
    scores: Floats
    similarity: Floats

    @property
    def product(self) -> Names:
        """Best product of each line, shape (n lines,)."""
        return self.products[:, 0]

    @property
    def runner_up(self) -> Names:
        """Second product of each line, shape (n lines,)."""
        return self.products[:, 1]

    @property
    def margin(self) -> Floats:
        """How far the best score exceeds the second, shape (n lines,)."""
        return self.scores[:, 0] - self.scores[:, 1]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Share of `lines` whose label is the best product, or among the first five; in [0, 1]."""

    lines: int
    subheading_top1: float
    subheading_top5: float
    heading_top1: float
    heading_top5: float


def index_of_descriptions(descriptions: Mapping[str, str], embed: Embed) -> Index:
    """Embed official descriptions (code -> text), each with a little of its whole heading.

    The heading's part is the mean vector of its subheadings: a description such as "parts
    thereof" says only together with its neighbours of what.
    """
    codes = sorted(descriptions)
    vectors = embed([plain_description(descriptions[code]) for code in codes])
    sizes = [len(list(members)) for _, members in groupby(codes, key=lambda code: code[:HEADING])]
    of_heading = np.repeat(np.arange(len(sizes)), sizes)
    member = sparse.csr_array((np.ones(len(codes)), (of_heading, np.arange(len(codes)))))
    headings = normalize(member @ vectors)
    enriched = normalize(vectors + HEADING_WEIGHT * headings[of_heading])
    return Index(enriched, _names(codes), _names([""] * len(codes)))


def index_of_picks(picks: Iterable[tuple[str, str, str]], embed: Embed) -> Index:
    """Embed picked lines: (normalised line, product, second product); empty = none.

    A line with two goods joined by "and" also teaches its second half, alone, as the second
    product. Lines without a product teach nothing.
    """
    taught = [(*text, line) for line, *goods in picks for text in _taught(line, *goods)]
    texts, products, sources = zip(*taught, strict=True) if taught else ((), (), ())
    return Index(embed(texts), _names(products), _names(sources))


def _taught(line: str, product: str, second: str) -> Iterator[tuple[str, str]]:
    """Yield the texts of a picked line, each with its product."""
    if product:
        yield line, product
    halves = SECOND_GOOD.split(line)
    if second and second != product and len(halves) == 2:
        yield halves[1], second


def joined(*indexes: Index) -> Index:
    """Return one index of the texts of several, all of the same embedding."""
    parts = [index.vectors for index in indexes]
    stack = sparse.vstack if any(sparse.issparse(part) for part in parts) else np.vstack
    return Index(
        vectors=stack(parts),
        products=np.concatenate([index.products for index in indexes]),
        sources=np.concatenate([index.sources for index in indexes]),
    )


def nearest(
    lines: Sequence[str],
    index: Index,
    embed: Embed,
    *,
    top: int = TOP,
    neighbours: int = NEIGHBOURS,
) -> Matches:
    """Match normalised lines to the products of the most similar texts, by cosine."""
    ranked = []
    for texts, cosines in _neighbours(lines, index, embed, neighbours):
        products, closest = _closest(index.products[texts], cosines)
        ranked.append(_Ranked(products, closest, closest))
    return _matches(ranked, top)


def voted(
    lines: Sequence[str],
    index: Index,
    embed: Embed,
    *,
    neighbours: int = NEIGHBOURS,
    ridge: float = RIDGE,
    top: int = TOP,
) -> Matches:
    """Match normalised lines by a vote of the most similar texts, each with a weight.

    The weights are those of a kernel ridge regression of "is of this product" on the neighbours,
    `w = (K + ridge I)^-1 k`, with K the squared cosines among the neighbours and k those with the
    line. A close text counts more than a far one, and ten texts that say the same count little
    more than one, which a vote by similarity alone gets wrong. Products voted down score nothing.
    Source: Hastie, Tibshirani and Friedman (2009), Elements of Statistical Learning, 5.8.
    """
    ranked = []
    for texts, cosines in _neighbours(lines, index, embed, neighbours):
        kernel = np.square(_dense(index.vectors[texts] @ index.vectors[texts].T))
        kernel.flat[:: texts.size + 1] += ridge
        weights = np.linalg.solve(kernel, np.square(cosines))
        products, closest = _closest(index.products[texts], cosines)
        votes = np.bincount(np.searchsorted(products, index.products[texts]), weights)
        votes = np.maximum(votes, 0.0)
        ranked.append(_Ranked(products, votes / max(votes.sum(), TINY), closest))
    return _matches(ranked, top)


def accuracy(products: Names, labels: Names) -> Accuracy:
    """Compare matches with labels of independent readers; to agree with one of them is right.

    Args:
        products: of each line, best first, None = none, shape (n lines, top).
        labels: of each line, None = nothing fits, shape (n lines, n readers).

    A line for which a reader found nothing is right where the best product is None.
    """
    if products.shape[0] != labels.shape[0] or not products.size:
        raise ValueError(
            f"{products.shape[0]} lines are matched, {labels.shape[0]} labelled; expected as "
            "many of both, and at least one"
        )
    right = products[:, :TOP, None] == labels[:, None, :]
    right_heading = _headings(products)[:, :TOP, None] == _headings(labels)[:, None, :]
    named = pd.notna(products[:, 1:TOP, None])  # only a first place without a product says "none"
    right[:, 1:] &= named
    right_heading[:, 1:] &= named
    return Accuracy(
        lines=products.shape[0],
        subheading_top1=float(right[:, 0].any(axis=1).mean()),
        subheading_top5=float(right.any(axis=(1, 2)).mean()),
        heading_top1=float(right_heading[:, 0].any(axis=1).mean()),
        heading_top5=float(right_heading.any(axis=(1, 2)).mean()),
    )


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Candidate products of one line, by code, with score and largest cosine; shape (k,) each."""

    products: Names
    scores: Floats
    closest: Floats


def _neighbours(
    lines: Sequence[str], index: Index, embed: Embed, neighbours: int
) -> Iterator[tuple[Ints, Floats]]:
    """Yield for each line the most similar texts but its own, and their cosines, all above 0."""
    own: dict[str, list[int]] = defaultdict(list)
    for text, source in enumerate(index.sources):
        own[source].append(text)
    count = min(neighbours, index.products.size)
    for start in range(0, len(lines), LINES):
        block = list(lines[start : start + LINES])
        for line, cosines in zip(block, _dense(embed(block) @ index.vectors.T), strict=True):
            if line:
                cosines[own.get(line, [])] = 0.0
            texts = np.argpartition(-cosines, count - 1)[:count] if count else np.empty(0, np.int64)
            texts = texts[cosines[texts] > 0]
            yield texts, cosines[texts]


def _closest(products: Names, cosines: Floats) -> tuple[Names, Floats]:
    """Return the distinct products, by code, and the largest cosine of each."""
    distinct, place = np.unique(products, return_inverse=True)
    largest = np.zeros(distinct.size)
    np.maximum.at(largest, place, cosines)
    return distinct, largest


def _matches(ranked: Sequence[_Ranked], top: int) -> Matches:
    products = np.full((len(ranked), max(top, 2)), None, np.object_)
    scores = np.zeros(products.shape)
    similarity = np.zeros(len(ranked))
    for line, candidates in enumerate(ranked):
        order = np.argsort(-candidates.scores, kind="stable")
        order = order[candidates.scores[order] > 0][: products.shape[1]]
        products[line, : order.size] = candidates.products[order]
        scores[line, : order.size] = candidates.scores[order]
        similarity[line] = candidates.closest[order[0]] if order.size else 0.0
    return Matches(products, scores, similarity)


def _dense(matrix: Vectors) -> Floats:
    dense = matrix.toarray() if hasattr(matrix, "toarray") else matrix
    return np.asarray(dense, dtype=np.float64)


def _names(values: Iterable[str]) -> Names:
    return np.array(list(values), dtype=np.object_)


def _headings(codes: Names) -> Names:
    heads = [code if code is None else str(code)[:HEADING] for code in codes.flat]
    return np.array(heads, dtype=np.object_).reshape(codes.shape)
