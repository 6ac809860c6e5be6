"""Keys that sign certificates: made once, for their owner alone, trusted by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from online.adapters.key_files import check_name, open_key, read_trust
from online.domain.errors import InvalidInput, InvalidSettings

pytestmark = pytest.mark.lean


def test_a_key_is_made_on_first_use_and_kept(tmp_path: Path) -> None:
    path, trusted = tmp_path / "keys" / "gates.pem", tmp_path / "trusted" / "gates.pem"
    made = open_key(path, trusted)
    assert path.stat().st_mode & 0o777 == 0o600
    again = open_key(path, trusted)
    assert again.private_bytes_raw() == made.private_bytes_raw()
    trust = read_trust(trusted.parent)
    assert trust.gates == (made.public_key().public_bytes_raw(),)
    assert sorted(p.name for p in path.parent.iterdir()) == ["gates.pem"]


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gates.pem"
    open_key(path, tmp_path / "trusted" / "gates.pem")
    path.chmod(0o640)
    with pytest.raises(InvalidSettings, match="chmod 600"):
        open_key(path, tmp_path / "trusted" / "gates.pem")


def test_a_lost_private_key_is_not_silently_replaced(tmp_path: Path) -> None:
    path, trusted = tmp_path / "gates.pem", tmp_path / "trusted" / "gates.pem"
    open_key(path, trusted)
    path.unlink()
    with pytest.raises(InvalidSettings, match="no signing key"):
        open_key(path, trusted)
    assert not path.exists()


def test_what_is_no_key_is_named(tmp_path: Path) -> None:
    path, trusted = tmp_path / "gates.pem", tmp_path / "trusted"
    path.write_text("no key")
    path.chmod(0o600)
    with pytest.raises(InvalidSettings, match="no PEM key"):
        open_key(path, trusted / "gates.pem")
    other = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(InvalidSettings, match="no Ed25519 key"):
        open_key(path, trusted / "gates.pem")
    with pytest.raises(InvalidSettings, match="cannot be read or made"):
        open_key(path / "below", trusted / "gates.pem")


def test_trust_goes_by_the_names_of_the_files(tmp_path: Path) -> None:
    keys = {
        name: open_key(tmp_path / "keys" / name, tmp_path / "trusted" / f"{name}.pem")
        for name in ("gates", "gates-2025", "approver-ada.l")
    }
    trust = read_trust(tmp_path / "trusted")
    assert set(trust.gates) == {
        keys[name].public_key().public_bytes_raw() for name in ("gates", "gates-2025")
    }
    assert set(trust.approvers) == {"ada.l"}


def test_without_a_folder_nobody_is_trusted(tmp_path: Path) -> None:
    trust = read_trust(tmp_path / "absent")
    assert (trust.gates, dict(trust.approvers)) == ((), {})


def test_a_file_of_trust_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "gates.pem").write_text("no key")
    with pytest.raises(InvalidSettings, match="cannot be read"):
        read_trust(tmp_path)
    (tmp_path / "gates.pem").unlink()
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "gates.pem").write_bytes(pem)
    with pytest.raises(InvalidSettings, match="no Ed25519 key"):
        read_trust(tmp_path)
    (tmp_path / "gates.pem").unlink()
    open_key(tmp_path / "keys" / "x", tmp_path / "boss.pem")
    with pytest.raises(InvalidSettings, match=r"boss\.pem is named neither"):
        read_trust(tmp_path)


@pytest.mark.parametrize("name", ["", "../ada", "a/b", "1st", "a" * 65])
def test_a_name_that_no_file_can_bear_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        check_name(name)
