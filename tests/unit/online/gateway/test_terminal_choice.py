"""Which terminal is opened, and with what it is logged in."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from online.domain.errors import InvalidSettings, Unavailable
from online.gateway.terminal_choice import RealTerminal, SimulatedChoice, open_terminal
from tests.ports import free_port

pytestmark = pytest.mark.lean


class Package(ModuleType):
    """What of the MetaTrader5 package a connection needs."""

    def __init__(self, *, answers: bool = True) -> None:
        super().__init__("MetaTrader5")
        self.answers = answers
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]] | str] = []

    def initialize(self, *path: str, **login: object) -> bool:
        self.calls.append((path, login))
        return self.answers

    def shutdown(self) -> None:
        self.calls.append("shutdown")

    def last_error(self) -> tuple[int, str]:
        return -6, "Terminal: Authorization failed"


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Package:
    made = Package()
    monkeypatch.setitem(sys.modules, "MetaTrader5", made)
    return made


def test_a_real_terminal_is_logged_in_with_all_that_is_told(
    package: Package, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("secret\n")
    told = RealTerminal(
        path="C:/terminal64.exe",
        login=7,
        server="Broker-Demo",
        password_file=str(tmp_path / "password"),
        portable=True,
        login_timeout_milliseconds=5_000,
    )
    assert open_terminal(told) is package  # type: ignore[comparison-overlap]  # stands for it
    login = {"timeout": 5_000, "login": 7, "server": "Broker-Demo", "password": "secret"}
    assert package.calls == ["shutdown", (("C:/terminal64.exe",), {**login, "portable": True})]


def test_what_is_not_told_is_left_to_the_terminal(package: Package) -> None:
    open_terminal(RealTerminal())
    assert package.calls == ["shutdown", ((), {"timeout": 60_000})]


def test_a_terminal_that_refuses_the_login_is_told_in_its_own_words(package: Package) -> None:
    package.answers = False
    with pytest.raises(Unavailable, match=r"Authorization failed \(-6\)") as caught:
        open_terminal(RealTerminal())
    assert caught.value.code == "TERMINAL_UNAVAILABLE"


def test_the_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "MetaTrader5", None)
    with pytest.raises(InvalidSettings, match="MetaTrader5 package is not installed"):
        open_terminal(RealTerminal())


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xff"], ids=["absent", "no text"])
def test_a_password_that_cannot_be_read_opens_nothing(
    package: Package, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidSettings, match="password_file"):
        open_terminal(RealTerminal(login=7, password_file=str(file)))
    assert package.calls == ["shutdown"]


def test_a_simulated_terminal_that_does_not_listen_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        open_terminal(SimulatedChoice(port=free_port()))
