"""What the tests of networks share."""

import pytest

from tests.jobs.network.endpoints import SECRET, Service


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    opened = []

    def start(script):
        opened.append(Service(script))
        return opened[-1]

    yield start
    for one in opened:
        one.close()
