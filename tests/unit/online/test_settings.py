"""Settings: four layers, nothing unknown, nothing unsafe."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from online.domain.errors import InvalidSettings
from online.instruments import CONFIG_FOLDER
from online.settings import (
    FolderModelsSettings,
    MlflowModelsSettings,
    Settings,
    load_settings,
)
from online.settings_page import PAGE, render_settings, write_page
from tests.fakes import make_limits

pytestmark = pytest.mark.lean
TOKEN = "s3cret-" * 6
CERTIFIED = {"kind": "folder", "root": "bundles", "trust": "trusted"}
CHARGED = {"kind": "simulated", "commission_per_lot": 3.5}
MODES = ("replay", "paper", "live")


@pytest.fixture
def token(tmp_path: Path) -> Path:
    return write_token(tmp_path / "token", TOKEN)


def write_token(path: Path, text: str, mode: int = 0o600) -> Path:
    """Write a secret file."""
    path.write_text(text)
    path.chmod(mode)
    return path


def load(token: Path, mode: str | None = "paper", **variables: str) -> Settings:
    """Load settings with a token and the given variables."""
    environment = {"SEXTANT_TOKEN_FILE": str(token), "PATH": "/bin", **variables}
    return load_settings(mode, environment=environment)


@pytest.mark.parametrize("mode", MODES)
def test_every_modes_file_is_complete_and_safe(mode: str, token: Path) -> None:
    settings = load(token, mode)
    assert settings.mode == mode
    assert settings.http.host == "127.0.0.1"
    assert settings.read_token() == TOKEN
    assert (settings.clock.kind == "virtual") == (mode == "replay")


@pytest.mark.parametrize("mode", MODES)
def test_every_modes_file_refuses_to_start_without_its_token(mode: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="token_file"):
        load(tmp_path / "absent", mode).read_token()


def test_live_limits_are_never_wider_than_paper_ones(token: Path) -> None:
    live, paper = load(token, "live").limits, load(token, "paper").limits
    for name in (n for n in live.__struct_fields__ if n.startswith(("max_", "risk_"))):
        assert getattr(live, name) <= getattr(paper, name), name


def test_the_environment_is_above_the_file_and_secret_files_above_both(
    token: Path, tmp_path: Path
) -> None:
    assert load(token).strategy == 1
    assert load(token, SEXTANT_STRATEGY="7").strategy == 7
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "strategy").write_text("9\n")
    (secrets / "limits__max_spread_points").write_text("12.5")
    settings = load(token, SEXTANT_STRATEGY="7", SEXTANT_SECRETS_FOLDER=str(secrets))
    assert settings.strategy == 9
    assert settings.limits.max_spread_points == 12.5


def test_nested_variables_lists_and_small_letters_are_read(token: Path) -> None:
    settings = load(
        token,
        SEXTANT_HTTP__PORT="9000",
        sextant_limits__max_volume_lots="0.5",
        SEXTANT_LIMITS__ALLOWED_SYMBOLS='["EURUSD", "GBPUSD"]',
    )
    assert settings.http.port == 9000
    assert settings.limits.max_volume_lots == 0.5
    assert settings.limits.allowed_symbols == ("EURUSD", "GBPUSD")


def test_naming_another_kind_replaces_the_whole_table(token: Path) -> None:
    assert isinstance(load(token).models, FolderModelsSettings)
    settings = load(
        token, SEXTANT_MODELS__KIND="mlflow", SEXTANT_MODELS__URL="http://127.0.0.1:5000"
    )
    assert isinstance(settings.models, MlflowModelsSettings)


def test_one_address_of_a_server_replaces_the_other_below_it_and_both_at_once_are_refused(
    token: Path,
) -> None:
    url, path = "redis://cache:6379", "/run/valkey.sock"
    assert load(token).features.socket_path is not None
    features = load(token, SEXTANT_FEATURES__URL=url).features
    assert (features.url, features.socket_path) == (url, None)
    assert load(token, SEXTANT_FEATURES__SOCKET_PATH=path).features.socket_path == Path(path)
    with pytest.raises(InvalidSettings, match="exactly one of url and socket_path"):
        load(token, SEXTANT_FEATURES__URL=url, SEXTANT_FEATURES__SOCKET_PATH=path)


def test_the_mode_can_be_a_variable_and_is_never_guessed(token: Path) -> None:
    assert load(token, None, SEXTANT_MODE="replay").mode == "replay"
    for mode in (None, "", "production", "../paper"):
        with pytest.raises(InvalidSettings, match="mode must be"):
            load(token, mode)


@pytest.mark.parametrize(
    "name",
    [
        "SEXTANT_LIMIT__MAX_VOLUME_LOTS",
        "SEXTANT_LIMITS__MAX_VOLUME",
        "SEXTANT_HTTP__HOSTS",
        "SEXTANT_TYPO",
        "SEXTANT_BROKER__KIND__X",
    ],
)
def test_an_unknown_variable_refuses_to_start(token: Path, name: str) -> None:
    with pytest.raises(InvalidSettings):
        load(token, **{name: "1"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SEXTANT_HTTP__PORT", "x"),
        ("SEXTANT_HTTP__PORT", "70000"),
        ("SEXTANT_STRATEGY", "-1"),
        ("SEXTANT_JOURNAL__LOG_BYTES", "-1"),
        ("SEXTANT_JOURNAL__LOG_BYTES", "1000000000"),
        ("SEXTANT_BROKER__BALANCE", "nan"),
        ("SEXTANT_BROKER__BALANCE", "inf"),
        ("SEXTANT_BROKER__BALANCE", "0"),
        ("SEXTANT_FEATURES__TIMEOUT_SECONDS", "inf"),
        ("SEXTANT_LIMITS__MAX_VOLUME_LOTS", "nan"),
        ("SEXTANT_LIMITS__MAX_VOLUME_LOTS", "0"),
        ("SEXTANT_LIMITS__MAX_VOLUME_LOTS", "-1"),
        ("SEXTANT_LIMITS__MAX_CONSECUTIVE_LOSSES", "2.5"),
        ("SEXTANT_LIMITS__NEWS_IMPACT", "huge"),
        ("SEXTANT_LIMITS__ALLOWED_SYMBOLS", "[]"),
        ("SEXTANT_LIMITS__ALLOWED_SYMBOLS", "[EURUSD"),
        ("SEXTANT_CLOCK__KIND", "virtual"),
        ("SEXTANT_CLOCK__KIND", "sundial"),
        ("SEXTANT_MODEL__NAME", "../../etc"),
        ("SEXTANT_MODEL__ALIAS", "../champion"),
        ("SEXTANT_SECRETS_FOLDER", "/nowhere/at/all"),
    ],
)
def test_a_wrong_value_refuses_to_start(token: Path, name: str, value: str) -> None:
    with pytest.raises(InvalidSettings):
        load(token, **{name: value})


def test_the_system_clock_is_refused_in_a_replay(token: Path) -> None:
    with pytest.raises(InvalidSettings, match="virtual"):
        load(token, "replay", SEXTANT_CLOCK__KIND="system")


def test_a_fault_is_told_without_the_values_of_settings(token: Path) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load(token, SEXTANT_MODELS__KIND="mlflow", SEXTANT_MODELS__URL="ftp://user:hunter2@x")
    assert "models" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_limit_missing_from_the_file_refuses_to_start(token: Path, tmp_path: Path) -> None:
    text = (CONFIG_FOLDER / "paper.toml").read_text()
    for name in set(load(token).limits.__struct_fields__) - {"symbols"}:
        lines = (line for line in text.splitlines() if not line.startswith(name))
        (tmp_path / "paper.toml").write_text("\n".join(lines))
        with pytest.raises(InvalidSettings, match=name):
            load_settings(
                "paper", environment={"SEXTANT_TOKEN_FILE": str(token)}, config_folder=tmp_path
            )


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("max_volume_lot", "max_volume_lot = 1.0"),
        ("max_volume_lots", "max_volume_lots = -1.0"),
        ("max_notional", 'max_notional = "much"'),
    ],
)
def test_a_misspelt_negative_or_textual_limit_in_the_file_refuses_to_start(
    token: Path, tmp_path: Path, name: str, line: str
) -> None:
    lines = (CONFIG_FOLDER / "paper.toml").read_text().splitlines()
    kept = [each for each in lines if not each.startswith(f"{line.partition(' ')[0]} ")]
    kept.insert(kept.index("[limits]") + 1, line)
    (tmp_path / "paper.toml").write_text("\n".join(kept))
    with pytest.raises(InvalidSettings, match=name):
        load_settings(
            "paper", environment={"SEXTANT_TOKEN_FILE": str(token)}, config_folder=tmp_path
        )


def test_a_file_that_is_missing_or_no_toml_refuses_to_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="cannot be read"):
        load_settings("paper", environment={}, config_folder=tmp_path)
    (tmp_path / "paper.toml").write_text("= no")
    with pytest.raises(InvalidSettings, match="not TOML"):
        load_settings("paper", environment={}, config_folder=tmp_path)


def test_a_name_that_is_both_a_value_and_a_table_refuses_to_start(token: Path) -> None:
    for first, second in (("HTTP", "HTTP__PORT"), ("HTTP__PORT", "HTTP")):
        with pytest.raises(InvalidSettings, match="both"):
            load(token, **{f"SEXTANT_{first}": "1", f"SEXTANT_{second}": "1"})


@pytest.mark.parametrize(
    ("text", "mode", "named"),
    [
        ("short", 0o600, "at least 32"),
        ("x" * 31, 0o600, "at least 32"),
        ("x" * 20 + " " + "y" * 20, 0o600, "one word"),
        ("ü" * 40, 0o600, "ASCII"),
        (TOKEN, 0o644, "readable by everybody"),
    ],
)
def test_a_token_that_is_weak_or_open_refuses_to_start(
    tmp_path: Path, text: str, mode: int, named: str
) -> None:
    with pytest.raises(InvalidSettings, match=named):
        load(write_token(tmp_path / "token", text, mode)).read_token()


def without_token(**changes: object) -> Settings:
    """Return settings that name no token file."""
    told = {
        "mode": "paper",
        "broker": {"kind": "simulated"},
        "features": {"kind": "feast_redis", "socket_path": "valkey.sock"},
        "models": {"kind": "folder", "root": "bundles"},
        "model": {"name": "EURUSD.H1.barrier"},
        "limits": make_limits(),
    }
    return Settings.model_validate({**told, **changes})


@pytest.mark.parametrize("wrong", [-1, 1.5, float("nan"), "four"])
def test_a_slippage_that_cannot_be_does_not_start(wrong: object) -> None:
    assert without_token(broker={"kind": "simulated"}).broker.slippage_points is None
    given = without_token(broker={"kind": "simulated", "slippage_points": 0})
    assert given.broker.slippage_points == 0
    with pytest.raises(ValidationError, match="slippage_points"):
        without_token(broker={"kind": "simulated", "slippage_points": wrong})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    assert without_token(http={"host": host}).read_token() is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "trading.example"])  # noqa: S104
def test_a_bind_beyond_loopback_needs_a_token(host: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        without_token(http={"host": host}).read_token()
    assert caught.value.code == "TOKEN_REQUIRED"


def test_live_trades_by_certificate_alone() -> None:
    with pytest.raises(ValidationError, match=r"mode live needs models\.trust"):
        without_token(mode="live")
    assert without_token(mode="paper").models.trust is None
    ruled = {"name": "EURUSD.H1.barrier", "fallback": "rules.json"}
    with pytest.raises(ValidationError, match="rules never send a live order"):
        without_token(mode="live", models=CERTIFIED, model=ruled, broker=CHARGED)
    assert without_token(mode="paper", model=ruled).model.fallback == Path("rules.json")
    mlflow = MlflowModelsSettings(url="http://127.0.0.1:5000")
    assert mlflow.trust == Path("var/trusted")


def test_live_needs_a_token_even_on_loopback() -> None:
    with pytest.raises(InvalidSettings) as caught:
        without_token(mode="live", models=CERTIFIED, broker=CHARGED).read_token()
    assert caught.value.code == "TOKEN_REQUIRED"


def test_live_is_told_its_commission_for_entries_are_sized_by_it() -> None:
    with pytest.raises(ValidationError, match=r"mode live needs broker\.commission_per_lot"):
        without_token(mode="live", models=CERTIFIED)
    assert without_token(mode="live", models=CERTIFIED, broker=CHARGED).mode == "live"
    assert without_token(mode="paper").broker.commission_per_lot == 0.0


@pytest.mark.parametrize("wrong", [-0.01, float("nan"), float("inf"), "dear"])
def test_a_commission_that_cannot_be_does_not_start(wrong: object) -> None:
    with pytest.raises(ValidationError, match="commission_per_lot"):
        without_token(broker={"kind": "simulated", "commission_per_lot": wrong})


def test_settings_cannot_be_changed() -> None:
    settings = without_token()
    with pytest.raises(ValidationError):
        settings.strategy = 2


def test_the_page_of_settings_is_current(tmp_path: Path) -> None:
    write_page(tmp_path / "page.md")
    assert (tmp_path / "page.md").read_text() == PAGE.read_text() == render_settings()


def test_every_setting_is_described() -> None:
    rows = [line for line in render_settings().splitlines() if line.startswith("| `")]
    assert len(rows) > 30
    assert all(row.rstrip(" |").rpartition("|")[2].strip() for row in rows)


@pytest.mark.skipif(os.environ.get("SEXTANT_MODE") is not None, reason="this process has a mode")
def test_the_process_environment_is_read_where_none_is_given(token: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEXTANT_TOKEN_FILE", str(token))
        patch.setenv("SEXTANT_MODE", "live")
        assert load_settings().mode == "live"
