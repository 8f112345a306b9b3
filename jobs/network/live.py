"""Asking an OpenAI-compatible endpoint: patient, within a budget, and never twice for the same.

Every answer is saved as it arrives, one JSON object a line, so a run that was killed goes on where
it stopped. The key is read from the environment by the client and appears nowhere else: of a
refusal only its status is told, since some services repeat the key in the text.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import openai
from numpy.typing import NDArray
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion

from conf.problem import Problem
from conf.settings import Settings
from jobs.network.recordings import ANSWERS, LineForm, answers_in
from jobs.progress import say

T = TypeVar("T")
Floats = NDArray[np.floating[Any]]

KEY = "OPENAI_API_KEY"
OPENAI = "https://api.openai.com"
TRIES = 6
"""Requests for one question; waits between them double from a second, to half a minute at most."""
LONGEST_WAIT = 30.0
LONGEST_ASKED_WAIT = 300.0
"""Seconds of a Retry-After that are waited for; longer, and the run stops and says so."""
EVERY = 15.0
"""Seconds between lines of progress."""
TEXTS = 128
"""Texts in one request for vectors."""


class Asked(Protocol):
    """One question to be answered once."""

    @property
    def fields(self) -> Mapping[str, Any]:
        """All that is kept of the question with its answer."""

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes two questions the same."""

    @property
    def custom_id(self) -> str:
        """Its name in a batch."""

    @property
    def messages(self) -> Any:
        """The question as chat messages."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is made from a product? Its key, as in `responses`, and its chat messages."""

    material: str
    input: str
    replicate: int
    prompt_version: str
    nomenclature: str
    messages: Any

    @property
    def fields(self) -> Mapping[str, Any]:
        """All that is kept of the question with its answer."""
        names = (*ANSWERS.key, "nomenclature")
        return {name: getattr(self, name) for name in names}

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What makes two questions the same."""
        return self.material, self.input, self.replicate, self.prompt_version

    @property
    def custom_id(self) -> str:
        """Its name in a batch."""
        return "|".join(map(str, (*self.key, self.nomenclature)))


@dataclass
class Saved:
    """Answers on disk, a line each; safe to use from several threads, and to kill at any time."""

    path: Path
    form: LineForm = ANSWERS
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self) -> list[dict[str, Any]]:
        """Return all whole answers; a torn last line is what a kill leaves."""
        if not self.path.is_file():
            return []
        text = self.path.read_text(encoding="utf-8")
        return list(answers_in(text, str(self.path), torn_end=True, form=self.form))

    def keys(self) -> set[tuple[Any, ...]]:
        """Return the keys of the questions that have an answer."""
        return {tuple(row[name] for name in self.form.key) for row in self.read()}

    def add(self, answer: Mapping[str, Any]) -> None:
        """Append an answer; on return it is on the disk."""
        line = (json.dumps(answer, ensure_ascii=False) + "\n").encode()
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as lines:
                if lines.tell() and not _ends_whole(self.path):
                    lines.truncate(self.path.read_bytes().rfind(b"\n") + 1)
                lines.write(line)
                lines.flush()
                os.fsync(lines.fileno())


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as lines:
        lines.seek(-1, os.SEEK_END)
        return lines.read(1) == b"\n"


class _Again(Exception):
    """A fault that may pass: what it was, and how long the endpoint asks to wait."""

    def __init__(self, fault: str, wait: float | None = None) -> None:
        super().__init__(fault)
        self.wait = wait


@dataclass
class Spent:
    """Requests and tokens that a run has used, and what those with a price have cost in USD.

    Safe to use from several threads.
    """

    requests: int = 0
    tokens: int = 0
    cost: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, most: int) -> bool:
        """Count one more request if there may be one."""
        with self._lock:
            if self.requests >= most:
                return False
            self.requests += 1
            return True

    def count(self, usage: Any, prices: tuple[float, float] | None) -> None:
        """Count the tokens of an answer, of use or not, as far as the endpoint tells them.

        prices: USD for a million tokens asked and answered; None = not known.
        """
        asked, told, total = (
            getattr(usage, f"{name}_tokens", None) or 0
            for name in ("prompt", "completion", "total")
        )
        # The total may hold tokens of reasoning that are neither.
        answered = max(told, total - asked, 0)
        with self._lock:
            self.tokens += asked + answered
            if prices is not None:
                self.cost += (prices[0] * asked + prices[1] * answered) / 1e6


@dataclass
class Endpoint:
    """An OpenAI-compatible service, as one run uses it.

    max_requests: requests after which nothing more is asked, repeated ones included.
    sleep: waits between tries; replaced in tests.
    spent: what the run has used; one for all its endpoints.
    prices: USD for a million tokens asked and answered; None = not known.
    """

    url: str
    model: str
    concurrency: int
    max_requests: int
    timeout_s: float
    sleep: Callable[[float], object] = time.sleep
    spent: Spent = field(default_factory=Spent)
    prices: tuple[float, float] | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def requests(self) -> int:
        """Requests of the run so far."""
        return self.spent.requests

    @property
    def tokens(self) -> int:
        """Tokens of the run so far."""
        return self.spent.tokens

    def ask(self, questions: Iterable[Asked], saved: Saved) -> int:
        """Ask what is not saved yet, save every answer, and return how many are still open.

        Raises:
            Problem: the key is missing or refused, the model unknown, or a question was not
                answered in `TRIES` requests. What was answered before is saved.
        """
        done = saved.keys()
        todo = [question for question in questions if question.key not in done]
        work = [partial(self._answer, question=question, saved=saved) for question in todo]
        return self._all(work, "questions answered")

    def embed(self, texts: Sequence[str], keep: Callable[[Sequence[str], Floats], None]) -> int:
        """Ask for the vectors of distinct texts, and return how many requests are still open.

        keep: takes some texts and their vectors, shape (n texts, n features), as they arrive.

        Raises:
            Problem: as `ask`.
        """
        parts = [texts[n : n + TEXTS] for n in range(0, len(texts), TEXTS)]
        work = [partial(self._embed, texts=part, keep=keep) for part in parts]
        return self._all(work, f"times {TEXTS} texts have vectors")

    def _all(self, work: Sequence[Callable[[openai.OpenAI], bool]], done: str) -> int:
        """Do every piece of work, and return how many the budget left undone."""
        if not work:
            return 0
        left = len(work)
        with self._client() as client, ThreadPoolExecutor(self.concurrency) as pool:
            futures = [pool.submit(self._or_stop, client, piece) for piece in work]
            while futures:
                finished, waiting = wait(futures, timeout=EVERY, return_when=FIRST_EXCEPTION)
                fault = next((f.exception() for f in finished if f.exception()), None)
                if fault is not None:
                    pool.shutdown(wait=True, cancel_futures=True)
                    raise fault
                left -= sum(future.result() for future in finished)
                futures = list(waiting)
                say(
                    f"  {len(work) - left:,} of {len(work):,} {done}, "
                    f"{self.requests:,} of at most {self.max_requests:,} requests, "
                    f"{self.tokens:,} tokens"
                    + (f", {self.spent.cost:,.4f} USD" if self.prices else "")
                )
        return left

    def _client(self) -> openai.OpenAI:
        key = os.environ.get(KEY)
        if not key and self.url.startswith(OPENAI):
            raise Problem(f"{self.url} needs the key of the service in {KEY} (environment).")
        return openai.OpenAI(
            api_key=key or "none", base_url=self.url, max_retries=0, timeout=self.timeout_s
        )

    def _or_stop(self, client: openai.OpenAI, piece: Callable[[openai.OpenAI], bool]) -> bool:
        """Do one piece of work; a fault that stays lets no other thread begin another."""
        try:
            return piece(client)
        except BaseException:
            self._stop.set()
            raise

    def _answer(self, client: openai.OpenAI, *, question: Asked, saved: Saved) -> bool:
        """Ask one question; False where the budget or another's fault ended it."""
        what = ", ".join(map(str, question.key[:2]))
        reply = self._patiently(partial(self._completion, client, question.messages), what)
        if reply is None:
            return False
        model, text = reply
        asked_at = datetime.now(UTC).isoformat(timespec="seconds")
        answer = {"model": model, "text": text, "asked_at": asked_at, "source": "live"}
        saved.add({**question.fields, **answer})
        return True

    def _embed(
        self,
        client: openai.OpenAI,
        *,
        texts: Sequence[str],
        keep: Callable[[Sequence[str], Floats], None],
    ) -> bool:
        """Ask for the vectors of some texts; False where the budget or another's fault ended it."""
        vectors = self._patiently(partial(self._vectors, client, texts), f"{len(texts)} texts")
        if vectors is None:
            return False
        keep(texts, vectors)
        return True

    def _patiently(self, request: Callable[[], T], what: str) -> T | None:
        """Request until there is an answer; None where the budget or a fault ended it."""
        for attempt in range(1, TRIES + 1):
            if self._stop.is_set() or not self.spent.take(self.max_requests):
                return None
            try:
                return self._request(request)
            except _Again as fault:
                if attempt == TRIES:
                    raise Problem(
                        f"{what}: no answer in {TRIES} tries; the last fault: {fault}. "
                        "Run the same command again to go on."
                    ) from None
                backoff = min(2.0 ** (attempt - 1), LONGEST_WAIT) * random.uniform(0.5, 1.0)
                self.sleep(backoff if fault.wait is None else fault.wait)
        return None

    def _request(self, request: Callable[[], T]) -> T:
        """Return the answer to one request, or raise what kind of fault it met."""
        try:
            return request()
        except openai.APITimeoutError:
            raise _Again(f"no answer within {self.timeout_s:g} s") from None
        except openai.APIConnectionError:
            raise _Again("the connection failed or broke off") from None
        except openai.APIStatusError as error:
            raise _of_status(error, self) from None
        except (openai.APIError, ValueError):
            raise _Again("the answer is not JSON") from None

    def _completion(self, client: openai.OpenAI, messages: Any) -> tuple[str, str]:
        """Return model and text of a chat completion."""
        found: Any = client.chat.completions.create(model=self.model, messages=messages)
        if not isinstance(found, ChatCompletion):
            raise _Again("the answer is not a chat completion")
        self.spent.count(found.usage, self.prices)
        if not found.choices:
            raise _Again("the answer has no choices")
        model, text = completion(found.model_dump())
        self._check_model(model)
        return model, text

    def _vectors(self, client: openai.OpenAI, texts: Sequence[str]) -> Floats:
        """Return the vectors of texts, in their order."""
        found: Any = client.embeddings.create(
            model=self.model, input=list(texts), encoding_format="float"
        )
        if not isinstance(found, CreateEmbeddingResponse):
            raise _Again("the answer is not a list of embeddings")
        self.spent.count(found.usage, self.prices)
        vectors = embedded([(one.index, one.embedding) for one in found.data or []], len(texts))
        self._check_model(found.model or "")
        return vectors

    def _check_model(self, model: str) -> None:
        if not is_of_model(model, self.model):
            raise Problem(
                f"The endpoint answered with {model!r}, asked for {self.model!r}; its answers are "
                "not kept. Name the model it has (--model, or after embedding:)."
            )


