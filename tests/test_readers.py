"""Bytes in, badges out: every capture whole and in pieces, hostile bytes, and the options of each protocol."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.options import OptionError
from firmware_bridge.readers.base import FRAME_BYTES_MAX, Badge, Decoder, Event, Rejected
from firmware_bridge.readers.line import Line, Options
from firmware_bridge.readers.rdm6300 import Rdm6300
from firmware_bridge.readers.transforms import TRANSFORMS, transform
from firmware_bridge.simulator.frames import FRAMES
from tests.wires_fixtures import captures

CAPTURED = captures("serial.jsonl")
RDM = [one for one in CAPTURED if one["family"].startswith("rdm6300")]
FOREIGN = [one for one in CAPTURED if not one["family"].startswith("rdm6300")]
NOISE = b"\x98\x80\x98\x80\x1efS\xc5\x90"
UIDS = st.binary(min_size=5, max_size=5).filter(any).map(lambda number: number.hex().upper())


def event(expect: dict[str, Any]) -> Event:
    if "error" in expect:
        return Rejected(expect["error"])
    # Zeros are noise for us (hours, section 3), although their frame is right.
    return Badge(expect["uid_hex"]) if expect["uid_hex"].strip("0") else Rejected("noise")


def expected(capture: dict[str, Any]) -> list[Event]:
    expect = capture["expect"]
    return [event(one) for one in expect.get("stream", [expect])]


def fed(decoder: Decoder, data: bytes, piece: int) -> list[Event]:
    events: list[Event] = []
    for start in range(0, len(data), piece):
        events += decoder.feed(data[start : start + piece])
    return events + decoder.finish()


def badges(events: list[Event]) -> list[Event]:
    return [one for one in events if isinstance(one, Badge)]


@pytest.mark.parametrize("capture", RDM, ids=lambda one: one["id"])
@pytest.mark.parametrize("piece", [1, 2, 13, 14, 10_000])
def test_each_capture_means_what_it_must_however_it_is_cut(capture: dict[str, Any], piece: int) -> None:
    assert fed(Rdm6300(), bytes.fromhex(capture["hex"]), piece) == expected(capture)


@pytest.mark.parametrize("capture", RDM, ids=lambda one: one["id"])
def test_noise_around_a_capture_costs_no_badge_and_makes_none(capture: dict[str, Any]) -> None:
    data = NOISE + bytes.fromhex(capture["hex"]) + NOISE
    assert badges(fed(Rdm6300(), data, 1)) == badges(expected(capture))


def test_all_captures_on_one_line_give_all_their_badges_in_order() -> None:
    data = b"".join(bytes.fromhex(one["hex"]) for one in RDM)
    assert badges(fed(Rdm6300(), data, 3)) == badges([told for one in RDM for told in expected(one)])


def test_no_badge_comes_before_the_last_byte_of_its_frame() -> None:
    frame = FRAMES["rdm6300"]("67003B51C6")
    decoder = Rdm6300()
    assert [decoder.feed(bytes((byte,))) for byte in frame] == [[]] * 13 + [[Badge("67003B51C6")]]


@pytest.mark.parametrize("capture", FOREIGN, ids=lambda one: one["id"])
def test_another_protocol_on_the_line_is_never_a_badge(capture: dict[str, Any]) -> None:
    assert badges(fed(Rdm6300(), bytes.fromhex(capture["hex"]), 1)) == []


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


@pytest.mark.parametrize("length", range(1, 14))
def test_a_frame_cut_off_anywhere_does_not_swallow_the_next(length: int) -> None:
    frame = FRAMES["rdm6300"]("67003B51C6")
    assert Rdm6300().feed(frame[:length] + frame) == [Rejected("framing"), Badge("67003B51C6")]


def test_half_a_frame_is_not_joined_to_what_comes_after_the_line_was_lost() -> None:
    frame = FRAMES["rdm6300"]("67003B51C6")
    decoder = Rdm6300()
    assert decoder.feed(frame[:7]) + decoder.finish() == [Rejected("framing")]
    assert badges(decoder.feed(frame[7:])) == []


def test_rejects_are_counted_by_reason() -> None:
    decoder = Rdm6300()
    fed(decoder, b"xx" + b"\x0268003B51C6CB\x03" + FRAMES["rdm6300"]("0000000000") + FRAMES["rdm6300"]("67003B51C6"), 5)
    assert (decoder.badges, decoder.rejected) == (1, {"framing": 1, "checksum": 1, "noise": 1})


@given(st.lists(st.one_of(st.binary(max_size=40), UIDS.map(FRAMES["rdm6300"]))), st.integers(1, 50))
def test_how_the_bytes_are_cut_makes_no_difference(parts: list[bytes], piece: int) -> None:
    data = b"".join(parts)
    for decoder_class in (Rdm6300, Line):
        assert fed(decoder_class(), data, piece) == fed(decoder_class(), data, max(1, len(data)))


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


def test_a_megabyte_of_start_bytes_is_survived_with_one_frame_of_memory() -> None:
    decoder = Rdm6300()
    decoder.feed(b"\x02" * 1_000_000)
    assert len(decoder._buffer) < FRAME_BYTES_MAX
    assert badges(decoder.feed(FRAMES["rdm6300"]("67003B51C6"))) == [Badge("67003B51C6")]


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
        ("wiegand", b"123,14706\n", Badge("7B3972")),
        ("wiegand", b"3,5\n", Badge("030005")),
        ("wiegand", b"256,00001\n", Rejected("format")),
        ("wiegand", b"001,65536\n", Rejected("format")),
        ("wiegand", b"12314706\n", Rejected("format")),
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


def test_a_protocol_without_options_says_so() -> None:
    with pytest.raises(OptionError, match="leave it out"):
        Rdm6300.from_table({"format": "hex"})


@pytest.mark.parametrize(
    ("name", "uid", "same"),
    [
        (None, "67003BA867", "67003BA867"),
        ("reverse", "2C7FB28F", "8FB27F2C"),
        ("low32", "6F007B3972", "007B3972"),
        ("low32", "7B3972", "007B3972"),
        ("wiegand26", "6F007B3972", "7B3972"),
    ],
)
def test_a_transform_makes_two_readers_agree_on_one_card(name: str | None, uid: str, same: str) -> None:
    assert transform(name)(uid) == same


@given(UIDS)
def test_reversing_twice_is_the_same_number(uid: str) -> None:
    assert TRANSFORMS["reverse"](TRANSFORMS["reverse"](uid)) == uid


def test_an_unknown_transform_says_which_there_are() -> None:
    with pytest.raises(OptionError, match="low32, reverse, wiegand26"):
        transform("rot13")
