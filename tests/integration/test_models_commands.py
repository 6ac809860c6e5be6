"""`sextant models`: versions listed, compared and moved, as their user sees it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from models.export import Bundle, digest_folder
from models.gates import BEATS_CHAMPION, NO_CHAMPION, Alias, Gate, Verdict
from models.progress import Progress, Steps, listening
from models.registry import Registry
from online.adapters.bundle_folder import BundleFolder
from online.adapters.key_files import read_trust
from online.domain.certificate import APPROVAL_FILE, CERTIFICATE_FILE, Policy
from online.domain.errors import ModelRefused, NotFound
from pipelines.certify import certify, renew
from pipelines.cli import run
from pipelines.home import Home
from pipelines.model_views import CARD
from pipelines.promote import _point, sign_approval
from pipelines.registries import open_registry

pytestmark = [
    pytest.mark.integration,
    pytest.mark.usefixtures("prefect_storage", "own_environment"),
]
NAME = "EURUSD.H1.barrier"
GOOD = Gate("calibrated", Policy.PAPER, 0.02, "<=", 0.05, "")
BAD = Gate("calibrated", Policy.PAPER, 0.08, "<=", 0.05, "")
RICH = Gate("positive_net", Policy.LIVE, 4.0, ">", 0.0, "")
POOR = Gate("positive_net", Policy.LIVE, -4.0, ">", 0.0, "")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's database, empty: a copy is quicker than all of its migrations again."""
    folder = tmp_path_factory.mktemp("mlflow")
    Registry(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts").versions(NAME)
    return folder / "mlflow.db"


@pytest.fixture
def home(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with two versions that may trade on paper; the first carries the alias."""
    made = Home(tmp_path)
    made.mlflow.mkdir(parents=True)
    shutil.copy(database, made.mlflow)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{made.mlflow / 'mlflow.db'}")
    registry = open_registry(made, None)
    first = register(made, registry, "first", -3.5)
    register(made, registry, "second", 2.25)
    registry.promote(NAME, first, Alias.PAPER, read_trust(made.trusted))
    return made


def register(home: Home, registry: Registry, name: str, total_units: float, *gates: Gate) -> str:
    folder = home.root / name
    folder.mkdir()
    (folder / "manifest.json").write_text(folder.name)
    with registry.record("EURUSD.H1", folder.name) as recorded:
        slipped = {} if name == "first" else {"slippage": "4 points on each entry, as given"}
        recorded.log_params({"families": "xgboost,lightgbm", **slipped})
        recorded.log_figures({"total_units": total_units, "deflated_sharpe": 0.25})
        recorded.log_text(f"# The card of {folder.name}", CARD)
        bundle, verdict = Bundle(folder, digest_folder(folder)), Verdict(gates or (GOOD, POOR))
        certify(home, NAME, bundle, verdict)
        return registry.register(recorded, NAME, bundle, verdict).version


def ask(home: Home, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert run(["models", *words, "--home", str(home.root)]) == 0
    return capsys.readouterr().out


def test_versions_are_listed_with_their_aliases_newest_first(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = json.loads(ask(home, capsys, "list", "--json"))
    assert [(row["version"], row["aliases"]) for row in rows] == [("2", ""), ("1", "paper")]
    assert {row["granted"] for row in rows} == {"paper, challenger"}
    assert {row["refused_by"] for row in rows} == {"positive_net"}
    assert {row["families"] for row in rows} == {"xgboost,lightgbm"}
    assert [row["slippage"] for row in rows] == ["4 points", "not charged"]
    shown = ask(home, capsys, "list")
    assert NAME in shown
    assert "positive_net" in shown


def test_a_list_grants_what_is_proven_and_says_what_refuses_the_rest(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = open_registry(home, None)
    register(home, registry, "bad", 1.0, BAD, POOR)
    register(home, registry, "rich", 9.0, GOOD, RICH)

    def told(*words: str) -> dict[str, tuple[str, str]]:
        rows = json.loads(ask(home, capsys, *words, "--json"))
        return {row["version"]: (row["granted"], row["refused_by"]) for row in rows}

    assert told("list")["3"] == ("nothing", "calibrated, positive_net")
    assert told("list")["4"] == ("paper, challenger", "NOT_APPROVED")
    ask(home, capsys, "promote", NAME, "--approve", "ada")
    assert told("compare", NAME, "4") == {"4": ("paper, champion, challenger", "")}
    (home.trusted / "gates.pem").unlink()
    assert set(told("list").values()) == {("nothing", "CERTIFICATE_INVALID")}


def test_versions_are_compared_by_their_figures_and_failed_gates(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = json.loads(ask(home, capsys, "compare", NAME, "1", "2", "--json"))
    assert [row["total_units"] for row in rows] == [-3.5, 2.25]
    assert rows[0]["refused_by"] == "positive_net"
    assert [row["slippage"] for row in rows] == ["not charged", "4 points"]
    shown = ask(home, capsys, "compare", NAME)
    assert "version 1" in shown
    assert "deflated_sharpe" in shown


def test_the_card_is_printed_as_it_was_kept(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(home, capsys, "card", NAME) == "# The card of second\n"
    assert ask(home, capsys, "card", NAME, "1") == "# The card of first\n"


def test_an_alias_is_moved_and_rolled_back(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    ask(home, capsys, "promote", NAME, "--alias", "paper")
    assert open_registry(home, None).aliases(NAME) == {"paper": "2"}
    told = json.loads(ask(home, capsys, "rollback", NAME, "--alias", "paper", "--json"))
    assert (told["version"], told["before"]) == ("1", "2")
    assert open_registry(home, None).aliases(NAME) == {"paper": "1"}


def test_a_person_approves_by_name_and_only_what_passed_the_gates_of_live(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models", "promote", NAME, "--approve", "ada", "--home", str(home.root)]) == 1
    assert "positive_net" in capsys.readouterr().err
    assert not (home.keys / "approver-ada.pem").exists()
    registry = open_registry(home, None)
    rich = register(home, registry, "third", 9.0, GOOD, RICH)
    assert run(["models", "promote", NAME, "--alias", "champion", "--home", str(home.root)]) == 1
    assert "nobody approved" in capsys.readouterr().err
    told = json.loads(ask(home, capsys, "promote", NAME, "--approve", "ada", "--json"))
    assert (told["alias"], told["version"]) == ("champion", rich)
    files = {path.name for path in Path(told["bundle"]).iterdir()}
    assert files >= {CERTIFICATE_FILE, APPROVAL_FILE}
    assert (home.keys / "approver-ada.pem").stat().st_mode & 0o777 == 0o600
    assert registry.aliases(NAME)["champion"] == rich


def test_who_is_promoted_over_a_champion_it_never_met_is_told_so(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = Gate(BEATS_CHAMPION, Policy.LIVE, 9.0, ">", 0.0, "", NO_CHAMPION)
    met = dataclasses.replace(alone, note="")
    for place, gates in enumerate(((alone,), (alone,), (met,))):
        register(home, open_registry(home, None), f"rich {place}", 9.0, GOOD, RICH, *gates)
    told = {}
    for version in ("3", "4", "5"):
        words = ("promote", NAME, "--version", version, "--approve", "ada", "--json")
        told[version] = json.loads(ask(home, capsys, *words))["headline"]
    shown = json.loads(ask(home, capsys, "certificate", NAME, "4", "--json"))["gates"]
    assert [row["note"] for row in shown] == ["", "", NO_CHAMPION]
    assert told["4"].endswith("it was judged when there was no champion to beat, not beside 3")
    assert "judged" not in told["3"] + told["5"]


def test_a_certificate_says_which_alias_it_grants_and_why_not_the_others(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(ask(home, capsys, "certificate", NAME, "--json"))
    assert (told["policy"], told["approver"]) == ("paper", "")
    assert told["may_be"]["paper"] == told["may_be"]["challenger"] == "yes"
    assert told["may_be"]["champion"].startswith("GATES_FAILED")
    assert {row["gate"]: row["verdict"] for row in told["gates"]} == {
        "calibrated": "pass",
        "positive_net": "FAIL",
    }
    shown = ask(home, capsys, "certificate", NAME, "1")
    assert "approved by nobody" in shown
    (home.trusted / "gates.pem").unlink()
    assert run(["models", "certificate", NAME, "--home", str(home.root)]) == 1
    assert "CERTIFICATE_INVALID" in capsys.readouterr().err


def test_a_version_of_a_lost_key_is_certified_again_when_it_is_trained_again(
    home: Home, tmp_path: Path
) -> None:
    registry = open_registry(home, None)
    version, folder = registry.find(NAME, "2"), home.root / "second"
    bundle = Bundle(folder, digest_folder(folder))
    kept = (folder / CERTIFICATE_FILE).read_bytes()
    renew(home, registry, version, bundle)
    assert registry.download_bundle(version, tmp_path / "same").digest == bundle.digest
    assert (tmp_path / "same" / CERTIFICATE_FILE).read_bytes() == kept
    for lost in (home.keys, home.trusted):
        (lost / "gates.pem").unlink()
    certify(home, NAME, bundle, Verdict((GOOD, POOR)))
    renew(home, registry, version, bundle)
    assert registry.check(version, Alias.PAPER, read_trust(home.trusted)).bundle_sha256


def test_a_person_approves_the_bundle_asked_for_and_not_the_one_its_certificate_names(
    home: Home,
) -> None:
    registry = open_registry(home, None)
    register(home, registry, "rich", 9.0, GOOD, RICH)
    proof = (home.root / "rich" / CERTIFICATE_FILE).read_bytes()
    (home.root / "second" / CERTIFICATE_FILE).write_bytes(proof)
    version = registry.find(NAME, "2")
    registry.attach(version, home.root / "second" / CERTIFICATE_FILE)
    with pytest.raises(ModelRefused) as caught:
        sign_approval(home, registry, version, "ada")
    assert caught.value.code == "CERTIFICATE_OF_ANOTHER"
    assert not (home.keys / "approver-ada.pem").exists()


def test_an_approvers_own_key_must_be_the_one_that_is_trusted(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register(home, open_registry(home, None), "third", 9.0, GOOD, RICH)
    own = tmp_path / "stick" / "ada.pem"
    words = ["models", "promote", NAME, "--approve", "ada", "--home", str(home.root)]
    assert run([*words, "--key", str(own)]) == 0
    assert run([*words, "--key", str(tmp_path / "other.pem")]) == 2
    assert "public half" in capsys.readouterr().err
    assert run([*words, "--key", str(home.keys / "gates.pem")]) == 2
    assert "is not the key" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_named(home: Home) -> None:
    words = ["--home", str(home.root)]
    assert run(["models", "compare", "EURUSD.M1.barrier", *words]) == 2
    assert run(["models", "card", NAME, "9", *words]) == 2


def test_steps_are_told_to_whoever_listens_and_to_nobody_else() -> None:
    heard: list[Progress] = []
    steps = Steps(2)
    steps.advance("nobody hears it")
    with listening(heard.append):
        steps.advance("the last")
    steps.advance("nobody hears it")
    assert heard == [Progress(2, 2, "the last")]


def test_a_scorer_without_mlflow_finds_what_was_promoted_and_rolled_back_in_the_homes_folder(
    home: Home, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    promoted = BundleFolder(home.promoted)
    with pytest.raises(NotFound):
        asyncio.run(promoted.fetch(NAME, "paper"))
    ask(home, capsys, "promote", NAME, "--version", "2", "--alias", "paper")
    found = asyncio.run(promoted.fetch(NAME, "paper"))
    assert (found.version, (found.folder / "manifest.json").read_text()) == ("2", "second")
    assert (found.folder / CERTIFICATE_FILE).is_file()
    ask(home, capsys, "rollback", NAME, "--alias", "paper")
    assert asyncio.run(promoted.look(NAME, "paper")) == "1"
    copied = shutil.copytree(home.promoted, tmp_path / "trading host", symlinks=True)
    assert asyncio.run(BundleFolder(copied).look(NAME, "paper")) == "1"


def test_an_alias_that_cannot_be_linked_is_promoted_all_the_same_and_said(
    home: Home, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    in_the_way = home.promoted / NAME / "paper"
    in_the_way.mkdir(parents=True)
    (in_the_way / "manifest.json").touch()
    ask(home, capsys, "promote", NAME, "--version", "2", "--alias", "paper")
    assert open_registry(home, None).aliases(NAME)["paper"] == "2"
    assert any("paper is not linked to 2" in told for told in caplog.messages)
    assert in_the_way.is_dir()
    assert not in_the_way.is_symlink()
    assert sorted(path.name for path in in_the_way.parent.iterdir()) == ["2", "paper"]


def test_a_link_is_put_in_place_though_another_promotion_puts_one_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
    replace = Path.replace

    def replace_late(new: Path, target: Path) -> Path:
        with monkeypatch.context() as other:
            other.setattr(Path, "replace", replace)
            _point(tmp_path / "2", Alias.CHAMPION)
        return replace(new, target)

    monkeypatch.setattr(Path, "replace", replace_late)
    _point(tmp_path / "1", Alias.CHAMPION)
    assert (tmp_path / "champion").readlink() == Path("1")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["1", "2", "champion"]
