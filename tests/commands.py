"""Running `oneglance` commands against the application of a test, without a socket."""

from collections.abc import Callable
from functools import partial

import httpx
import pytest

import service.client
from benchmarks.asgi import AsgiTransport
from service import cli
from service.client import Client
from tests.conftest import Api

Run = Callable[..., list[str]]


class Through(AsgiTransport):
    """To the application, with every request kept; answers what `instead` gives in its place."""

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self.requests: list[httpx.Request] = []
        self.instead: Callable[[httpx.Request], httpx.Response | None] = lambda _: None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.instead(request) or super().handle_request(request)


def all_through(api: Api, patched: pytest.MonkeyPatch) -> Through:
    """What takes the commands' requests to the application from now on."""
    transport = Through(api)
    patched.setattr(service.client, "Client", partial(Client, transport=transport))
    return transport


def runner(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command; the lines of its answer, or with fails=True the one line of its refusal."""

    def run(*words: object, fails: bool = False) -> list[str]:
        status = cli.main([str(word) for word in words])
        said = capsys.readouterr()
        assert status == int(fails), said.err
        if not fails:
            assert said.err == ""
            return said.out.splitlines()
        (line,) = said.err.splitlines()
        assert line.startswith("oneglance: ")
        return [line]

    return run
