"""Readers that must be asked, as decoders and as conversations: every capture, hostile bytes, and whose turn it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import registry
from firmware_bridge.options import OptionError
from firmware_bridge.readers import pn532, twn4, yrm100
from firmware_bridge.readers.asking import Asking
from firmware_bridge.readers.base import FRAME_BYTES_MAX, Badge, Event, Rejected
from firmware_bridge.readers.pn532 import Pn532
from firmware_bridge.readers.twn4 import Twn4
from firmware_bridge.readers.yrm100 import Yrm100
from firmware_bridge.simulator.active_frames import ACTIVE_FRAMES, pn532_answer, twn4_answer, yrm100_frame
from tests.wires_fixtures import captures

FAMILIES = {
    "pn532-hsu": "pn532",
    "uhf-yrm100": "yrm100",
    "uhf-r200": "yrm100",
    "twn4-simple": "twn4",
    "twn4-simple-bin": "twn4",
}
CAPTURED = [one for one in captures("serial.jsonl") if one["family"] in FAMILIES]
FOREIGN = [one for one in captures("serial.jsonl") if one["family"] not in FAMILIES]
NOISE = b"\x98\x80\x98\x80\x1efS\xc5\x90"
PROTOCOLS = sorted(ACTIVE_FRAMES)
NUMBERS = {"pn532": "04D7A79A973780", "yrm100": "E20010710000529B0940B402", "twn4": "04D7A79A973780"}


def decoder(protocol: str, **options: object) -> Asking:
    made = registry.reader(protocol, options)
    assert isinstance(made, Asking)
    return made


def expected(capture: dict[str, Any]) -> list[Event]:
    expect = capture["expect"]
    if "error" in expect:
        return [Rejected(expect["error"])]
    if "reader_error" in expect:
        return [Rejected("reader_error")]
    if "ignore" in expect or "no_target" in expect:
        return []
    return [Badge(uid) for uid in expect.get("uids", [expect.get("uid_hex")])]


def fed(reader: Asking, data: bytes, piece: int) -> list[Event]:
    events: list[Event] = []
    for start in range(0, len(data), piece):
        events += reader.feed(data[start : start + piece])
    return events + reader.finish()


def badges(events: list[Event]) -> list[Event]:
    return [one for one in events if isinstance(one, Badge)]


@pytest.mark.parametrize("capture", CAPTURED, ids=lambda one: one["id"])
@pytest.mark.parametrize("piece", [1, 2, 13, 10_000])
def test_each_capture_means_what_it_must_however_it_is_cut(capture: dict[str, Any], piece: int) -> None:
    assert fed(decoder(FAMILIES[capture["family"]]), bytes.fromhex(capture["hex"]), piece) == expected(capture)


@pytest.mark.parametrize("capture", CAPTURED, ids=lambda one: one["id"])
def test_noise_around_a_capture_costs_no_badge_and_makes_none(capture: dict[str, Any]) -> None:
    data = NOISE + bytes.fromhex(capture["hex"]) + NOISE
    for piece in (1, len(data)):
        assert badges(fed(decoder(FAMILIES[capture["family"]]), data, piece)) == badges(expected(capture))


@pytest.mark.parametrize("family", sorted(set(FAMILIES.values())))
def test_all_captures_on_one_line_give_all_their_badges_in_order(family: str) -> None:
    ours = [one for one in CAPTURED if FAMILIES[one["family"]] == family]
    data = b"".join(bytes.fromhex(one["hex"]) for one in ours)
    assert badges(fed(decoder(family), data, 3)) == badges([told for one in ours for told in expected(one)])


@pytest.mark.parametrize("capture", [one for one in CAPTURED if "atqa" in one["expect"]], ids=lambda one: one["id"])
def test_what_a_card_says_of_its_kind_is_told_beside_its_number(capture: dict[str, Any]) -> None:
    (badge,) = fed(Pn532(), bytes.fromhex(capture["hex"]), 99)
    assert isinstance(badge, Badge)
    assert badge.details == {key: capture["expect"][key] for key in ("atqa", "sak")}


@pytest.mark.parametrize("capture", [one for one in FOREIGN if one["family"] == "pn532-payload"], ids=lambda o: o["id"])
def test_a_payload_counts_inside_its_frame_and_only_there(capture: dict[str, Any]) -> None:
    payload = bytes.fromhex(capture["hex"])
    assert fed(Pn532(), payload, 1) == [Rejected("noise")]
    assert fed(Pn532(), pn532_answer(payload[1:]), 1) == expected(capture)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("capture", FOREIGN, ids=lambda one: one["id"])
def test_another_protocol_on_the_line_is_never_a_badge(capture: dict[str, Any], protocol: str) -> None:
    assert badges(fed(decoder(protocol), bytes.fromhex(capture["hex"]), 1)) == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_badge_comes_before_its_checksum(protocol: str) -> None:
    reader = decoder(protocol)
    frame = ACTIVE_FRAMES[protocol]([NUMBERS[protocol]]).rstrip(b"\0" if protocol == "pn532" else b"")
    told = [reader.feed(bytes((byte,))) for byte in frame]
    assert told == [[]] * (len(frame) - 1) + [[Badge(NUMBERS[protocol])]]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_frame_cut_off_anywhere_does_not_swallow_the_next(protocol: str) -> None:
    frame = ACTIVE_FRAMES[protocol]([NUMBERS[protocol]])
    for length in range(1, len(frame)):
        if protocol == "twn4":
            # A text line that lost its end and was not silent between runs into the next: nothing could part them.
            reader = decoder(protocol)
            events = reader.feed(frame[:length]) + reader.finish() + reader.feed(frame)
        else:
            events = fed(decoder(protocol), frame[:length] + frame, 1)
        assert Badge(NUMBERS[protocol]) in events, length


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_half_a_frame_is_not_joined_to_what_comes_after_the_line_was_lost(protocol: str) -> None:
    frame = ACTIVE_FRAMES[protocol]([NUMBERS[protocol]])
    reader = decoder(protocol)
    assert reader.feed(frame[:9]) + reader.finish() == [Rejected("framing")]
    assert badges(reader.feed(frame[9:]) + reader.finish()) == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_bit_that_tipped_over_makes_no_other_badge(protocol: str) -> None:
    if protocol == "twn4":
        frame = twn4_answer([NUMBERS["twn4"]], form="binary", crc=True)
        reader: Asking = Twn4(twn4.Options("binary", crc=True))
    else:
        frame, reader = ACTIVE_FRAMES[protocol]([NUMBERS[protocol]]), decoder(protocol)
    for bit in range(len(frame) * 8):
        tipped = bytearray(frame)
        tipped[bit // 8] ^= 1 << bit % 8
        assert set(badges(fed(reader, bytes(tipped), 1))) <= {Badge(NUMBERS[protocol])}, bit


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_badge_of_zeros_is_noise(protocol: str) -> None:
    zeros = "0" * len(NUMBERS[protocol])
    assert fed(decoder(protocol), ACTIVE_FRAMES[protocol]([zeros]), 1) == [Rejected("noise")]


# -- hostile bytes ----------------------------------------------------------------------------------------------------

PIECES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from([bytes.fromhex(one["hex"]) for one in CAPTURED]),
        st.sampled_from([b"\0\0\xff", b"\0\xff\xff\xff", b"\xbb\x02\x22\0", b"\xaa\x01", b"\x0d\0\0", b"0001", b"\r"]),
    )
)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(parts=PIECES, piece=st.integers(1, 300))
def test_how_the_bytes_are_cut_makes_no_difference(protocol: str, parts: list[bytes], piece: int) -> None:
    data = b"".join(parts)
    whole, cut = decoder(protocol), decoder(protocol)
    assert fed(cut, data, piece) == fed(whole, data, max(1, len(data)))
    assert (cut.rejected, cut.badges, cut.understood) == (whole.rejected, whole.badges, whole.understood)


@pytest.mark.parametrize("protocol", ["pn532", "yrm100"])
@given(data=st.binary(max_size=2_000))
def test_noise_gives_no_badge_and_holds_no_memory(protocol: str, data: bytes) -> None:
    reader = decoder(protocol)
    assert badges(reader.feed(data)) == []
    assert len(reader._buffer) < FRAME_BYTES_MAX


@given(data=st.binary(max_size=2_000))
def test_noise_holds_no_memory_of_the_twn4(data: bytes) -> None:
    reader = Twn4(twn4.Options(crc=True))
    assert badges(reader.feed(data)) == []
    assert len(reader._buffer) < FRAME_BYTES_MAX


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("byte", [0x00, 0xFF, 0xBB, 0xAA, 0x30, 0x0D, 0x02])
def test_a_flood_of_one_byte_is_survived_with_one_frame_of_memory(protocol: str, byte: int) -> None:
    reader = decoder(protocol)
    reader.feed(bytes((byte,)) * 200_000)
    assert len(reader._buffer) < FRAME_BYTES_MAX
    reader.finish()
    assert badges(reader.feed(ACTIVE_FRAMES[protocol]([NUMBERS[protocol]]))) == [Badge(NUMBERS[protocol])]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(numbers=st.lists(st.binary(min_size=7, max_size=7).filter(any), min_size=1, max_size=2))
def test_every_number_survives_the_wire(protocol: str, numbers: list[bytes]) -> None:
    uids = [(one[:6] * 2 if protocol == "yrm100" else one).hex().upper() for one in numbers]
    uids = [uid if uid.strip("0") else "01" + uid[2:] for uid in uids]
    assert decoder(protocol).feed(ACTIVE_FRAMES[protocol](uids)) == [Badge(uid) for uid in uids]


def test_a_frame_that_noise_only_pretended_hides_no_good_one_once_the_line_is_quiet() -> None:
    # BB 02 22 00 F0 claims 247 bytes; the tag's frame stands inside.
    reader = Yrm100()
    assert reader.feed(b"\xbb\x02\x22\x00\xf0" + ACTIVE_FRAMES["yrm100"]([NUMBERS["yrm100"]])) == []
    assert badges(reader.finish()) == [Badge(NUMBERS["yrm100"])]


# -- what each of them has of its own ---------------------------------------------------------------------------------


def test_the_number_of_an_iso_14443_4_card_ends_where_its_length_says_and_its_ats_is_no_part_of_it() -> None:
    # Two cards: a DESFire (SAK 20, seven bytes, ATS of six) and a Mifare Classic behind it.
    listed = bytes.fromhex("4b02" + "01034420" + "0704112233445566" + "067577810280" + "02000408" + "045cbbe5d5")
    assert fed(Pn532(), pn532_answer(listed), 1) == [Badge("04112233445566"), Badge("5CBBE5D5")]


def test_a_card_with_ten_bytes_is_a_badge_of_ten_bytes() -> None:
    listed = bytes.fromhex("4b0101004400" + "0a" + "04112233445566778899")
    assert Pn532().feed(pn532_answer(listed)) == [Badge("04112233445566778899")]


@pytest.mark.parametrize("listed", ["4b01", "4b0101004408", "4b01010044080004", "4b01010004080501020304", "4b03010004"])
def test_a_list_of_cards_that_ends_too_early_is_no_badge(listed: str) -> None:
    assert Pn532().feed(pn532_answer(bytes.fromhex(listed))) == [Rejected("format")]


def test_a_number_that_begins_with_a_cascade_tag_is_no_number() -> None:
    assert Pn532().feed(pn532_answer(bytes.fromhex("4b010100440004" + "88041122"))) == [Rejected("format")]


def test_an_extended_frame_means_what_a_normal_one_means() -> None:
    answer = bytes.fromhex("d54b0101000408045cbbe5d5")
    frame = b"\0\0\xff\xff\xff\0\x0c\xf4" + answer + bytes((-sum(answer) & 0xFF, 0))
    assert fed(Pn532(), frame, 1) == [Badge("5CBBE5D5")]


def test_an_extended_frame_longer_than_any_list_of_cards_is_too_long() -> None:
    assert Pn532().feed(b"\0\0\xff\xff\xff\x01\x05\xfa" + bytes(50)) == [Rejected("too_long")]


def test_what_the_host_says_is_no_fault_in_a_capture_of_both_directions() -> None:
    both = Pn532().opening().data + pn532.framed(pn532.POLL)
    assert fed(Pn532(), both.lstrip(b"\x55"), 1) == []


def test_a_frame_of_neither_side_is_told_as_that() -> None:
    # nfcpy tests/base_clf_pn53x.py: D6 where D5 must stand.
    assert fed(Pn532(), bytes.fromhex("0000ff05fbd6013435368a00"), 1) == [Rejected("tfi")]


def test_nacks_and_error_frames_are_no_badges() -> None:
    assert fed(Pn532(), bytes.fromhex("0000ffff0000" + "0000ff01ff7f8100"), 1) == [Rejected("reader_error")]


def test_a_tag_whose_own_checksum_is_wrong_is_rejected_although_its_frame_is_right() -> None:
    parameters = bytes.fromhex("d53000e20010710000529b0940b402eb97")
    assert Yrm100().feed(yrm100_frame(0x02, 0x22, parameters)) == [Rejected("checksum")]


def test_a_tag_whose_length_is_not_what_its_pc_says_is_rejected() -> None:
    short = bytes.fromhex("3000e200107100")
    parameters = b"\xd5" + short + yrm100.crc16(short).to_bytes(2, "big")
    assert Yrm100().feed(yrm100_frame(0x02, 0x22, parameters)) == [Rejected("format")]


def test_no_tag_between_the_hits_is_nothing() -> None:
    assert fed(Yrm100(), bytes.fromhex("aa01ff00011516dd" + "bb01ff000115167e"), 1) == []


@pytest.mark.parametrize("form", ["text", "binary"])
@pytest.mark.parametrize("crc", [False, True])
def test_the_four_forms_of_a_twn4_are_told_apart_by_their_bytes(form: str, crc: bool) -> None:
    for uid in ("12345678", "67003B51C6", "04D7A79A973780", "E004010012345678"):
        frame = twn4_answer([uid], form=form, crc=crc)
        assert fed(Twn4(), frame + frame, 1) == [Badge(uid)] * 2


@pytest.mark.parametrize("frame", [b"000131E1\r", b"\x04\0\0\x01\x31\xe1"])
def test_the_reference_messages_with_a_crc_are_whole(frame: bytes) -> None:
    # Elatec's Simple Protocol firmware, comment of its main file: GetUSBType in text and binary with CRC.
    reader = Twn4(twn4.Options(crc=True))
    assert fed(reader, frame, 1) == []
    assert reader.understood == 1


@pytest.mark.parametrize("form", ["text", "binary"])
def test_a_wrong_crc_is_rejected_whether_one_is_asked_for_or_not(form: str) -> None:
    frame = bytearray(twn4_answer(["12345678"], form=form, crc=True))
    frame[-2 if form == "text" else -1] ^= 1
    assert fed(Twn4(), bytes(frame), 99) == [Rejected("checksum")]
    assert fed(Twn4(twn4.Options(crc=True)), bytes(frame), 99) == [Rejected("checksum")]


def test_an_answer_without_the_crc_that_was_configured_is_rejected() -> None:
    assert fed(Twn4(twn4.Options(crc=True)), twn4_answer(["12345678"]), 1) == [Rejected("checksum")]


def test_an_error_code_is_an_error_of_the_reader() -> None:
    assert fed(Twn4(), b"01\r", 1) == [Rejected("reader_error")]


def test_no_tag_in_the_field_of_a_twn4_is_nothing() -> None:
    assert fed(Twn4(), b"0000\r\n0000\r", 1) == []


# -- whose turn it is -------------------------------------------------------------------------------------------------


def test_a_pn532_is_woken_set_up_and_then_asked_for_ever_with_a_pause_after_each_answer() -> None:
    reader = Pn532()
    assert reader.opening().data == pn532.WAKE_UP + bytes.fromhex("0000ff05fbd4140114010200")
    assert reader.following() is None
    reader.feed(bytes.fromhex("0000ff00ff00"))
    assert reader.following() is None
    said = []
    for answer in ("15", "33", "4b00", "4b0101000408045cbbe5d5", "4b00"):
        reader.feed(pn532_answer(bytes.fromhex(answer)))
        request = reader.following()
        assert request is not None
        said.append((request.data, request.after_ms > 0))
    poll = pn532.framed(pn532.POLL)
    assert said == [(pn532.framed(pn532.SIX_TRIES), False), (poll, False), *[(poll, True)] * 3]


def test_a_pn532_that_was_silent_or_reports_an_error_is_woken_again() -> None:
    reader = Pn532()
    assert reader.unanswered() == reader.opening()
    reader.feed(bytes.fromhex("0000ff01ff7f8100"))
    request = reader.following()
    assert request is not None
    assert (request.data, request.after_ms > 0) == (reader.opening().data, True)


def test_a_yrm100_is_started_once_and_left_to_speak() -> None:
    reader = Yrm100()
    assert reader.opening().data == bytes.fromhex("bb0027000322ffff4a7e")
    reader.feed(ACTIVE_FRAMES["yrm100"]([NUMBERS["yrm100"]]))
    assert reader.following() is None


def test_a_yrm100_may_be_asked_each_time() -> None:
    reader = decoder("yrm100", poll="single")
    assert reader.opening().data == bytes.fromhex("bb00220000227e")
    assert reader.following() is None
    reader.feed(yrm100_frame(0x01, 0xFF, b"\x15"))
    request = reader.following()
    assert request is not None
    assert request.data == bytes.fromhex("bb00220000227e")


def test_a_silent_uhf_reader_is_tried_with_the_other_marks_until_one_answers() -> None:
    reader = Yrm100("single")
    assert [reader.unanswered().data[0] for _ in range(3)] == [0xAA, 0xBB, 0xAA]
    reader.feed(yrm100_frame(0x01, 0xFF, b"\x15", head=0xAA))
    assert [reader.unanswered().data[0] for _ in range(2)] == [0xAA, 0xAA]


@pytest.mark.parametrize(
    ("options", "request_bytes"),
    [
        ({}, b"050020\r"),
        ({"crc": True}, b"050020" + twn4.crc16(b"\x05\0\x20").to_bytes(2, "little").hex().upper().encode() + b"\r"),
        ({"form": "binary"}, b"\x03\0\x05\0\x20"),
        ({"form": "binary", "crc": True}, b"\x05\0\x05\0\x20" + twn4.crc16(b"\x05\0\x20").to_bytes(2, "little")),
    ],
)
def test_a_twn4_is_asked_in_its_own_form_again_and_again(options: dict[str, object], request_bytes: bytes) -> None:
    reader = decoder("twn4", **options)
    assert reader.opening().data == request_bytes
    assert reader.following() is None
    reader.feed(twn4_answer([], form=str(options.get("form", "text")), crc=bool(options.get("crc"))))
    request = reader.following()
    assert request is not None
    assert (request.data, request.after_ms > 0) == (request_bytes, True)


def test_the_crc_of_a_twn4_is_the_one_of_its_reference_messages() -> None:
    assert twn4.crc16(b"\0\x05").to_bytes(2, "little") == b"\x15\xa7"
    assert twn4.crc16(b"\0\x01").to_bytes(2, "little") == b"\x31\xe1"


@pytest.mark.parametrize(
    ("protocol", "options", "remedy"),
    [
        ("pn532", {"poll": "multi"}, "leave it out"),
        ("yrm100", {"poll": "never"}, "multi, single"),
        ("yrm100", {"pol": "multi"}, "did you mean `poll`?"),
        ("twn4", {"form": "hex"}, "binary, text"),
        ("twn4", {"crc": "yes"}, "true or false"),
    ],
)
def test_a_wrong_option_is_named_with_the_remedy(protocol: str, options: dict[str, object], remedy: str) -> None:
    with pytest.raises(OptionError, match=remedy.replace("?", r"\?")):
        registry.reader(protocol, options)