def embedded(rows: Sequence[tuple[int, Sequence[float]]], texts: int) -> Floats:
    """Return the vectors of an answer by place, shape (texts, n features), or raise its fault."""
    if sorted(place for place, _ in rows) != list(range(texts)):
        raise _Again(f"the answer has {len(rows)} vectors for {texts} texts")
    by_place = [vector for _, vector in sorted(rows, key=lambda row: row[0])]
    if len({len(vector) for vector in by_place}) != 1:
        raise _Again("the vectors differ in length")
    vectors = np.array(by_place, np.float32)
    if not vectors.size or not np.isfinite(vectors).all() or not vectors.any(axis=1).all():
        raise _Again("a vector is empty, zero or not finite")
    return vectors


_latest: tuple[Settings, Spent] | None = None


def endpoint_of(settings: Settings, model: str | None = None) -> Endpoint:
    """Return the endpoint of the settings; all that is asked in a run counts into one budget.

    A run is known by its settings, the object itself.
    """
    global _latest
    if _latest is None or _latest[0] is not settings:
        _latest = settings, Spent()
    network = settings.network
    asked, answered = network.price_asked, network.price_answered
    if (asked is None) != (answered is None):
        raise Problem("--price-asked and --price-answered go together; give both or none.")
    # They are those of the model that answers, not of one for embeddings.
    known = asked is not None and answered is not None and model is None
    prices = (asked, answered) if known else None
    return Endpoint(
        network.endpoint,
        model or network.model,
        network.concurrency,
        network.max_requests,
        network.timeout_s,
        spent=_latest[1],
        prices=prices,
    )


