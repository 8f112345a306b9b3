"""Files are fetched from a server as CEPII and the World Bank run one, with its bad days."""

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from conf.problem import Problem
from conf.settings import SAMPLE
from jobs.sources import fetch

ZIP = (SAMPLE / "BACI_HS92_V202601_raw_materials.zip").read_bytes()
SCORES = (SAMPLE / "wgi_political_stability.csv").read_bytes()
NAME, SCORE_NAME = "BACI_HS92_V202601.zip", "wgi.csv"
WORDS = ("hs92", "202601")


@dataclass
class Server:
    """What the server has, how many of its answers break off, and what it was asked."""

    files: dict = field(default_factory=lambda: {NAME: ZIP, SCORE_NAME: SCORES})
    tags: list = field(default_factory=lambda: ['"one"'])
    breaks: int = 0
    busy: int = 0
    asked: list = field(default_factory=list)
    ignores_if_range: bool = False

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name, part = request.path.lstrip("/"), request.headers.get("Range")
        self.asked.append((name, part))
        if self.busy:
            self.busy -= 1
            return request.send_error(503)
        if name not in self.files:
            return request.send_error(404)
        content, start = self.files[name], 0
        tag = self.tags.pop(0) if len(self.tags) > 1 else self.tags[0]
        if part and (self.ignores_if_range or request.headers["If-Range"] == tag):
            start = int(part.removeprefix("bytes=").removesuffix("-"))
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(content) - start))
        if tag:
            request.send_header("ETag", tag)
        request.end_headers()
        if self.breaks:
            self.breaks -= 1
            content = content[: start + (len(content) - start) // 2]
        request.wfile.write(content[start:])
        request.close_connection = True


@pytest.fixture
def server(monkeypatch):
    found = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            found.answer(self)

        def log_message(self, *_):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.handle_error = lambda *_: None  # a client that hangs up is part of the tests
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    for place in ("BACI", "WGI"):
        monkeypatch.setattr(fetch, place, f"http://127.0.0.1:{running.server_port}/{{name}}")
    monkeypatch.setattr(fetch, "WGI_FILE", SCORE_NAME)
    monkeypatch.setattr(fetch, "FIRST_PAUSE", 0.0)
    yield found
    running.shutdown()
    running.server_close()


def fetched(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files_are_fetched_once_and_the_command_to_use_them_is_said(server, tmp_path, capsys):
    fetch.fetch([*WORDS, str(tmp_path / "data")])
    assert fetched(tmp_path / "data") == {NAME: ZIP, SCORE_NAME: SCORES}
    zipped, scores = tmp_path / "data" / NAME, tmp_path / "data" / SCORE_NAME
    assert f"run --baci {zipped} --wgi {scores} --warehouse" in capsys.readouterr().out
    fetch.fetch([*WORDS, str(tmp_path / "data")])
    assert server.asked == [(NAME, None), (SCORE_NAME, None)]


def test_a_lost_connection_is_taken_up_where_it_broke(server, tmp_path):
    server.breaks = 2
    fetch.fetch([*WORDS, str(tmp_path)])
    assert fetched(tmp_path)[NAME] == ZIP
    half, most = len(ZIP) // 2, len(ZIP) // 2 + (len(ZIP) - len(ZIP) // 2) // 2
    assert server.asked[:3] == [(NAME, None), (NAME, f"bytes={half}-"), (NAME, f"bytes={most}-")]


@pytest.mark.parametrize("tags", [['"one"', '"two"'], [""], ['W/"weak"']])
def test_parts_of_two_versions_are_never_put_together(server, tmp_path, tags):
    server.breaks, server.tags = 1, tags
    fetch.fetch([*WORDS, str(tmp_path)])
    assert fetched(tmp_path)[NAME] == ZIP


def test_a_part_of_another_version_is_thrown_away_though_the_server_sends_it(server, tmp_path):
    server.breaks, server.tags, server.ignores_if_range = 1, ['"one"', '"two"'], True
    fetch.fetch([*WORDS, str(tmp_path)])
    assert fetched(tmp_path)[NAME] == ZIP


def test_a_call_goes_on_where_one_before_was_interrupted(server, tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    server.breaks = 1
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(fetch.time, "sleep", interrupt)
        fetch.fetch([*WORDS, str(tmp_path)])
    assert not (tmp_path / NAME).exists()
    fetch.fetch([*WORDS, str(tmp_path)])
    assert fetched(tmp_path) == {NAME: ZIP, SCORE_NAME: SCORES}
    assert server.asked[1] == (NAME, f"bytes={len(ZIP) // 2}-")


def test_many_lost_connections_do_no_harm_as_long_as_something_comes(server, tmp_path):
    server.breaks = 3 * fetch.ATTEMPTS
    fetch.fetch([*WORDS, str(tmp_path)])
    assert fetched(tmp_path)[NAME] == ZIP


def test_of_two_calls_for_one_folder_one_is_refused(server, tmp_path):
    with (
        fetch._alone(tmp_path),
        pytest.raises(Problem, match="Another fetch is writing to"),
    ):
        fetch.fetch([*WORDS, str(tmp_path)])
    assert server.asked == []


def test_a_zip_that_was_damaged_on_the_way_is_not_kept(server, tmp_path):
    content = bytearray(ZIP)
    content[len(ZIP) // 2] ^= 1
    server.files[NAME] = bytes(content)
    with pytest.raises(Problem, match=r"sent something else than expected: .*damaged"):
        fetch.fetch([*WORDS, str(tmp_path)])
    assert not list(tmp_path.rglob("*.zip"))


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.busy = fetch.ATTEMPTS - 1
    fetch.fetch([*WORDS, str(tmp_path)])
    assert fetched(tmp_path)[NAME] == ZIP


def test_a_server_that_stays_busy_is_a_sentence(server, tmp_path):
    server.busy = 100
    with pytest.raises(Problem, match=r"in 5 tries, the last time: 503 .* by hand from https://"):
        fetch.fetch([*WORDS, str(tmp_path)])
    assert not (tmp_path / NAME).exists()


def test_a_release_that_is_not_there_is_a_sentence_without_further_tries(server, tmp_path):
    with pytest.raises(Problem, match=r"BACI_HS92_V209912.zip: 404 Not Found. Look .*cepii"):
        fetch.fetch(["HS92", "209912", str(tmp_path)])
    assert len(server.asked) == 1


def test_a_page_in_place_of_a_file_is_not_kept(server, tmp_path):
    server.files[NAME] = b"<html>Under maintenance</html>"
    with pytest.raises(Problem, match=r"sent something else than expected: .* It is not kept"):
        fetch.fetch([*WORDS, str(tmp_path)])
    assert not list(tmp_path.rglob("*.zip"))


def test_a_damaged_file_that_is_there_is_named(server, tmp_path):
    (tmp_path / NAME).write_bytes(ZIP[:1000])
    with pytest.raises(Problem, match=rf"Delete .*{NAME} to fetch it again"):
        fetch.fetch([*WORDS, str(tmp_path)])
    assert server.asked == []


def test_too_little_room_is_said_before_anything_is_written(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(Problem, match=r"has 0.0 GB and .* 0.0 GB free; free some space"):
        fetch.fetch([*WORDS, str(tmp_path)])


def test_a_server_that_is_not_there_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(fetch, "BACI", "http://127.0.0.1:9/{name}")
    monkeypatch.setattr(fetch, "FIRST_PAUSE", 0.0)
    with pytest.raises(Problem, match="Connection refused"):
        fetch.fetch([*WORDS, str(tmp_path)])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["HS92"], "takes REVISION RELEASE"),
        (["HS93", "202601"], "found the HS revision 'HS93'.*HS92"),
        (["HS92", "2026"], "found the release '2026'; expected year and month"),
        (["HS92", "../../etc"], "found the release"),
    ],
)
def test_wrong_words_are_named(words, said):
    with pytest.raises(Problem, match=said):
        fetch.fetch(words)
