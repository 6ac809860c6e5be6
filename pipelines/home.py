"""Where Sextant keeps what it makes: one folder, `var/` by default."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """Paths below the runtime folder.

    Parameters
    ----------
    root
        The folder; it is created by whoever first writes into it.
    """

    root: Path

    @property
    def lake(self) -> Path:
        """Parquet lake: ``bars/``, ``features/``, ``quarantine/`` and ``reports/``."""
        return self.root / "lake"

    @property
    def feast(self) -> Path:
        """Feast's registry."""
        return self.root / "feast"

    @property
    def run(self) -> Path:
        """Sockets, state and logs of the running platform."""
        return self.root / "run"

    @property
    def valkey_socket(self) -> Path:
        """Unix socket of the embedded Valkey."""
        return self.run / "valkey.sock"

    @property
    def mlflow(self) -> Path:
        """MLflow's database and artifacts."""
        return self.root / "mlflow"

    @property
    def prefect(self) -> Path:
        """Prefect's home."""
        return self.root / "prefect"

    @property
    def journal(self) -> Path:
        """The scorer's journal."""
        return self.root / "journal" / "journal.db"

    @property
    def bundles(self) -> Path:
        """Model bundles as trained and as fetched by the scorer."""
        return self.root / "bundles"

    @property
    def promoted(self) -> Path:
        """Bundles ``<name>/<version>``, and links ``<name>/<alias>`` to those promoted here."""
        return self.bundles / "promoted"

    @property
    def keys(self) -> Path:
        """Private keys that sign certificates; for this host alone."""
        return self.root / "keys"

    @property
    def trusted(self) -> Path:
        """Public keys whose certificates count; the scorer reads them."""
        return self.root / "trusted"

    @property
    def token(self) -> Path:
        """Secret file with the bearer token of every route that trades or journals."""
        return self.root / "secrets" / "token"


DEFAULT_HOME = Home(Path("var"))
