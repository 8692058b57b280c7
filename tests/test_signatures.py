"""Signed notes and webhook signatures: other implementations' examples, and every way to be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from kiosk.signatures import (
    SignatureError,
    Signer,
    Verifier,
    open_note,
    sign_webhook_v1a,
    verify_webhook_v1a,
    webhook_keys,
    webhook_private_key,
    webhook_public_key,
)

STANDARDS = Path(__file__).parent / "captures" / "standards"
WEBHOOK = json.loads((STANDARDS / "standard-webhooks" / "v1a_ed25519.json").read_text())
SIGNER = Signer("sheber/lab/0011223344556677", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def example(name: str) -> tuple[str, Verifier]:
    folder = STANDARDS / "signed-note"
    note = (folder / f"{name}.note").read_text(encoding="utf-8")
    return note, Verifier.from_vkey((folder / f"{name}.vkey").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["c2sp_example", "go_xmod_peterneumann"])
def test_a_note_that_others_signed_opens_with_their_key(name: str) -> None:
    note, verifier = example(name)
    assert note.startswith(open_note(note, [verifier]) + "\n")


@pytest.mark.parametrize("name", ["c2sp_example", "go_xmod_peterneumann"])
def test_a_verifier_key_writes_back_as_it_was_read(name: str) -> None:
    written = (STANDARDS / "signed-note" / f"{name}.vkey").read_text().strip()
    assert Verifier.from_vkey(written).vkey == written


@given(st.text(st.characters(min_codepoint=32, codec="utf-8")))
def test_what_a_key_signed_opens_with_its_public_half(text: str) -> None:
    note = SIGNER.sign_note(text + "\n")
    assert open_note(note, [Verifier.from_vkey(SIGNER.vkey)]) == text + "\n"


@given(st.data())
def test_a_note_with_any_character_changed_does_not_open_as_something_else(data: st.DataObject) -> None:
    note = SIGNER.sign_note("first\nsecond\n")
    where = data.draw(st.integers(0, len(note) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda letter: letter != note[where]))
    with pytest.raises(SignatureError):
        open_note(note[:where] + other + note[where + 1 :], [SIGNER.verifier])


def test_signatures_of_strangers_are_ignored_beside_a_known_one() -> None:
    stranger = Signer.generate("stranger")
    note = SIGNER.sign_note("text\n") + stranger.sign_note("text\n").rpartition("\n\n")[2]
    assert open_note(note, [SIGNER.verifier]) == "text\n"


def test_a_note_without_a_known_signature_is_refused() -> None:
    with pytest.raises(SignatureError, match="no known key"):
        open_note(Signer.generate(SIGNER.name).sign_note("text\n"), [SIGNER.verifier])


def test_a_wrong_signature_of_a_known_key_refuses_the_note_even_beside_a_good_one() -> None:
    good, bad = SIGNER.sign_note("text\n"), SIGNER.sign_note("other\n")
    with pytest.raises(SignatureError, match="does not fit"):
        open_note(good + bad.rpartition("\n\n")[2], [SIGNER.verifier])


@pytest.mark.parametrize("note", ["", "text\n", "text\n\n", "text\n\nno mark\n", "text\n\n\u2014 name AAAA\n"])
def test_text_that_is_no_note_is_refused_in_words(note: str) -> None:
    with pytest.raises(SignatureError, match=r".+"):
        open_note(note, [SIGNER.verifier])


@pytest.mark.parametrize("text", ["no newline", "tab\there\n", "carriage\rreturn\n"])
def test_a_text_that_no_note_may_hold_is_not_signed(text: str) -> None:
    with pytest.raises(SignatureError):
        SIGNER.sign_note(text)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "line\nbreak"])
def test_a_key_name_that_would_break_the_line_is_refused(name: str) -> None:
    with pytest.raises(SignatureError, match="key name"):
        Signer.generate(name)


@pytest.mark.parametrize(
    "text",
    ["", "a+b", "name+00000000+AAAA", "name+00000000+" + "A" * 44, SIGNER.vkey.replace("lab", "lub"), SIGNER.vkey[:-4]],
)
def test_a_damaged_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(SignatureError):
        Verifier.from_vkey(text)


def test_a_saved_key_is_readable_by_its_owner_only_and_signs_as_before(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    SIGNER.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Signer.load(path).sign_note("text\n") == SIGNER.sign_note("text\n")


def test_a_key_is_never_written_over_another(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    SIGNER.save(path)
    with pytest.raises(SignatureError, match="exists"):
        Signer.generate("other").save(path)
    assert Signer.load(path).vkey == SIGNER.vkey


def test_a_key_that_others_may_read_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    SIGNER.save(path)
    path.chmod(0o644)
    with pytest.raises(SignatureError, match="chmod 600"):
        Signer.load(path)


def test_a_key_of_another_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    SIGNER.save(path)
    with pytest.raises(SignatureError, match="belongs to"):
        Signer.load(path, "sheber/lab/ffffffffffffffff")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"PRIVATE+KEY+x", b"-----BEGIN PRIVATE KEY-----\nnothing"])
def test_a_file_that_is_no_key_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SignatureError, match=r".+"):
        Signer.load(path, "name")


def test_a_missing_key_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SignatureError, match="No such file"):
        Signer.load(tmp_path / "nothing")


def test_a_pem_key_signs_under_the_name_that_is_given(tmp_path: Path) -> None:
    path = tmp_path / "log.pem"
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(SIGNER.private_key.private_bytes(serialization.Encoding.PEM, *form))
    path.chmod(0o600)
    assert Signer.load(path, SIGNER.name).vkey == SIGNER.vkey
    with pytest.raises(SignatureError, match="no key name"):
        Signer.load(path)


def test_our_webhook_signature_is_byte_for_byte_that_of_another_sender() -> None:
    key = webhook_private_key(WEBHOOK["secret_key"])
    body = WEBHOOK["body"].encode()
    assert sign_webhook_v1a(key, WEBHOOK["msg_id"], WEBHOOK["timestamp"], body) == WEBHOOK["signature"]
    assert webhook_keys(key) == (WEBHOOK["secret_key"], WEBHOOK["public_key"])


def test_a_webhook_signature_is_found_among_others() -> None:
    header = f"v1,AAAA v1a,AAAA {WEBHOOK['signature']}"
    public = webhook_public_key(WEBHOOK["public_key"])
    verify_webhook_v1a(public, WEBHOOK["msg_id"], WEBHOOK["timestamp"], WEBHOOK["body"].encode(), header)


@pytest.mark.parametrize(
    "change",
    [{"msg_id": "msg_other"}, {"timestamp": 1614265331}, {"body": "{}"}, {"signature": ""}, {"signature": "v1,AAAA"}],
    ids=lambda change: next(iter(change)),
)
def test_a_webhook_that_was_changed_is_refused(change: dict[str, object]) -> None:
    sent = {**WEBHOOK, **change}
    public = webhook_public_key(WEBHOOK["public_key"])
    with pytest.raises(SignatureError, match="no v1a signature"):
        verify_webhook_v1a(public, sent["msg_id"], sent["timestamp"], sent["body"].encode(), sent["signature"])


@pytest.mark.parametrize(
    "text", ["", "whsk_", "whsk_AAAA", "6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=", "whsk_" + "A" * 86 + "=="]
)
def test_a_damaged_webhook_key_is_refused(text: str) -> None:
    with pytest.raises(SignatureError):
        webhook_private_key(text)
