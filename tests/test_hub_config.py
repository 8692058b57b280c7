"""`hub.toml`: what is made, and what is wrong with it in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiosk.hub.config import HubConfigError, NewEnterprise, load_hub, split_listen, write_hub
from kiosk.records import SecretError, read_secrets


def test_what_is_made_can_be_read_and_its_secrets_differ(tmp_path: Path) -> None:
    made = write_hub(tmp_path, [NewEnterprise("a", "А «Болат»"), NewEnterprise("b", "B")], listen="127.0.0.1:0")
    config = load_hub(tmp_path)
    assert [one.name for one in config.enterprises.values()] == ["А «Болат»", "B"]
    assert [config.enterprises[one.id].token for one in made] == [one.token for one in made]
    assert made[0].password != made[1].password
    assert config.enterprises["a"].secrets != config.enterprises["b"].secrets
    assert config.listen == "127.0.0.1:0"
    assert not any(one.password in (tmp_path / "hub.toml").read_text() for one in made)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_hub(tmp_path, [NewEnterprise("a", "A")])
    before = (tmp_path / "hub.toml").read_text()
    with pytest.raises(FileExistsError):
        write_hub(tmp_path, [NewEnterprise("a", "A")])
    assert (tmp_path / "hub.toml").read_text() == before


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('id = "main"', 'id = "Main!"', "may hold a-z"),
        ('id = "main"', "id = 7", "lacks id"),
        ('token_file = "main.token"', 'token_file = "gone"', "gone"),
        ('token_file = "main.token"', 'token_file = "short"', "at least 16"),
        ('secret_file = "main.whsec"', 'secret_file = "hub.toml"', "whsec_"),
        ('secret_file = "main.whsec"', 'secret_file = "gone"', "gone"),
        ("password_hash = ", "password = ", "unknown key 'password'"),
        ('"$argon2id', '"argon2id', "copy the value again"),
        ("[hub]", "[hub", "cannot be read"),
        ("[hub]", "[hubs]", "unknown key 'hubs'"),
        ("https = false", 'https = "no"', "true or false"),
        ("[[enterprise]]", "[enterprise]", "[[enterprise]]"),
        ('name = "Main"', 'name = "Main"\ntrusted = ["x"]', "copy the value again"),
        ('name = "Main"', 'name = "Main"\ntrusted = "x"', "a list"),
        ('name = "Main"', 'name = "Main"\nwebhook_public_key = "whpk_x"', "copy the value again"),
    ],
)
def test_what_is_wrong_is_said_with_the_file(tmp_path: Path, old: str, new: str, told: str) -> None:
    write_hub(tmp_path, [NewEnterprise("main", "Main")])
    (tmp_path / "short").write_text("x\n")
    path = tmp_path / "hub.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(HubConfigError) as problem:
        load_hub(tmp_path)
    assert told in str(problem.value)
    assert str(path) in str(problem.value)


def test_an_enterprise_twice_is_refused(tmp_path: Path) -> None:
    write_hub(tmp_path, [NewEnterprise("main", "Main")])
    path = tmp_path / "hub.toml"
    path.write_text(path.read_text() + path.read_text()[path.read_text().index("[[enterprise]]") :])
    with pytest.raises(HubConfigError, match="twice"):
        load_hub(tmp_path)


def test_a_secret_file_may_hold_several_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.whsec"
    path.write_text("whsec_QUJDRA==\nwhsec_RUZHSA==\n")
    assert read_secrets(path) == ("whsec_QUJDRA==", "whsec_RUZHSA==")
    for text in ("", "whsec_", "QUJDRA==", "whsec_QUJDRA==\nхэ\n"):
        path.write_text(text)
        with pytest.raises(SecretError):
            read_secrets(path)


@pytest.mark.parametrize("text", ["", "8090", ":8090", "h:", "h:x", "h:70000", "h:-1", "h:٣"])
def test_what_is_no_address_and_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="like"):
        split_listen(text)


def test_addresses_are_split_at_the_last_colon() -> None:
    assert split_listen("[::1]:8090") == ("::1", 8090)
    assert split_listen("0.0.0.0:0") == ("0.0.0.0", 0)
