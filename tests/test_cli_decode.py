"""`sheber decode`: one JSON line for each thing, the same words as the product's own ears."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kiosk.cli.decode import decode
from tests.wires_fixtures import PASSIVE_FAMILIES, captures

CARD = "0236373030334235314336434203"
CAPTURED = [
    pytest.param(protocol, one, id=f"{protocol}-{one['id']}")
    for protocol, families in PASSIVE_FAMILIES.items()
    for one in captures("serial.jsonl")
    if one["family"] in families
]


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(decode, arguments, input=stdin)


def lines(*arguments: str, stdin: bytes | None = None) -> list[dict[str, Any]]:
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def machine(dialect: str, topic: str, payload: str, *arguments: str) -> dict[str, Any]:
    (line,) = lines("machine", dialect, "--topic", topic, "--payload", payload, *arguments)
    return line


# -- readers ----------------------------------------------------------------------------------------------------------


def test_a_frame_is_one_line_as_the_contract_writes_it() -> None:
    assert run("reader", "rdm6300", CARD).stdout == '{"badge":"67003B51C6"}\n'
    assert run("reader", "rdm6300", "0231303030323646343434323603").stdout == '{"rejected":"checksum"}\n'


@pytest.mark.parametrize(("protocol", "capture"), CAPTURED)
def test_each_capture_is_told_as_it_must_be(protocol: str, capture: dict[str, Any]) -> None:
    expect = capture["expect"]
    assert lines("reader", protocol, capture["hex"]) == [told(one) for one in expect.get("stream", [expect])]


def told(expect: dict[str, Any]) -> dict[str, Any]:
    if "error" in expect:
        return {"rejected": expect["error"]}
    if "national_id" in expect:
        badge = f"{expect['country']:04X}{int(expect['national_id']):010X}"
        return {"badge": badge, "country": expect["country"], "national_id": expect["national_id"]}
    if not expect["uid_hex"].strip("0"):
        return {"rejected": "noise"}
    return {"badge": expect["uid_hex"]} | {key: expect[key] for key in ("card_type",) if key in expect}


def test_a_frame_that_the_input_does_not_finish_is_a_broken_frame() -> None:
    assert lines("reader", "rdm6300", CARD + CARD[:10]) == [{"badge": "67003B51C6"}, {"rejected": "framing"}]


@pytest.mark.parametrize(
    "capture",
    [f"{CARD}\n".encode(), b"02 36 37 30 30 33 42 35\n31 43 36 43 42 03", bytes.fromhex(CARD)],
    ids=["hex", "hex in lines", "bytes"],
)
def test_a_capture_comes_from_standard_input_as_hex_or_as_it_is(capture: bytes) -> None:
    assert lines("reader", "rdm6300", "-", stdin=capture) == [{"badge": "67003B51C6"}]


@pytest.mark.parametrize(("protocol", "capture"), CAPTURED)
def test_a_capture_on_standard_input_tells_the_same_as_its_hex(protocol: str, capture: dict[str, Any]) -> None:
    data = bytes.fromhex(capture["hex"])
    assert lines("reader", protocol, "-", stdin=data) == lines("reader", protocol, capture["hex"])


def test_digits_on_a_line_are_read_as_the_line_where_that_gives_a_badge() -> None:
    assert lines("reader", "line", "-", stdin=b"67003B51C6\r\n") == [{"badge": "67003B51C6"}]
    assert lines("reader", "line", "-", "--option", "format=decimal", stdin=b"0008075634\n") == [{"badge": "007B3972"}]


def test_bytes_that_look_like_hex_can_be_given_as_bytes() -> None:
    assert lines("reader", "line", "-", "--raw", stdin=b"67003B51C6\r\n") == [{"badge": "67003B51C6"}]


def test_a_readers_options_are_those_of_the_lab() -> None:
    number = b"0008075634\r\n".hex()
    assert lines("reader", "line", number, "--option", "format=decimal") == [{"badge": "007B3972"}]


# -- machines ---------------------------------------------------------------------------------------------------------


def test_a_message_is_one_line_as_the_contract_writes_it() -> None:
    result = run("machine", "tasmota", "--topic", "stat/mill-1/POWER", "--payload", "OFF")
    assert result.stdout == '{"state":"off","power_w":null,"alive":true,"detail":"relay off"}\n'


def test_a_last_will_is_not_alive_and_leaves_the_state_unknown() -> None:
    line = machine("tasmota", "tele/mill-1/LWT", "Offline")
    assert (line["alive"], line["state"]) == (False, "unknown")


def test_what_tells_nothing_says_why() -> None:
    assert machine("tasmota", "cmnd/mill-1/POWER", "ON") == {"ignored": "a command, not a report"}
    assert machine("tasmota", "tele/mill-1/SENSOR", "{") == {"rejected": "not JSON"}


@pytest.mark.parametrize(
    ("watts", "state"), [(350, "running"), (349, "idle"), (120, "idle"), (5, "idle"), (4.9, "off")]
)
def test_with_thresholds_the_state_of_a_first_sample_is_told(watts: float, state: str) -> None:
    options = ["running_above_w=350", "idle_below_w=120", "off_below_w=5", "on_delay=5s", "off_delay=20s"]
    payload = json.dumps({"power_w": watts})
    line = machine(
        "json", "lab/plug", payload, "--option", "pointer=/power_w", *[x for one in options for x in ("--option", one)]
    )
    assert (line["state"], line["power_w"]) == (state, watts)


@pytest.mark.parametrize(
    "states",
    [['states={ACTIVE = "running"}'], ['states={"ACTIVE": "running"}'], ["states.ACTIVE=running"]],
    ids=["TOML", "JSON", "dotted"],
)
def test_a_table_of_states_can_be_written_in_any_of_three_ways(states: list[str]) -> None:
    options = ["pointer=/machine/state", *states]
    payload = '{"machine":{"state":"ACTIVE"}}'
    assert (
        machine("json", "lab/mill", payload, *[x for one in options for x in ("--option", one)])["state"] == "running"
    )


def test_a_kept_message_of_a_repeating_source_is_last_known_only() -> None:
    kept = ("--retain", "--option", "states.RUN=running")
    assert "last known" in machine("text", "lab/mill", "RUN", *kept)["detail"]
    assert machine("text", "lab/mill", "RUN", *kept, "--option", "will_topic=lab/lwt")["detail"] == ""
    assert machine("text", "lab/mill", "RUN", *kept, "--option", "stale_after=never")["detail"] == ""
    assert machine("text", "lab/mill", "RUN", "--option", "states.RUN=running")["detail"] == ""


def test_a_will_can_be_told_from_the_state_by_its_topic() -> None:
    options = ("--option", "states.RUN=running", "--option", "will_topic=lab/lwt")
    assert machine("text", "lab/lwt", "offline", *options)["alive"] is False
    assert machine("text", "lab/lwt", "online", *options) == {"ignored": "not the offline word"}


def test_a_payload_of_any_bytes_can_be_given_in_hex() -> None:
    assert lines("machine", "text", "--topic", "t", "--payload-hex", "fffe") == [{"rejected": "not UTF-8"}]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("reader", "rfid", CARD), "there is no reader protocol `rfid`; those there are: "),
        (("machine", "haas", "--topic", "t", "--payload", "x"), "there is no machine dialect"),
        (("reader", "rdm6300", "xyz"), "HEX is not hex"),
        (("machine", "text", "--topic", "t", "--payload-hex", "xyz"), "--payload-hex is not hex"),
        (("machine", "text", "--topic", "t"), "--payload or by --payload-hex"),
        (("machine", "json", "--topic", "t", "--payload", "1"), "pointer: is missing"),
        (("machine", "text", "--topic", "t", "--payload", "1", "--option", "x"), "is not KEY=VALUE"),
        (("machine", "text", "--topic", "t", "--payload", "1", "--option", "running_above_w=x"), "a number of watts"),
        (("reader", "line", CARD, "--option", "format=octal"), "must be one of decimal, hex, wiegand"),
    ],
)
def test_wrong_usage_is_one_sentence_and_status_2(arguments: tuple[str, ...], says: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", [(), ("reader",), ("machine",)])
def test_each_help_has_an_example(command: tuple[str, ...]) -> None:
    assert "Example: sheber decode" in " ".join(run(*command, "--help").stdout.split())