def used_up(settings: Settings, left: str, instead: str) -> Problem:
    """Return the error that ends a run whose budget is spent; another may follow it."""
    global _latest
    _latest = None
    return Problem(
        f"--max-requests {settings.network.max_requests} is used up with {left} open; what was "
        f"answered is saved. Run the same command again to go on, or use {instead} to go on with "
        "what there is."
    )


def completion(body: Mapping[str, Any]) -> tuple[str, str]:
    """Return model and text of a chat completion, or raise what it lacks."""
    choice = (body.get("choices") or [{}])[0]
    text = ((choice.get("message") or {}).get("content") or "").strip()
    if choice.get("finish_reason") == "length":
        raise _Again("the answer was cut off at its longest")
    if not text:
        raise _Again("the answer is empty")
    return str(body.get("model") or ""), text


def is_of_model(found: str, asked: str) -> bool:
    """Return whether a service's name for a model is the one asked for, dated or not."""
    return found == asked or found.startswith(f"{asked}-")


def _of_status(error: openai.APIStatusError, endpoint: Endpoint) -> Exception:
    """Return what a status other than 200 means: try again, or a fault that stays."""
    status = error.status_code
    if status in (408, 409, 429) or status >= 500:
        wait = _retry_after(error.response.headers.get("retry-after"))
        if wait is not None and wait > LONGEST_ASKED_WAIT:
            return Problem(
                f"The endpoint asks to wait {wait:.0f} s (status {status}); run the same command "
                "again then. What was answered is saved."
            )
        return _Again(f"status {status}", wait)
    if status in (401, 403):
        return Problem(f"The endpoint refused the key (status {status}); check {KEY}.")
    if status == 404:
        return Problem(
            f"The endpoint has no model {endpoint.model!r}, or its address is wrong (status 404); "
            "check --endpoint and the model's name (--model, or after embedding:)."
        )
    return Problem(f"The endpoint refused the question (status {status}).")


