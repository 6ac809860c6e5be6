"""Ask once whether a part is ready; the health check of a container.

``python -m pipelines.platform.check http URL``, ``... deployments API_URL`` or
``... report FILE``; exit status 0 if it is, 1 if not, and one line that says what was found.
"""

from __future__ import annotations

import sys

from online.domain.errors import InvalidInput
from pipelines.platform.probes import DeploymentsProbe, HttpProbe, Probe, ReportProbe
from pipelines.platform.services import DEPLOYMENTS

EVER = "1970-01-01T00:00:00+00:00"


def make_probe(kind: str, where: str) -> Probe:
    """Return the probe of a kind.

    Raises
    ------
    InvalidInput
        If the kind is not http, deployments or report.
    """
    match kind:
        case "http":
            return HttpProbe(where)
        case "deployments":
            return DeploymentsProbe(where, DEPLOYMENTS, EVER)
        case "report":
            return ReportProbe(where)
        case _:
            raise InvalidInput(f"unknown probe {kind!r}: expected http, deployments or report")


def main() -> None:
    """Ask, say what was found, and exit."""
    health = make_probe(*sys.argv[1:3]).check()
    sys.stdout.write(f"{health.detail}\n")
    sys.exit(0 if health.ready else 1)


if __name__ == "__main__":
    main()
