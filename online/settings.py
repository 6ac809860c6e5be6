"""Settings of the scorer: frozen, checked as a whole, and refused where anything is unknown.

Low to high: defaults in code (harmless) < ``infra/config/<mode>.toml`` < environment
(``SEXTANT_HTTP__PORT=8100``) < secret files (``<secrets_folder>/features__url``). Naming another
``kind`` in a higher layer replaces the lower layer's whole table. Layers are joined here and not
by pydantic-settings, which ignores unknown variables and mixes the tables of two kinds.
"""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, model_validator

from online.domain.errors import InvalidSettings, SextantError
from online.domain.limits import Limits
from online.instruments import CONFIG_FOLDER, load_instruments, spell_symbols
from online.prepared_log import LOG_BYTES, MAX_LOG_BYTES
from online.settings_layers import join, nest, read_secrets, read_toml
from online.settings_news import NewsSettings, NoNewsSettings

PREFIX = "SEXTANT_"
TOKEN_LENGTH = 32
"""Fewest characters of a bearer token."""


class _Section(BaseModel):
    """Base of every table: frozen, extras forbidden, numbers finite."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False
    )


class SystemClockSettings(_Section):
    """The host's clock."""

    kind: Literal["system"] = Field(default="system", description="The host's clock.")


class VirtualClockSettings(_Section):
    """A clock the replaying feed sets; with the simulated broker in replay mode only."""

    kind: Literal["virtual"] = Field(default="virtual", description="A clock that the replay sets.")
    starts_at_ns: int = Field(
        default=0, ge=0, description="Where it stands before that, nanoseconds since 1970 UTC."
    )


class _AccountTerms(_Section):
    """What is assumed of the account, by the simulated terminal and by every backtest."""

    currency: str = Field(default="USD", min_length=3, description="Currency of the account.")
    balance: float = Field(default=10_000.0, gt=0, description="First deposit, account currency.")
    commission_per_lot: float = Field(
        default=0.0, ge=0, description="Commission a lot and side, account currency; sizes entries."
    )
    assumed_spread_points: float | None = Field(
        default=None,
        ge=0,
        description="Spread assumed on one-sided bars, points; else what is known of each symbol.",
    )
    slippage_points: int | None = Field(
        default=None,
        ge=0,
        description="Points by which a market fill is worse; sizes entries; else each symbol's.",
    )
    leverage: float = Field(default=100.0, gt=0, description="Notional a unit of margin carries.")


class SimulatedBrokerSettings(_AccountTerms):
    """The simulated MetaTrader 5 terminal, in the scorer's own process."""

    kind: Literal["simulated"] = Field(default="simulated", description="The simulated terminal.")


class GatewayBrokerSettings(_AccountTerms):
    """A gateway beside a terminal; its terms are assumed, by backtests and for sizing."""

    kind: Literal["gateway"] = Field(default="gateway", description="A gateway, `sextant gateway`.")
    host: str = Field(min_length=1, description="Name or address; its certificate must name it.")
    port: int = Field(default=8220, ge=1, le=65535, description="TCP port of the gateway.")
    authority: Path = Field(description="Certificate of the authority that signed the gateway's.")
    certificate: Path = Field(description="The scorer's certificate.")
    key: Path = Field(description="The key of the scorer's certificate.")
    answer_seconds: float = Field(
        default=2.0, gt=0, le=60, description="Longest wait for an answer that is not an order's."
    )
    reply_seconds: float = Field(
        default=15.0, gt=0, le=120, description="Longest wait for an order's reply."
    )
    patience_seconds: float = Field(
        default=2.0, gt=0, le=60, description="How long an order may wait for its turn there."
    )


class FeastRedisSettings(_Section):
    """Feast's online store in Redis or Valkey; one of `url` and `socket_path`."""

    kind: Literal["feast_redis"] = Field(default="feast_redis", description="Feast's Redis layout.")
    url: str | None = Field(
        default=None, description="redis:// or rediss:// URL; one with a password is a secret file."
    )
    socket_path: Path | None = Field(default=None, description="Unix socket, instead of a URL.")
    project: str = Field(default="sextant", min_length=1, description="Feast's project name.")
    join_key: str = Field(default="symbol", min_length=1, description="The entity's join key.")
    timeout_seconds: float = Field(
        default=0.25, gt=0, le=10, description="Longest wait for a vector."
    )

    @model_validator(mode="after")
    def _one_address(self) -> FeastRedisSettings:
        if (self.url is None) == (self.socket_path is None):
            raise ValueError("exactly one of url and socket_path must be given")
        return self


class FolderModelsSettings(_Section):
    """Bundles in a folder, ``<root>/<name>/<alias>/``."""

    kind: Literal["folder"] = Field(default="folder", description="Bundles in a local folder.")
    root: Path = Field(description="Holds one folder a registered name.")
    trust: Path | None = Field(
        default=None,
        description="Folder of the public keys whose certificates count; without one none is "
        "asked for, which mode live refuses.",
    )