def _retry_after(value: str | None) -> float | None:
    """Return seconds to wait, from a Retry-After in seconds or as a date."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)  # "-0000" is a date without a zone
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def needs_local_disk(settings: Settings, what: str) -> Problem:
    """Return the error for asking into a warehouse where answers cannot be saved as they come."""
    return Problem(
        f"{what} needs a warehouse on a local disk, where answers are saved as they arrive; "
        f"{settings.warehouse} is not. Ask into a local warehouse, make a recording with `record`, "
        "give it with --recordings."
    )


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of a batch: the name of its question, model, text, and when (ISO 8601)."""

    custom_id: str
    model: str
    text: str
    asked_at: str | None


def batch_lines(questions: Sequence[Asked], model: str) -> str:
    """Return the questions as JSON lines of the batch interface."""
    return "".join(
        json.dumps(
            {
                "custom_id": one.custom_id,
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {"model": model, "messages": one.messages},
            },
            ensure_ascii=False,
        )
        + "\n"
        for one in questions
    )


def write_batch(questions: Sequence[Asked], model: str, target: Path) -> None:
    """Write the questions of a batch; the file appears whole, or is not there without questions."""
    if not questions:
        target.unlink(missing_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial_file = target.with_suffix(".partial")
    partial_file.write_text(batch_lines(questions, model), encoding="utf-8")
    partial_file.replace(target)


def batch_replies(text: str, where: str, model: str) -> tuple[list[Reply], int]:
    """Return the answers in JSON lines of a batch's output, and how many lines have none."""
    replies, failed = [], 0
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            row = json.loads(line)
            name = str(row["custom_id"])
            body = (row.get("response") or {}).get("body") or {}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise _no_batch_line(where, number, line) from None
        try:
            found, said = completion(body)
        except _Again:
            failed += 1
            continue
        if not is_of_model(found, model):
            raise Problem(f"{where}, line {number}: answered by {found!r}, asked for {model!r}.")
        created = body.get("created")
        asked_at = datetime.fromtimestamp(created, UTC).isoformat() if created else None
        replies.append(Reply(name, found, said, asked_at))
    return replies, failed


def batch_answers(text: str, where: str, model: str) -> tuple[list[dict[str, Any]], int]:
    """Return the answers to a batch of `Question`s, and how many lines have none."""
    answers = []
    replies, failed = batch_replies(text, where, model)
    for number, reply in enumerate(replies, start=1):
        try:
            key, product, replicate, version, nomenclature = reply.custom_id.split("|")
            question = Question(key, product, int(replicate), version, nomenclature, None)
        except ValueError:
            raise _no_batch_line(where, number, reply.custom_id) from None
        answers.append(
            {
                **question.fields,
                "model": reply.model,
                "text": reply.text,
                "asked_at": reply.asked_at,
                "source": "batch",
            }
        )
    return answers, failed


def _no_batch_line(where: str, number: int, line: str) -> Problem:
    return Problem(
        f"{where}, line {number}: not a line of a batch of this pipeline: {line[:60]!r}."
    )
