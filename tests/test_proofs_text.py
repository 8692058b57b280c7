"""Canonical JSON, checkpoints and proofs as text: one spelling each, everything else refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from kiosk.proofs import (
    Checkpoint,
    ProofError,
    canonical,
    leaf_hash,
    parse_canonical,
    parse_tlog_proof,
    read,
    split_note,
    tlog_proof,
)

NOTES = Path(__file__).parent / "captures" / "standards" / "signed-note"
NOTE = (NOTES / "c2sp_checkpoint_example.note").read_text(encoding="utf-8")
PATH = (leaf_hash(b"one"), leaf_hash(b"two"))

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(max_codepoint=127)), inner),
    max_leaves=25,
)


@given(values)
def test_the_fast_way_writes_the_bytes_of_a_full_rfc_8785_implementation(value: object) -> None:
    assert canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


@given(st.dictionaries(st.text(st.characters(max_codepoint=127)), values, max_size=3))
def test_canonical_bytes_read_back_as_what_was_written(value: dict[str, object]) -> None:
    assert parse_canonical(canonical(value)) == value


def spelt(value: Any) -> Any:
    """A value with its types, which `==` does not tell apart: 1 is True."""
    if isinstance(value, dict):
        return [(key, spelt(item)) for key, item in value.items()]
    return [spelt(item) for item in value] if isinstance(value, list) else (type(value), value)


@given(values)
def test_the_fast_reader_of_canonical_bytes_reads_what_the_standard_library_reads(value: object) -> None:
    data = canonical(value)
    assert spelt(read(data)) == spelt(json.loads(data)) == spelt(read(data.decode("utf-8")))
    assert canonical(read(data)) == data


@pytest.mark.parametrize("data", [b'{"a":NaN}', b"[Infinity]", b"{'a':1}", b'"\xff"', b"[1,]", b"", b'{"a":1}{"a":1}'])
def test_the_fast_reader_refuses_what_is_no_json(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read(data)


class Named(NamedTuple):
    first: object
    second: object = None


@pytest.mark.parametrize("levels", [1, 253, 254, 255, 256, 400])
def test_what_the_fast_writer_does_not_take_has_the_same_bytes(levels: int) -> None:
    value: object = {"b": 1, "a": "\u007f\u2028\x1f"}
    for _ in range(levels):
        value = [value]
    assert canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]
    assert canonical(Named(value)) == rfc8785.dumps([value, None])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (1.5, "type float"),
        (float("nan"), "type float"),
        (2**53, "53 bits"),
        (-(2**53), "53 bits"),
        ({"ә": 1}, "not ASCII"),
        ({1: 1}, "not ASCII"),
        ("\ud800", "surrogate"),
        ({"key": ["\udfff"]}, "surrogate"),
        (b"bytes", "type bytes"),
        ({1, 2}, "type set"),
    ],
)
def test_what_has_no_single_spelling_is_refused_with_the_reason(value: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        canonical(value)


def test_endless_nesting_is_refused_not_a_crash() -> None:
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError, match="too deeply"):
        canonical(value)
    with pytest.raises(ValueError, match="too deeply"):
        parse_canonical(b"[" * 100_000)


@pytest.mark.parametrize(
    "data",
    [
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b'{"a":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":"\\u0041"}',
        b"[]",
        b"",
        b"\xff",
    ],
)
def test_json_in_another_spelling_is_not_canonical(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_canonical(data)


def test_the_checkpoint_example_of_the_standard_reads_and_writes_back() -> None:
    checkpoint = Checkpoint.of_note(NOTE)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert NOTE.startswith(checkpoint.text() + "\n")
    assert Checkpoint.parse(checkpoint.text()) == checkpoint


def test_extension_lines_are_kept_as_they_are() -> None:
    checkpoint = Checkpoint("origin", 1, leaf_hash(b"x"), ("more", "lines"))
    assert Checkpoint.parse(checkpoint.text()) == checkpoint


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("20852163", "020852163", "tree size"),
        ("20852163", "+1", "tree size"),
        ("20852163", "٣", "tree size"),
        ("20852163", "", "three lines"),
        ("example.com/behind-the-sofa", "", "three lines"),
        ("q2I=", "q2J=", "canonical base64"),
        ("q2I=", "q2I", "not base64"),
        ("q2I=", "", "base64|32 bytes"),
    ],
)
def test_a_damaged_checkpoint_is_refused_with_the_reason(old: str, new: str, reason: str) -> None:
    text = Checkpoint.of_note(NOTE).text()
    assert old in text
    with pytest.raises(ProofError, match=reason):
        Checkpoint.parse(text.replace(old, new))


def test_a_checkpoint_without_its_last_newline_is_refused() -> None:
    with pytest.raises(ProofError, match="newline"):
        Checkpoint.parse(Checkpoint.of_note(NOTE).text()[:-1])


@given(st.integers(0, 10**15), st.lists(st.binary(min_size=32, max_size=32), max_size=64), st.none() | st.binary())
def test_a_proof_reads_back_as_it_was_written(index: int, path: list[bytes], extra: bytes | None) -> None:
    proof = parse_tlog_proof(tlog_proof(index, path, NOTE, extra))
    assert (proof.index, proof.path, proof.checkpoint_note, proof.extra) == (index, tuple(path), NOTE, extra)


def test_a_proof_is_laid_out_as_the_standard_shows_it() -> None:
    lines = tlog_proof(17, PATH, NOTE).split("\n")
    assert lines[:2] == ["c2sp.org/tlog-proof@v1", "index 17"]
    assert lines[4] == ""
    assert "\n".join(lines[5:]) == NOTE


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("@v1", "@v2", "first line"),
        ("index 17", "index 017", "index"),
        ("index 17", "index -1", "index"),
        ("index 17", "Index 17", "does not say its index"),
        ("index 17", "extra A\nindex 17", "base64"),
        ("index 17\n", "index 17\nAAAA\n", "32 bytes"),
        ("\n\n", "\n", "empty line|signature"),
        ("index 17\n", "index 17\n" + "A" * 43 + "=\n" + ("A" * 43 + "=\n") * 64, "longer than any log"),
    ],
)
def test_a_damaged_proof_is_refused_with_the_reason(old: str, new: str, reason: str) -> None:
    with pytest.raises(ProofError, match=reason):
        parse_tlog_proof(tlog_proof(17, PATH, NOTE).replace(old, new))


def test_a_proof_whose_checkpoint_carries_no_signature_is_refused() -> None:
    with pytest.raises(ProofError, match=r"no signatures|not a signature"):
        parse_tlog_proof(tlog_proof(17, PATH, Checkpoint.of_note(NOTE).text()))


def test_a_note_longer_than_a_note_may_be_is_refused_before_it_is_read() -> None:
    with pytest.raises(ProofError, match="longer"):
        split_note("x" * 1_000_001)
