"""What an unknown wire says: protocols and dialects recognised, levels told apart, rhythms measured, lines proposed."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import registry
from firmware_bridge.observations import BrokerChanged, MachineReported
from firmware_bridge.probe.dialects import Listener, recognise
from firmware_bridge.probe.levels import levels, thresholds
from firmware_bridge.probe.proposal import identifiers, machine_lines, reader_lines, toml
from firmware_bridge.probe.protocols import Candidate, Chorus
from firmware_bridge.probe.protocols import recognise as recognise_line
from firmware_bridge.probe.rhythm import Rhythm, Rhythms, too_short
from firmware_bridge.simulator.frames import FRAMES
from lab_config.load import load
from tests.wires_fixtures import PASSIVE_FAMILIES, captures

PROTOCOL_OF = {family: protocol for protocol, families in PASSIVE_FAMILIES.items() for family in families}
PLUG = "tele/mill-1/SENSOR"


def plug(watts: float) -> bytes:
    return b'{"Time":"2019-03-01T12:48:40","ENERGY":{"Power":%g}}' % watts


# --- lines


def readable() -> list[Any]:
    """Captures of readers that speak by themselves, with a badge in them."""
    frames = [each for each in captures("serial.jsonl") if each["family"] in PROTOCOL_OF]
    return [pytest.param(each, id=each["id"]) for each in frames if "uid_hex" in each["expect"]]


@pytest.mark.parametrize("capture", readable())
def test_a_real_frame_is_recognised_as_its_own_protocol_and_no_other(capture: dict[str, Any]) -> None:
    found = recognise_line(bytes.fromhex(capture["hex"]))
    if capture["expect"]["uid_hex"].strip("0"):
        assert found == Candidate(PROTOCOL_OF[capture["family"]])
    else:
        assert found is None


@pytest.mark.parametrize("protocol", sorted(set(FRAMES) - {"line"}))
def test_what_a_simulated_reader_sends_is_recognised_in_any_pieces(protocol: str) -> None:
    uid = "03843A3529A171" if protocol == "wl134a" else "0F00448FB0"
    chorus = Chorus()
    reads = [read for byte in FRAMES[protocol](uid) * 2 for read in chorus.feed(bytes((byte,)))]
    assert chorus.best == Candidate(protocol)
    assert len(reads) == 2


@pytest.mark.parametrize(
    ("line", "format_"),
    [(b"04:D7:A7:9A:97:37:80\r\n", "hex"), (b"0008123456\r\n", "decimal"), (b"123,45678\r\n", "wiegand")],
)
def test_a_badge_a_line_is_recognised_with_its_format(line: bytes, format_: str) -> None:
    assert recognise_line(line) == Candidate("line", {"format": format_})


@given(st.binary(max_size=600))
def test_any_bytes_can_be_listened_to(data: bytes) -> None:
    Chorus().feed(data)


# --- topics


@pytest.mark.parametrize(
    ("topic", "payload", "dialect", "option"),
    [
        (PLUG, plug(52), "tasmota", {"topic": PLUG}),
        ("shellies/shelly1/relay/0/power", b"31.4", "shelly1", {"topic": "shellies/shelly1"}),
        ("zigbee2mqtt/mill", b'{"power":12,"state":"ON"}', "zigbee2mqtt", {"topic": "zigbee2mqtt/mill"}),
        ("mill-1/sensor/power/state", b"52.1", "esphome", {"topic": "mill-1", "item": "sensor/power"}),
        ("Site/Area/Line/Status/StateCurrentStr", b"Idle", "packml", {"topic": "Site/Area/Line"}),
        ("octoPrint/event/PrintStarted", b'{"_event":"PrintStarted"}', "octoprint", {"topic": "octoPrint"}),
        ("lab/mill/state", b"RUN", "text", {"topic": "lab/mill/state", "states": {"RUN": "running"}}),
        ("lab/mill", b'{"machine":{"state":"IDLE"}}', "json", {"pointer": "/machine/state"}),
        ("lab/plug", b'{"power_w":12.5,"volt":230}', "json", {"pointer": "/power_w"}),
    ],
)
def test_a_message_is_recognised_with_the_options_that_read_it(
    topic: str, payload: bytes, dialect: str, option: dict[str, object]
) -> None:
    found = recognise(topic, payload)
    assert found is not None
    assert found[0] == dialect
    assert option.items() <= found[1].items()


@pytest.mark.parametrize(
    ("topic", "payload"),
    [("sheber/w3/machine/mill-1/state", b"running"), ("lab/motd", b"Welcome!"), ("lab/x", b"\xff\xfe"), ("a", b"")],
)
def test_what_is_no_machines_state_is_left_alone(topic: str, payload: bytes) -> None:
    assert recognise(topic, payload) is None


@given(st.text(max_size=40), st.binary(max_size=200), st.booleans())
def test_any_message_can_be_listened_to(topic: str, payload: bytes, retained: bool) -> None:
    Listener().take(topic, payload, retained, 0)


def test_a_plugs_other_topics_belong_to_the_plug() -> None:
    listener = Listener()
    for topic, payload in (("tele/mill-1/LWT", b"Online"), (PLUG, plug(52)), ("stat/mill-1/POWER", b"ON")):
        listener.take(topic, payload, False, 0)
    assert [(one.dialect, one.options) for one in listener.sources()] == [("tasmota", {"topic": PLUG})]


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("tele/mill-1/LWT", b"Offline"),
        ("tele/mill-1/STATE", b'{"Time":"x","POWER":"OFF"}'),
        ("stat/mill-1/POWER", b"OFF"),
    ],
)
def test_a_plug_is_named_by_its_watts_whatever_it_said_first(topic: str, payload: bytes) -> None:
    listener = Listener()
    listener.take(topic, payload, True, 0)
    listener.take(PLUG, plug(52), False, 1_000)
    assert [one.options for one in listener.sources()] == [{"topic": PLUG}]


def test_a_flood_of_topics_is_bounded() -> None:
    listener = Listener()
    for number in range(2_000):
        listener.take(f"a/{number}", b"?", False, number)
    assert len(listener.unread) <= 400


# --- watts


def test_the_thresholds_lie_between_rest_and_work() -> None:
    found = levels([0.4, 0.5, 58, 61, 63, 900, 870, 910])
    assert [level.words for level in found] == ["0.4 to 0.5 W", "58 to 63 W", "870 to 910 W"]
    between = thresholds(found)
    assert between is not None
    assert between.off_below_w is not None
    assert 0.5 < between.off_below_w < 58
    assert 63 < between.idle_below_w < between.running_above_w < 870


def test_one_level_alone_proposes_no_threshold() -> None:
    assert thresholds(levels([58, 60, 61])) is None


@given(st.lists(st.floats(0, 5_000), max_size=60))
def test_proposed_thresholds_never_cross_and_divide_what_was_seen(samples: list[float]) -> None:
    found = levels(samples)
    between = thresholds(found)
    if between is not None:
        assert (between.off_below_w or 0) <= between.idle_below_w <= between.running_above_w
        assert any(sample >= between.running_above_w for sample in samples)
        assert any(sample < between.idle_below_w for sample in samples)


# --- rhythm


def rhythm(*moments_ms: int) -> Rhythm:
    made = Rhythm()
    for moment_ms in moments_ms:
        made.heard(moment_ms)
    return made


def test_a_source_that_speaks_every_ten_seconds_has_that_period() -> None:
    assert rhythm(*range(0, 200_000, 10_000)).period_ms == 10_000


def test_two_messages_tell_no_period() -> None:
    assert rhythm(0, 10_000).period_ms is None


def test_what_comes_together_does_not_shorten_the_silence_between() -> None:
    assert (
        rhythm(*(start + burst for start in range(0, 3_000_000, 300_000) for burst in (0, 40, 90))).period_ms
        == 300_000 - 90
    )


def test_one_lost_message_does_not_lengthen_it() -> None:
    moments = [moment for moment in range(0, 200_000, 10_000) if moment != 90_000]
    assert rhythm(*moments).period_ms == 10_000


def test_a_broker_that_was_away_and_what_it_kept_tell_nothing_of_the_source() -> None:
    rhythms = Rhythms()
    for moment in (0, 1_000, 2_000, 3_000):
        rhythms.take(MachineReported("m"), moment)
    rhythms.take(BrokerChanged(False), 3_100)
    rhythms.take(MachineReported("m", retained=True), 90_000)
    rhythms.take(MachineReported("m"), 90_000)
    assert rhythms.period_ms("m") == 1_000
    assert rhythms.period_ms("another") is None


@pytest.mark.parametrize(("stale_ms", "warned"), [(24_999, True), (25_000, False), (None, False)])
def test_two_and_a_half_periods_are_room_enough(stale_ms: int | None, warned: bool) -> None:
    assert too_short(stale_ms, 10_000) is warned


# --- what is proposed is a lab


def test_the_proposed_lines_load_as_a_lab(tmp_path: Any) -> None:
    listener = Listener()
    for number in range(6):
        listener.take(PLUG, plug((20, 58, 900)[number % 3]), False, number * 1_000)
        listener.take("lab/plug", b'{"power":%d}' % (20, 900)[number % 2], False, number * 1_000)
        listener.take("lab/saw/state", b"RUN", False, number * 1_000)
    sources = listener.sources()
    lines = ['[lab]\nid = "w3"', *reader_lines("/dev/ttyUSB0", Candidate("line", {"format": "decimal"}), 2_400)]
    for heard, name in zip(sources, identifiers(sources), strict=True):
        lines += machine_lines(heard, {"RUN": 6}, name)
    (tmp_path / "lab.toml").write_text("\n".join(lines))
    lab = load(tmp_path / "lab.toml")
    assert lab.readers[0].baud == 2_400
    assert {machine.id for machine in lab.machines} == {"mill-1", "plug", "saw"}
    power = lab.machine("mill-1").status.power  # type: ignore[union-attr]
    assert power is not None
    assert 58 < power.running_above_w < 900


def test_a_slow_source_is_proposed_with_the_silence_it_needs() -> None:
    listener = Listener()
    for number in range(5):
        listener.take("lab/saw/state", b"RUN", False, number * 300_000)
    (heard,) = listener.sources()
    assert 'stale_after = "13min"' in machine_lines(heard, {"RUN": 5}, "saw")


def test_two_sources_of_one_name_are_two_machines() -> None:
    listener = Listener()
    for place in ("north", "south"):
        listener.take(f"{place}/saw/state", b"RUN", False, 0)
    assert identifiers(listener.sources()) == ["saw", "saw-2"]


@given(st.dictionaries(st.text(), st.text() | st.booleans() | st.integers(-(10**5), 10**5), max_size=5))
def test_every_value_is_written_as_toml_reads_it(value: dict[str, object]) -> None:
    assert tomllib.loads(f"it = {toml(value)}")["it"] == value


def test_every_reader_that_is_built_in_is_tried() -> None:
    from firmware_bridge.probe.protocols import candidates

    assert {candidate.protocol for candidate in candidates()} >= set(registry.READERS)
