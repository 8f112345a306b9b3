"""Embeddings of texts beside tf-idf: an OpenAI-compatible endpoint, or a folder with a model.

A vector is asked for once: those of an endpoint are kept in the warehouse, each as it arrives.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from conf.problem import Problem
from conf.settings import EMBEDDING, FOLDER, Settings
from jobs.network.live import Endpoint, Floats, endpoint_of, needs_local_disk, used_up
from jobs.progress import say
from udfs.matching import Embed, TextEmbedding, Vectors

SAVED_VECTORS = "answers/vectors.sqlite"
PACKAGE = "sentence-transformers"
TEXTS_A_QUERY = 500
"""SQLite allows some thousand variables."""

Embedding = Callable[[str, Sequence[str], Sequence[str]], Embed]
"""Name, texts whose product is known, lines to be matched -> an embedding for both."""


def offline(name: str, known: Sequence[str], _: Sequence[str]) -> Embed:
    """Return tf-idf, which learns its words from the texts whose product is known."""
    if name != "tfidf":
        raise Problem(f"The embedding {name!r} is not one of words; expected tfidf.")
    return TextEmbedding.fit(known)


@dataclass
class VectorStore:
    """Vectors on disk, by source and text; safe to use from several threads, and to kill."""

    path: Path

    def read(self, source: str, texts: Sequence[str]) -> dict[str, Floats]:
        """Return the vectors that are there."""
        found: dict[str, Floats] = {}
        with closing(self._open()) as base:
            for start in range(0, len(texts), TEXTS_A_QUERY):
                part = list(texts[start : start + TEXTS_A_QUERY])
                marks = ",".join("?" * len(part))
                rows = base.execute(
                    f"select text, vector from vectors where source = ? and text in ({marks})",
                    [source, *part],
                )
                found |= {text: np.frombuffer(vector, "<f4") for text, vector in rows}
        return found

    def add(self, source: str, texts: Sequence[str], vectors: Floats) -> None:
        """Keep the vectors of some texts; on return they are on the disk."""
        rows = zip(texts, np.asarray(vectors, "<f4"), strict=True)
        with closing(self._open()) as base, base:
            base.executemany(
                "insert or ignore into vectors values (?, ?, ?)",
                [(source, text, vector.tobytes()) for text, vector in rows],
            )

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        base = sqlite3.connect(self.path, timeout=60)
        base.execute(
            "create table if not exists vectors "
            "(source text, text text, vector blob, primary key (source, text)) without rowid"
        )
        return base


@dataclass
class EndpointEmbedding:
    """Texts to unit vectors by a service; what was asked once is read from the store."""

    endpoint: Endpoint
    store: VectorStore
    settings: Settings
    _known: dict[str, Floats] = field(default_factory=dict)

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """Return unit rows, shape (n texts, n features)."""
        self.fetch(texts)
        rows = [self._known[text] for text in texts]
        features = next((vector.size for vector in self._known.values()), 0)
        return _unit(np.array(rows, np.float32).reshape(len(rows), features))

    def fetch(self, texts: Sequence[str]) -> None:
        """Ask for the vectors that are not kept yet."""
        source = f"{self.endpoint.url} {self.endpoint.model}"
        wanted = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known |= self.store.read(source, wanted)
        missing = [text for text in wanted if text not in self._known]
        if missing:
            say(f"  {len(missing):,} texts have no vector of {self.endpoint.model} yet")
            left = self.endpoint.embed(
                missing, lambda part, vectors: self.store.add(source, part, vectors)
            )
            if left:
                raise used_up(self.settings, f"{left:,} requests for vectors", "--matcher tfidf")
            self._known |= self.store.read(source, missing)
        lengths = sorted({vector.size for vector in self._known.values()})
        if len(lengths) > 1:
            raise Problem(
                f"The vectors of {self.endpoint.model} have {' and '.join(map(str, lengths))} "
                f"numbers; the service changed. Delete {self.store.path} and run again."
            )


def folder_embedding(folder: str | None) -> Embed:
    """Return the embedding of a folder that sentence-transformers saved.

    Raises:
        Problem: no folder is given, it is none, or the package is not installed.
    """
    if folder is None:
        raise Problem(f"{FOLDER} needs --embedding-folder with the folder of a model.")
    if not Path(folder).is_dir():
        raise Problem(f"--embedding-folder: {folder} is not a folder.")
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise Problem(
            f"{FOLDER} needs the package {PACKAGE}, which is not installed: "
            f".venv/bin/python -m pip install {PACKAGE}"
        ) from None
    try:
        model = SentenceTransformer(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise Problem(
            f"--embedding-folder: {folder} holds no model that {PACKAGE} can read: {error}"
        ) from None
    features = int(model.get_sentence_embedding_dimension())

    def embed(texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.zeros((0, features), np.float32)
        found = model.encode(list(texts), convert_to_numpy=True, show_progress_bar=False)
        return _unit(np.asarray(found, np.float32))

    return embed


def embedding(settings: Settings, store: VectorStore | None) -> Embedding:
    """Return how embeddings are made by name: tfidf, embedding:MODEL or sentence-transformers."""
    made: dict[str, Any] = {}

    def of(name: str, known: Sequence[str], lines: Sequence[str]) -> Embed:
        if name == FOLDER:
            folder = settings.network.embedding_folder
            found: Embed = made.get(name) or folder_embedding(folder)
            made[name] = found
            return found
        if not name.startswith(EMBEDDING):
            return offline(name, known, lines)
        if store is None:
            raise needs_local_disk(settings, f"--matcher {name}")
        if name not in made:
            model = name.removeprefix(EMBEDDING)
            made[name] = EndpointEmbedding(endpoint_of(settings, model), store, settings)
        made[name].fetch([*known, *lines])
        found = made[name]
        return found

    return of


def folder_digest(settings: Settings) -> dict[str, str]:
    """Return file -> SHA-256 of the folder's model, where one is used."""
    network = settings.network
    used = FOLDER in (network.matcher, network.compared_matcher, network.neighbours_embedding)
    if not used or network.embedding_folder is None:
        return {}
    root, found = Path(network.embedding_folder), {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        found[f"embedding/{path.relative_to(root)}"] = digest
    return found


def _unit(rows: Floats) -> Vectors:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
