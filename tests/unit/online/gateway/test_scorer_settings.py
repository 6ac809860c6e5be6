"""The scorer's settings of a gateway, and the gateway's own file."""

from __future__ import annotations

from pathlib import Path

import pytest

from online.adapters.gateway_broker import GatewayBroker
from online.app import compose
from online.domain.errors import InvalidSettings
from online.gateway.certificates import issue
from online.gateway.settings import RungAction, load_gateway_settings
from online.gateway.terminal_choice import RealTerminal
from online.settings import load_settings

pytestmark = pytest.mark.lean

TLS = """
[tls]
authority = "certificates/authority.pem"
certificate = "certificates/gateway.pem"
key = "certificates/gateway.key"
"""


def environment(folder: Path, mode: str) -> dict[str, str]:
    return {
        "SEXTANT_MODE": mode,
        "SEXTANT_BROKER__KIND": "gateway",
        "SEXTANT_BROKER__HOST": "127.0.0.1",
        "SEXTANT_BROKER__AUTHORITY": str(folder / "authority.pem"),
        "SEXTANT_BROKER__CERTIFICATE": str(folder / "scorer.pem"),
        "SEXTANT_BROKER__KEY": str(folder / "scorer.key"),
        "SEXTANT_JOURNAL__PATH": str(folder / "journal.db"),
        "SEXTANT_MODELS__ROOT": str(folder / "bundles"),
    }


def test_scorer_told_of_a_gateway_trades_through_it(tmp_path: Path) -> None:
    issue(tmp_path, ["127.0.0.1"])
    scorer, _ = compose(load_settings(environment=environment(tmp_path, "paper")))
    assert isinstance(scorer.parts.broker.inner.inner, GatewayBroker)  # type: ignore[attr-defined]  # timed, guarded
    assert scorer.parts.simulation is None


def test_scorer_whose_certificates_are_missing_does_not_start(tmp_path: Path) -> None:
    settings = load_settings(environment=environment(tmp_path, "paper"))
    with pytest.raises(InvalidSettings, match=r"TLS files are absent: .*scorer\.pem") as absent:
        compose(settings)
    assert "sextant gateway certs" in absent.value.remedy
    for name in ("authority.pem", "scorer.pem", "scorer.key"):
        (tmp_path / name).write_text("no certificate")
    with pytest.raises(InvalidSettings, match=r"TLS files .* cannot be used"):
        compose(settings)


def test_replay_refuses_a_gateway(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="simulated market"):
        load_settings(environment=environment(tmp_path, "replay"))


def test_gateway_reads_its_file_and_finds_paths_beside_it(tmp_path: Path) -> None:
    text = """
    state = "state"
    symbols = {EURUSD = "EURUSD.m"}
    ladder = [{after_seconds = 5.0, action = "flatten"}]
    server_time = {offset_hours = 2, daylight_saving = "america"}
    [terminal]
    kind = "metatrader5"
    login = 7
    server = "Demo"
    password_file = "secrets/password"
    """
    (tmp_path / "gateway.toml").write_text(text + TLS)
    settings = load_gateway_settings(tmp_path / "gateway.toml")
    assert settings.state == tmp_path / "state"
    assert settings.tls.key == tmp_path / "certificates" / "gateway.key"
    assert settings.ladder[0].action is RungAction.FLATTEN
    assert isinstance(settings.terminal, RealTerminal)
    assert settings.terminal.password_file == str(tmp_path / "secrets" / "password")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("call_timeout = 3", "call_timeout"),
        ("call_timeout_seconds = -1.0", "call_timeout_seconds"),
        ("absence_seconds = -1.0", "absence_seconds"),
        ('[terminal]\npath = "C:\\Program Files\\terminal64.exe"', "single quotes"),
        ("rules = {symbols = {XAUUSX = {collar_points = 900.0}}}", "XAUUSX"),
        ("rules = {symbols = {XAUUSD = {collar_point = 900.0}}}", "collar_point"),
        ("rules = {symbols = {XAUUSD = {deviation_points = -1}}}", "XAUUSD"),
        ("terminal = {kind = 'mt4'}", "mt4"),
        ("ladder = [{after_seconds = 5.0, action = 'panic'}]", "panic"),
        (
            "ladder = [{after_seconds = 5, action = 'halt'}, {after_seconds = 1, action = 'halt'}]",
            "soonest first",
        ),
        ("symbols = {EURUSD = 'X', GBPUSD = 'X'}", "different names"),
        ("rules = {repriced_sends = 9}", "repriced_sends"),
        ("rules = {collar_points = -1.0}", "collar_points"),
        ("log_bytes = -1", "log_bytes"),
        ("log_bytes = 1000000000", "log_bytes"),
        ("= nothing", "gateway.toml"),
    ],
)
def test_gateway_refuses_a_file_with_a_fault_and_names_it(
    tmp_path: Path, line: str, named: str
) -> None:
    (tmp_path / "gateway.toml").write_text(f'state = "state"\n{line}\n{TLS}')
    with pytest.raises(InvalidSettings, match=named):
        load_gateway_settings(tmp_path / "gateway.toml")


@pytest.mark.parametrize(
    ("stated", "symbol", "expected"),
    [
        ("", "EURUSD", (10, 50.0)),
        ("", "GBPJPY", (23, 115.0)),
        ("", "XAUUSD", (300, 1500.0)),
        ("collar_points = 70.0", "XAUUSD", (300, 70.0)),
        ("deviation_points = 3", "NSXUSD", (3, 7500.0)),
        ("symbols = {XAUUSD = {collar_points = 900.0}}", "XAUUSD", (300, 900.0)),
    ],
)
def test_points_that_no_file_states_go_by_the_symbols_usual_spread(
    tmp_path: Path, stated: str, symbol: str, expected: tuple[int, float]
) -> None:
    (tmp_path / "gateway.toml").write_text(f'state = "state"\n[rules]\n{stated}\n{TLS}')
    rules = load_gateway_settings(tmp_path / "gateway.toml").rules.of(symbol)
    assert (rules.deviation_points, rules.collar_points) == expected


def test_gateway_without_its_file_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="cannot be read"):
        load_gateway_settings(tmp_path / "gateway.toml")