class MlflowModelsSettings(_Section):
    """Bundles registered in MLflow, read over its REST API."""

    kind: Literal["mlflow"] = Field(default="mlflow", description="MLflow's registry.")
    url: str = Field(pattern="^https?://", description="URL of the MLflow server.")
    cache: Path = Field(
        default=Path("var/bundles/scorer"),
        description="Keeps the last verified bundle for MLflow's outage.",
    )
    trust: Path = Field(
        default=Path("var/trusted"),
        description="Folder of the public keys whose certificates count.",
    )
    timeout_seconds: float = Field(
        default=10.0, gt=0, le=120, description="Longest wait for an answer."
    )


class SqliteJournalSettings(_Section):
    """The durable journal."""

    kind: Literal["sqlite"] = Field(default="sqlite", description="SQLite, WAL, synchronous=FULL.")
    path: Path = Field(default=Path("var/journal/journal.db"), description="The journal's file.")
    log_bytes: int = Field(
        default=LOG_BYTES,
        ge=0,
        le=MAX_LOG_BYTES,
        description="Length its write-ahead log is given at the start, so that orders wait less "
        "for the disk; 0 lets it grow, as mode replay does.",
    )


class BreakerSettings(_Section):
    """When an outside system that fails is left alone for a while."""

    failures: int = Field(default=5, ge=1, le=1000, description="In a row that open a circuit.")
    cool_down_seconds: float = Field(
        default=2.0, gt=0, le=300, description="Before one call may try again."
    )


class ReconciliationSettings(_Section):
    """How often journal and broker are compared; orders wait during a round."""

    positions_seconds: float = Field(
        default=2.0, ge=1, le=5, description="Between two rounds over open positions."
    )
    deals_seconds: float = Field(
        default=30.0, ge=30, le=60, description="Between two rounds over everything."
    )
    grace_seconds: float = Field(
        default=10.0,
        ge=0,
        le=300,
        description="How long a difference that a lag may explain stands before it halts trading; "
        "nothing is entered meanwhile.",
    )
    history_days: int = Field(
        default=30, ge=1, le=3650, description="Of deals compared at a start."
    )


class ModelChoice(_Section):
    """Which registered model trades."""

    name: str = Field(
        pattern=r"^[^./\\]+\.[A-Z0-9]+\.[^./\\]+$",
        description="Registered name, <symbol>.<timeframe>.<target>.",
    )
    alias: str = Field(
        default="champion", pattern=r"^[A-Za-z0-9_-]+$", description="Alias it is loaded by."
    )
    watch_seconds: float = Field(
        default=0.0,
        ge=0,
        le=86_400,
        description="How often to look whether the alias was moved, seconds; 0 for never.",
    )
    fallback: Path | None = Field(
        default=None,
        description="Manifest by which the rules decide where no model can be loaded, as training "
        "writes it to bundles/fallback; mode live refuses one.",
    )


