"""Bytes in, badges out: what an RDM6300 does besides, any reader that writes lines, and what makes readers agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import registry
from firmware_bridge.options import OptionError
from firmware_bridge.readers.base import FRAME_BYTES_MAX, Badge, Decoder, Event, Rejected
from firmware_bridge.readers.line import FORMATS, Line, Options
from firmware_bridge.readers.rdm6300 import Rdm6300
from firmware_bridge.readers.transforms import TRANSFORMS, transform
from firmware_bridge.simulator.frames import FRAMES

UIDS = st.binary(min_size=5, max_size=5).filter(any).map(lambda number: number.hex().upper())


def fed(decoder: Decoder, data: bytes, piece: int) -> list[Event]:
    events: list[Event] = []
    for start in range(0, len(data), piece):
        events += decoder.feed(data[start : start + piece])
    return events + decoder.finish()


def badges(events: list[Event]) -> list[Event]:
    return [one for one in events if isinstance(one, Badge)]


def test_lower_case_frames_give_the_upper_case_number() -> None:
    assert Rdm6300().feed(b"\x0267003b51c6cb\x03") == [Badge("67003B51C6")]


@pytest.mark.parametrize("check", [0x02, 0x03, 0x30])
def test_a_raw_checksum_may_be_any_byte_even_one_that_frames(check: int) -> None:
    number = bytes((0x01, 0, 0, 0, 0x01 ^ check))
    assert fed(Rdm6300(), b"\x02" + number.hex().encode() + bytes((check, 3)), 1) == [Badge(number.hex().upper())]


def test_a_clone_with_a_wrong_raw_checksum_is_told_as_that() -> None:
    assert Rdm6300().feed(b"\x020114AE3BBC\xff\x03") == [Rejected("checksum")]


def test_a_frame_that_lost_a_digit_is_a_broken_frame_and_the_next_one_counts() -> None:
    lost = b"\x0267003B51C6C\x03"
    assert Rdm6300().feed(lost + FRAMES["rdm6300"]("67003B51C6")) == [Rejected("framing"), Badge("67003B51C6")]


def test_rejects_are_counted_by_reason() -> None:
    decoder = Rdm6300()
    fed(decoder, b"xx" + b"\x0268003B51C6CB\x03" + FRAMES["rdm6300"]("0000000000") + FRAMES["rdm6300"]("67003B51C6"), 5)
    assert (decoder.badges, decoder.rejected) == (1, {"framing": 1, "checksum": 1, "noise": 1})


LINES = st.text("0123456789ABCDEFabcdef,:- \r\n", max_size=20).map(str.encode)


@given(st.lists(st.one_of(st.binary(max_size=40), LINES, UIDS.map(FRAMES["line"]))), st.integers(1, 50))
def test_how_the_bytes_of_lines_are_cut_makes_no_difference(parts: list[bytes], piece: int) -> None:
    data = b"".join(parts)
    for form in FORMATS:
        events = fed(Line(Options(form)), data, piece)
        assert events == fed(Line(Options(form)), data, max(1, len(data)))
        assert all(one.uid == bytes.fromhex(one.uid).hex().upper() for one in events if isinstance(one, Badge))


@given(
    st.binary(max_size=2_000).map(lambda data: data.replace(b"\x02", b"\x20").replace(b"\n", b"").replace(b"\r", b""))
)
def test_bytes_without_a_frame_give_no_badge_and_hold_no_memory(data: bytes) -> None:
    for decoder in (Rdm6300(), Line()):
        assert badges(decoder.feed(data)) == []
        assert len(decoder._buffer) < FRAME_BYTES_MAX


@given(st.lists(UIDS, max_size=5))
def test_every_number_survives_the_wire(uids: list[str]) -> None:
    for decoder, frame in ((Rdm6300(), FRAMES["rdm6300"]), (Line(), FRAMES["line"])):
        assert decoder.feed(b"".join(frame(uid) for uid in uids)) == [Badge(uid) for uid in uids]


@pytest.mark.parametrize(
    ("form", "line", "told"),
    [
        ("hex", b"67003b51c6\r\n", Badge("67003B51C6")),
        ("hex", b"04:D7:A7:9A:97:37:80\n", Badge("04D7A79A973780")),
        ("hex", b"04-d7-a7 9a\r", Badge("04D7A79A")),
        ("hex", b"  67003B51C6 \r", Badge("67003B51C6")),
        ("hex", b"67003B51C\r", Rejected("format")),
        ("hex", b"OK\r", Rejected("format")),
        ("hex", b":67003B51C6\r", Rejected("format")),
        ("hex", b"00000000\r", Rejected("noise")),
        ("hex", b"\xff\xfe\r", Rejected("noise")),
        ("hex", b"67\x0003B51C6\r", Rejected("noise")),
        ("decimal", b"0008075634\r\n", Badge("007B3972")),
        ("decimal", b"4294967295\n", Badge("FFFFFFFF")),
        ("decimal", b"4294967296\n", Rejected("format")),
        ("decimal", b"8075634\n", Rejected("format")),
        ("decimal", b"0000000000\n", Rejected("noise")),
        ("decimal", b"08075634\n", Badge("7B3972")),
        ("decimal", b"16777216\n", Rejected("format")),
        ("decimal", b"0476749445490\r", Badge("6F007B3972")),
        ("decimal", b"1099511627776\r", Rejected("format")),
        ("decimal", b"000807563A\n", Rejected("format")),
        ("decimal", b"00 8123456\n", Rejected("format")),
        ("wiegand", b"123,14706\n", Badge("7B3972")),
        ("wiegand", b"3,5\n", Badge("030005")),
        ("wiegand", b"256,00001\n", Rejected("format")),
        ("wiegand", b"001,65536\n", Rejected("format")),
        ("wiegand", b"12314706\n", Rejected("format")),
        ("wiegand", b"00123,14706\n", Badge("007B3972")),
        ("wiegand", b"65535,65535\n", Badge("FFFFFFFF")),
        ("wiegand", b"65536,00001\n", Rejected("format")),
        ("wiegand", b"0123,14706\n", Rejected("format")),
        ("wiegand", b"00123,4706\n", Rejected("format")),
        ("wiegand", b"000,00000\n", Rejected("noise")),
    ],
)
def test_a_line_is_read_in_the_configured_form_and_in_no_other(form: str, line: bytes, told: Event) -> None:
    assert fed(Line(Options(form)), line, 1) == [told]


def test_empty_lines_and_doubled_ends_are_nothing() -> None:
    assert Line().feed(b"\r\n\r\n \n67003B51C6\r\n\r\n") == [Badge("67003B51C6")]


def test_a_line_without_its_end_is_no_badge() -> None:
    assert fed(Line(), b"67003B51", 99) == [Rejected("framing")]


def test_a_line_without_end_is_dropped_once_and_the_one_after_it_counts() -> None:
    endless = b"A" * 100_000 + b"\r67003B51C6\r"
    assert fed(Line(), endless, 1_000) == [Rejected("too_long"), Badge("67003B51C6")]


@pytest.mark.parametrize(
    ("options", "key", "remedy"),
    [({"fromat": "hex"}, "fromat", "did you mean `format`?"), ({"format": "octal"}, "format", "decimal, hex, wiegand")],
)
def test_a_wrong_option_is_named_with_the_remedy(options: dict[str, object], key: str, remedy: str) -> None:
    with pytest.raises(OptionError, match=remedy.replace("?", r"\?")) as raised:
        Line.from_table(options)
    assert raised.value.key == key


@pytest.mark.parametrize(
    ("name", "uid", "same"),
    [
        (None, "67003BA867", "67003BA867"),
        ("reverse", "2C7FB28F", "8FB27F2C"),
        ("low32", "6F007B3972", "007B3972"),
        ("low32", "7B3972", "007B3972"),
        ("wiegand26", "6F007B3972", "7B3972"),
        ("low40", "03843A3529A171", "3A3529A171"),
        ("reverse_bits", "F00022F10D", "0F00448FB0"),
        ("reverse_bits+low32", "F600DE9C4E", "007B3972"),
        ("reverse+low32", "8037979AA7D704", "9A973780"),
    ],
)
def test_a_transform_makes_two_readers_agree_on_one_card(name: str | None, uid: str, same: str) -> None:
    assert transform(name)(uid) == same


AT_EACH_READER = {
    "rdm6300": ({}, FRAMES["rdm6300"]("6F007B3972")),
    "id12": ({}, FRAMES["id12"]("6F007B3972")),
    "parallax": ({}, FRAMES["parallax"]("6F007B3972")),
    "gwiot7941": ({}, FRAMES["gwiot7941"]("6F007B3972")),
    "hex": ({"format": "hex"}, b"6F 00 7B 39 72\r\n"),
    "13 digits": ({"format": "decimal"}, b"0476749445490\r\n"),
    "10 digits": ({"format": "decimal"}, b"0008075634\r\n"),
    "5 + 5 digits": ({"format": "wiegand"}, b"00123,14706\r\n"),
    "8 digits": ({"format": "decimal"}, b"08075634\r\n"),
    "facility and card": ({"format": "wiegand"}, b"123,14706\r\n"),
}
"""One real card (printed.jsonl, P04) as every reader says it: options and bytes."""


def at_a_reader(name: str, change: str | None) -> str:
    options, data = AT_EACH_READER[name]
    (badge,) = registry.reader(name if name in registry.READERS else "line", options).feed(data)
    assert isinstance(badge, Badge)
    return transform(change)(badge.uid)


@pytest.mark.parametrize(
    ("change", "uid", "readers"),
    [
        (None, "6F007B3972", ["rdm6300", "id12", "parallax", "gwiot7941", "hex", "13 digits"]),
        ("low32", "007B3972", ["rdm6300", "id12", "parallax", "gwiot7941", "hex", "13 digits"]),
        (None, "007B3972", ["10 digits", "5 + 5 digits"]),
        ("wiegand26", "7B3972", list(AT_EACH_READER)),
        (None, "7B3972", ["8 digits", "facility and card"]),
    ],
)
def test_every_pair_of_readers_can_agree_on_one_card(change: str | None, uid: str, readers: list[str]) -> None:
    assert {at_a_reader(name, change) for name in readers} == {uid}


@given(UIDS)
def test_reversing_twice_is_the_same_number(uid: str) -> None:
    assert transform("reverse+reverse")(uid) == transform("reverse_bits+reverse_bits")(uid) == uid


@given(UIDS, st.lists(st.sampled_from(sorted(TRANSFORMS)), min_size=1, max_size=3))
def test_whatever_is_joined_gives_a_canonical_number(uid: str, names: list[str]) -> None:
    changed = transform("+".join(names))(uid)
    assert bytes.fromhex(changed).hex().upper() == changed


def test_an_unknown_transform_says_which_there_are() -> None:
    with pytest.raises(OptionError, match="low32, low40, reverse, reverse_bits, wiegand26, or"):
        transform("rot13")
