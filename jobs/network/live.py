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
from pathlib import Path
from typing import Any

import openai
from openai.types.chat import ChatCompletion

from conf.problem import Problem
from jobs.network.recordings import answers_in
from jobs.progress import say

KEY = "OPENAI_API_KEY"
OPENAI = "https://api.openai.com"
TRIES = 6
"""Requests for one question; waits between them double from a second, to half a minute at most."""
LONGEST_WAIT = 30.0
LONGEST_ASKED_WAIT = 300.0
"""Seconds of a Retry-After that are waited for; longer, and the run stops and says so."""
EVERY = 15.0
"""Seconds between lines of progress."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question to be answered once: its key, as in `responses`, and its chat messages."""

    material: str
    input: str
    replicate: int
    prompt_version: str
    nomenclature: str
    messages: Any

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What makes two questions the same."""
        return self.material, self.input, self.replicate, self.prompt_version


@dataclass
class Saved:
    """Answers on disk, a line each; safe to use from several threads, and to kill at any time."""

    path: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self) -> list[dict[str, Any]]:
        """Return all whole answers; a torn last line is what a kill leaves."""
        if not self.path.is_file():
            return []
        text = self.path.read_text(encoding="utf-8")
        return list(answers_in(text, str(self.path), torn_end=True))

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
class Endpoint:
    """An OpenAI-compatible service, as one run uses it.

    max_requests: requests after which nothing more is asked, repeated ones included.
    sleep: waits between tries; replaced in tests.
    """

    url: str
    model: str
    concurrency: int
    max_requests: int
    timeout_s: float
    sleep: Callable[[float], object] = time.sleep
    requests: int = 0
    tokens: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)

    def ask(self, questions: Iterable[Question], saved: Saved) -> int:
        """Ask what is not saved yet, save every answer, and return how many are still open.

        Raises:
            Problem: the key is missing or refused, the model unknown, or a question was not
                answered in `TRIES` requests. What was answered before is saved.
        """
        done = {
            (row["material"], row["input"], row["replicate"], row["prompt_version"])
            for row in saved.read()
        }
        todo = [question for question in questions if question.key not in done]
        if not todo:
            return 0
        left = len(todo)
        with self._client() as client, ThreadPoolExecutor(self.concurrency) as pool:
            futures = [pool.submit(self._answered, client, question, saved) for question in todo]
            while futures:
                finished, waiting = wait(futures, timeout=EVERY, return_when=FIRST_EXCEPTION)
                fault = next((f.exception() for f in finished if f.exception()), None)
                if fault is not None:
                    pool.shutdown(wait=True, cancel_futures=True)
                    raise fault
                left -= sum(future.result() for future in finished)
                futures = list(waiting)
                say(
                    f"  {len(todo) - left:,} of {len(todo):,} questions answered, "
                    f"{self.requests:,} of at most {self.max_requests:,} requests, "
                    f"{self.tokens:,} tokens"
                )
        return left

    def _client(self) -> openai.OpenAI:
        key = os.environ.get(KEY)
        if not key and self.url.startswith(OPENAI):
            raise Problem(f"--answers live needs the key of the service in {KEY} (environment).")
        return openai.OpenAI(
            api_key=key or "none", base_url=self.url, max_retries=0, timeout=self.timeout_s
        )

    def _answered(self, client: openai.OpenAI, question: Question, saved: Saved) -> bool:
        """Ask one question; a fault that stays lets no other thread ask another."""
        try:
            return self._one(client, question, saved)
        except BaseException:
            self._stop.set()
            raise

    def _one(self, client: openai.OpenAI, question: Question, saved: Saved) -> bool:
        """Ask one question until it is answered; False where the budget or a fault ended it."""
        for attempt in range(1, TRIES + 1):
            if not self._may_ask():
                return False
            try:
                model, text = self._request(client, question)
            except _Again as fault:
                if attempt == TRIES:
                    raise Problem(
                        f"{question.material}, {question.input}: no answer in {TRIES} tries; the "
                        f"last fault: {fault}. Run the same command again to go on."
                    ) from None
                backoff = min(2.0 ** (attempt - 1), LONGEST_WAIT) * random.uniform(0.5, 1.0)
                self.sleep(backoff if fault.wait is None else fault.wait)
                continue
            saved.add(
                {
                    "material": question.material,
                    "input": question.input,
                    "replicate": question.replicate,
                    "prompt_version": question.prompt_version,
                    "model": model,
                    "nomenclature": question.nomenclature,
                    "text": text,
                    "asked_at": datetime.now(UTC).isoformat(timespec="seconds"),
                    "source": "live",
                }
            )
            return True
        return False

    def _may_ask(self) -> bool:
        with self._lock:
            if self._stop.is_set() or self.requests >= self.max_requests:
                return False
            self.requests += 1
            return True

    def _request(self, client: openai.OpenAI, question: Question) -> tuple[str, str]:
        """Return model and text of the answer to one request."""
        try:
            found = client.chat.completions.create(model=self.model, messages=question.messages)
        except openai.APITimeoutError:
            raise _Again(f"no answer within {self.timeout_s:g} s") from None
        except openai.APIConnectionError:
            raise _Again("the connection failed or broke off") from None
        except openai.APIStatusError as error:
            raise _of_status(error, self) from None
        except (openai.APIError, ValueError):
            raise _Again("the answer is not JSON") from None
        return self._checked(found)

    def _checked(self, found: Any) -> tuple[str, str]:
        if not isinstance(found, ChatCompletion):
            raise _Again("the answer is not a chat completion")
        if not found.choices:
            raise _Again("the answer has no choices")
        model, text = completion(found.model_dump())
        if not is_of_model(model, self.model):
            raise Problem(
                f"--model: the endpoint answered with {model!r}, asked for {self.model!r}; "
                "its answers are not kept. Name the model it has."
            )
        with self._lock:
            self.tokens += found.usage.total_tokens if found.usage else 0
        return model, text


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
            "check --model and --endpoint."
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
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def batch_lines(questions: Sequence[Question], model: str) -> str:
    """Return the questions as JSON lines of the batch interface."""
    return "".join(
        json.dumps(
            {
                "custom_id": "|".join(map(str, (*one.key, one.nomenclature))),
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {"model": model, "messages": one.messages},
            },
            ensure_ascii=False,
        )
        + "\n"
        for one in questions
    )


def batch_answers(text: str, where: str, model: str) -> tuple[list[dict[str, Any]], int]:
    """Return the answers in JSON lines of a batch's output, and how many lines have none."""
    answers, failed = [], 0
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            row = json.loads(line)
            key, product, replicate, version, nomenclature = row["custom_id"].split("|")
            body = (row.get("response") or {}).get("body") or {}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Problem(
                f"{where}, line {number}: not a line of a batch of this pipeline: {line[:60]!r}."
            ) from None
        try:
            found, said = completion(body)
        except _Again:
            failed += 1
            continue
        if not is_of_model(found, model):
            raise Problem(f"{where}, line {number}: answered by {found!r}, asked for {model!r}.")
        created = body.get("created")
        answers.append(
            {
                "material": key,
                "input": product,
                "replicate": int(replicate),
                "prompt_version": version,
                "model": found,
                "nomenclature": nomenclature,
                "text": said,
                "asked_at": datetime.fromtimestamp(created, UTC).isoformat() if created else None,
                "source": "batch",
            }
        )
    return answers, failed