class HttpSettings(_Section):
    """Where the API listens."""

    host: str = Field(
        default="127.0.0.1", description="Address; beyond loopback a token is required."
    )
    port: int = Field(default=8100, ge=0, le=65535, description="TCP port; 0 takes a free one.")

    @property
    def is_loopback(self) -> bool:
        """True if nobody on another host can reach the API."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def _read_limits(given: object) -> Limits:
    if isinstance(given, Limits):
        return given
    try:
        told = msgspec.convert(given, dict[str, object])
        if isinstance(tables := told.get("symbols"), dict):
            told = {**told, "symbols": spell_symbols(tables)}
        limits = msgspec.convert(told, Limits, strict=False)
        limits.check_symbols(load_instruments())
    except (msgspec.ValidationError, SextantError) as error:
        raise ValueError(str(error)) from error
    return limits


class Settings(_Section):
    """Everything the scorer is told when it starts."""

    mode: Literal["replay", "paper", "live"] = Field(
        description="replay: history on a virtual clock; paper: no real money; live: real money."
    )
    http: HttpSettings = Field(default=HttpSettings(), description="Where the API listens.")
    token_file: Path | None = Field(
        default=None,
        description="Secret file with the bearer token of every route that trades or journals: at "
        f"least {TOKEN_LENGTH} characters, not readable by everybody. Without one they refuse.",
    )
    secrets_folder: Path | None = Field(
        default=None, description="Folder of secret files named as settings, e.g. features__url."
    )
    clock: Annotated[SystemClockSettings | VirtualClockSettings, Field(discriminator="kind")] = (
        Field(default=SystemClockSettings(), description="Where time comes from.")
    )
    broker: Annotated[
        SimulatedBrokerSettings | GatewayBrokerSettings, Field(discriminator="kind")
    ] = Field(description="Where orders go.")
    features: FeastRedisSettings = Field(description="The online feature store.")
    models: Annotated[FolderModelsSettings | MlflowModelsSettings, Field(discriminator="kind")] = (
        Field(description="Where model bundles come from.")
    )
    model: ModelChoice = Field(description="Which model trades.")
    journal: SqliteJournalSettings = Field(
        default=SqliteJournalSettings(), description="The record of everything."
    )
    breakers: BreakerSettings = Field(
        default=BreakerSettings(), description="Of the online store, MLflow and the gateway."
    )
    reconciliation: ReconciliationSettings = Field(
        default=ReconciliationSettings(), description="Journal against broker."
    )
    news: Annotated[NewsSettings, Field(discriminator="kind")] = Field(
        default=NoNewsSettings(), description="Events that forbid entries."
    )
    strategy: int = Field(
        default=1, ge=0, le=65535, description="Upper bits of every magic number."
    )
    limits: Annotated[Limits, PlainValidator(_read_limits)] = Field(
        description="Pre-trade limits; none has a default, symbols' own apart."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if self.clock.kind == "virtual" and self.mode != "replay":
            raise ValueError(f"clock virtual is for mode replay alone, mode is {self.mode}")
        if self.mode == "replay" and self.clock.kind != "virtual":
            raise ValueError("mode replay runs on clock virtual")
        if self.mode == "replay" and self.broker.kind != "simulated":
            raise ValueError(f"mode replay moves a simulated market, broker is {self.broker.kind}")
        if self.mode == "replay" and self.news.kind == "feed":
            raise ValueError("mode replay reads its news from a file: a feed tells no past")
        if self.mode == "live" and self.models.trust is None:
            raise ValueError("mode live needs models.trust: a model trades by its certificate")
        if self.mode == "live" and "commission_per_lot" not in self.broker.model_fields_set:
            raise ValueError("mode live needs broker.commission_per_lot: entries are sized by it")
        if self.mode == "live" and self.model.fallback is not None:
            raise ValueError("mode live takes no model.fallback: rules never send a live order")
        return self

    def read_token(self) -> str | None:
        """Return the bearer token, None where none is set and none is needed.

        Raises
        ------
        InvalidSettings
            If one is needed and missing, or its file is no good.
        """
        if self.token_file is None:
            if self.mode == "live" or not self.http.is_loopback:
                raise InvalidSettings(
                    f"mode {self.mode} on {self.http.host} needs token_file: orders are accepted "
                    "without a token from nobody, and live or beyond loopback none may be missing",
                    code="TOKEN_REQUIRED",
                )
            return None
        return _read_token(self.token_file)


def load_settings(
    mode: str | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    config_folder: Path = CONFIG_FOLDER,
) -> Settings:
    """Return the settings of a mode, every layer joined and checked.

    The token's file is read when a scorer starts (`Settings.read_token`): a backtest needs none.

    Parameters
    ----------
    mode
        ``replay``, ``paper`` or ``live``; ``SEXTANT_MODE`` where it is not given.
    environment
        Variables; the process' own where not given.
    config_folder
        Holds ``<mode>.toml``.

    Raises
    ------
    InvalidSettings
        Naming every setting that is unknown, missing or wrong.
    """
    variables = os.environ if environment is None else environment
    named = (
        (name[len(PREFIX) :], value)
        for name, value in variables.items()
        if name.upper().startswith(PREFIX)
    )
    outer = nest(named)
    chosen = mode or outer.get("mode")
    if chosen not in {"replay", "paper", "live"}:
        raise InvalidSettings(
            f"mode must be replay, paper or live, got {chosen!r}; give it or set {PREFIX}MODE"
        )
    joined = join(read_toml(config_folder / f"{chosen}.toml"), {**outer, "mode": chosen})
    if secrets_folder := joined.get("secrets_folder"):
        joined = join(joined, nest(read_secrets(Path(secrets_folder))))
    try:
        return Settings.model_validate(joined)
    except ValidationError as error:
        raise InvalidSettings(f"settings of mode {chosen}: {_describe(error)}") from error


def _read_token(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
        everybody = os.name == "posix" and path.stat().st_mode & stat.S_IROTH
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"token_file {path} cannot be read: {error}") from error
    if everybody:
        raise InvalidSettings(f"token_file {path} is readable by everybody: chmod 600 it")
    if len(token) < TOKEN_LENGTH or not token.isascii() or any(c.isspace() for c in token):
        raise InvalidSettings(
            f"token_file {path} needs one word of at least {TOKEN_LENGTH} ASCII characters"
        )
    return token


def _describe(error: ValidationError) -> str:
    """Return every fault in one line, without the values: one may be a secret."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or 'settings'}: {fault['msg']}"
        for fault in faults
    )
