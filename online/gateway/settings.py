"""Settings of the gateway: one TOML file, closed, every path relative to it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from online.domain.errors import InvalidInput, InvalidSettings
from online.domain.market import Instrument
from online.gateway.request import OrderRules, SymbolRules
from online.gateway.terminal_choice import RealTerminal, SimulatedChoice, TerminalChoice
from online.gateway.tls import TlsFiles
from online.instruments import load_instruments
from online.prepared_log import LOG_BYTES, MAX_LOG_BYTES
from online.simulator.server_time import ServerTime

_COLLAR_SPREADS = 5.0
"""How many usual spreads a price may be worse where no collar is stated."""


class RungAction(StrEnum):
    """What is done when the scorer stays away.

    ``reduce`` refuses entries until it is back; ``halt`` until an operator resumes; ``flatten``
    halts and closes every position that came through this gateway.
    """

    REDUCE = "reduce"
    HALT = "halt"
    FLATTEN = "flatten"


class Rung(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step of the dead-man switch.

    Parameters
    ----------
    after_seconds
        Of silence of the scorer (> 0).
    action
        What is done then.
    """

    after_seconds: float
    action: RungAction


class GatewaySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything the gateway is told when it starts.

    Parameters
    ----------
    host, port
        Where it listens; port 0 takes a free one.
    tls
        Its certificate, and the authority of the clients' certificates.
    state
        Folder of the durable inbox, one an account.
    terminal
        ``kind = "metatrader5"`` or ``kind = "simulated"``.
    symbols
        The broker's name of each symbol that has another there, e.g. ``EURUSD = "EURUSD.m"``.
    server_time
        The trade server's clock.
    rules
        How orders are sent; points of one symbol in `rules.symbols`. Points that a file does not
        state go by each symbol's usual spread: one of deviation, five of collar, never less than
        the defaults.
    call_timeout_seconds
        Longest call of the terminal before its worker is ended (> 0).
    start_timeout_seconds
        Longest start of a worker, the terminal's login included (> 0).
    heartbeat_seconds
        How often both ends speak; three missed end the connection (> 0).
    ladder
        The dead-man switch, soonest first.
    absence_seconds, absence_polls
        How long, and how often, an order must have been looked for in vain, with the terminal
        connected, before it counts as not sent.
    log_bytes
        Length the inbox's write-ahead log is given at the start, so that orders wait less for the
        disk; 0 lets it grow.
    """

    tls: TlsFiles
    state: Path
    host: str = "127.0.0.1"
    port: int = 8220
    terminal: TerminalChoice = SimulatedChoice()
    symbols: dict[str, str] = {}
    server_time: ServerTime = ServerTime()
    rules: OrderRules = OrderRules()
    call_timeout_seconds: float = 10.0
    start_timeout_seconds: float = 90.0
    heartbeat_seconds: float = 1.0
    ladder: tuple[Rung, ...] = (Rung(30.0, RungAction.HALT),)
    absence_seconds: float = 60.0
    absence_polls: int = 10
    log_bytes: int = LOG_BYTES

    def __post_init__(self) -> None:
        positive = {
            "call_timeout_seconds": self.call_timeout_seconds,
            "start_timeout_seconds": self.start_timeout_seconds,
            "heartbeat_seconds": self.heartbeat_seconds,
            "absence_polls": self.absence_polls,
            **{f"ladder {r.action}": r.after_seconds for r in self.ladder},
        }
        for name, value in positive.items():
            if not value > 0.0:
                raise InvalidInput(f"{name} must be positive, got {value}")
        if self.absence_seconds < 0.0:
            raise InvalidInput(f"absence_seconds must not be negative, got {self.absence_seconds}")
        if not 0 <= self.log_bytes <= MAX_LOG_BYTES:
            raise InvalidInput(
                f"log_bytes must be between 0 and {MAX_LOG_BYTES}, got {self.log_bytes}"
            )
        waits = [rung.after_seconds for rung in self.ladder]
        if waits != sorted(waits):
            raise InvalidInput(f"the ladder's rungs must come soonest first, got {waits}")
        actions = [list(RungAction).index(rung.action) for rung in self.ladder]
        if actions != sorted(set(actions)):
            raise InvalidInput(
                "the ladder's rungs must climb, each once: reduce, halt, flatten; got "
                + ", ".join(rung.action for rung in self.ladder)
            )
        if len(set(self.symbols.values())) != len(self.symbols):
            raise InvalidInput(f"symbols must map to different names, got {self.symbols}")


def load_gateway_settings(path: Path) -> GatewaySettings:
    """Return the settings in a TOML file.

    Raises
    ------
    InvalidSettings
        Naming what is unknown, missing or wrong.
    """
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
        settings = msgspec.convert(tree, GatewaySettings, dec_hook=_to_path)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        hint = "; a path of Windows stands in 'single quotes'" if "\\" in str(error) else ""
        raise InvalidSettings(f"{path}: {error}{hint}") from error
    except (msgspec.ValidationError, InvalidInput) as error:
        raise InvalidSettings(f"{path}: {error}") from error
    known = load_instruments()
    settings = msgspec.structs.replace(
        settings, rules=_by_usual_spread(settings.rules, tree.get("rules", {}), known)
    )
    if strangers := sorted(settings.rules.symbols.keys() - known.keys()):
        names = ", ".join(sorted(known))
        raise InvalidSettings(
            f"{path}: rules.symbols: {', '.join(strangers)} is no known symbol ({names})"
        )
    folder, tls, terminal = path.resolve().parent, settings.tls, settings.terminal
    if isinstance(terminal, RealTerminal) and terminal.password_file:
        password_file = str(folder / terminal.password_file)
        terminal = msgspec.structs.replace(terminal, password_file=password_file)
    return msgspec.structs.replace(
        settings,
        terminal=terminal,
        state=folder / settings.state,
        tls=TlsFiles(folder / tls.authority, folder / tls.certificate, folder / tls.key),
    )


def _by_usual_spread(
    rules: OrderRules, stated: Mapping[str, object], known: Mapping[str, Instrument]
) -> OrderRules:
    """Return rules whose points fit every market: what is not stated goes by the usual spread.

    A stated figure holds for every symbol that has none of its own.
    """
    symbols = dict(rules.symbols)
    for symbol, instrument in known.items():
        usual, own = instrument.typical_spread_points, symbols.get(symbol, SymbolRules())
        deviation, collar = own.deviation_points, own.collar_points
        if deviation is None and "deviation_points" not in stated:
            deviation = max(rules.deviation_points, round(usual))
        if collar is None and "collar_points" not in stated:
            collar = max(rules.collar_points, _COLLAR_SPREADS * usual)
        symbols[symbol] = SymbolRules(deviation, collar)
    return msgspec.structs.replace(rules, symbols=symbols)


def _to_path(form: type, value: object) -> object:
    if form is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(f"{form} has no place in these settings")
