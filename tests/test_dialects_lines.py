"""Lines and training factories: PackML by word and by number, fischertechnik's stations and modules."""

from __future__ import annotations

import json
from typing import Any

import pytest

from firmware_bridge import registry
from firmware_bridge.machines.base import Dialect, Gone, Ignored, Rejected, Reported, Told
from firmware_bridge.options import OptionError

LINE: dict[str, Any] = {"topic": "Site/Area/Line"}
MODULE: dict[str, Any] = {"topic": "module/v1/ff/NodeRed/SVR3QA0022"}
STATION: dict[str, Any] = {"topic": "f/i/state/mpo"}
GATEWAY = "module/v1/ff/NodeRed/status"
STANDARD = (
    "Clearing Stopped Starting Idle Suspended Execute Stopping Aborting Aborted Holding Held Unholding Suspending "
    "Unsuspending Resetting Completing Complete"
)
SIMULATOR = (
    "Idle Stopped Starting Clearing Suspended Execute Stopping Aborting Aborted Holding Held Unholding Suspending "
    "Unsuspending Resetting Completing Complete"
)


def told(source: Dialect, topic: str, payload: str) -> Told:
    (one,) = source.translate(topic, payload.encode(), False)
    return one


# -- PackML -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [STANDARD, SIMULATOR], ids=["ISA-TR88.00.02", "simulator"])
def test_a_packml_number_means_what_its_word_means_in_either_numbering(names: str) -> None:
    line = registry.machine("packml", LINE)
    for number, name in enumerate(names.split(), start=1):
        for tail in ("StateCurrent", "StateCurrentStr"):
            word = told(line, f"Site/Area/Line/Status/{tail}", name)
            assert told(line, f"Site/Area/Line/Status/{tail}", str(number)) == word
            assert isinstance(word, Reported)
            assert word.state in ("running", "setup", "idle", "fault")


@pytest.mark.parametrize(
    ("word", "state"),
    [("Execute", "running"), ("EXECUTE", "running"), ("Starting", "setup"), ("Resetting", "setup"), ("Held", "idle")],
)
def test_a_packml_word_is_read_in_any_case(word: str, state: str) -> None:
    one = told(registry.machine("packml", LINE), "Site/Area/Line/Status/StateCurrentStr", word)
    assert isinstance(one, Reported)
    assert one.state == state


@pytest.mark.parametrize("word", ["0", "18", "Undefined", "", "6.0"])
def test_a_packml_state_that_is_none_changes_nothing(word: str) -> None:
    one = told(registry.machine("packml", LINE), "Site/Area/Line/Status/StateCurrent", word)
    assert one == Reported(detail=f"unmapped:{word}")


def test_a_packml_command_is_no_state_and_a_speed_a_sign_of_life() -> None:
    line = registry.machine("packml", LINE)
    assert isinstance(told(line, "Site/Area/Line/Command/Start", "1"), Ignored)
    assert told(line, "Site/Area/Line/Status/CurMachSpeed", "6") == Reported(detail="alive")
    assert told(line, "Site/Area/Other/Status/StateCurrent", "6") == Ignored("another topic")


def test_a_packml_line_may_have_a_last_will() -> None:
    line = registry.machine("packml", {**LINE, "will_topic": "lab/line/lwt", "offline": "gone"})
    assert line.topics()[-1] == "lab/line/lwt"
    assert told(line, "lab/line/lwt", "gone") == Gone("last will")
    assert told(line, "lab/line/lwt", "here") == Ignored("not the offline word")


# -- fischertechnik ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "expect"),
    [
        (0, Reported(detail="LEDS_OFF")),
        (1, Reported("idle", detail="READY")),
        (2, Reported("running", detail="BUSY")),
        (3, Reported("idle", detail="held")),
        (4, Reported("fault", detail="ERROR")),
        (6, Reported("fault", detail="WAIT_ERROR")),
        (7, Reported("setup", detail="CALIB")),
        (5, Reported(detail="unmapped:5")),
        (1e300, Reported(detail="unmapped:1e+300")),
        (2.5, Rejected("code is not a whole number")),
        ("2", Rejected("code is not a whole number")),
        (None, Rejected("code is not a whole number")),
        (True, Rejected("code is not a whole number")),
    ],
)
def test_the_lamps_of_a_station_tell_its_state(code: object, expect: Told) -> None:
    said = json.dumps({"ts": "YYYY-MM-DDThh:mm:ss.fffZ", "station": "mpo", "code": code, "active": 1})
    assert told(registry.machine("fischertechnik", STATION), "f/i/state/mpo", said) == expect


def test_another_station_is_another_machine() -> None:
    assert told(registry.machine("fischertechnik", STATION), "f/i/state/hbw", '{"code":2}') == Ignored("another topic")


@pytest.mark.parametrize(
    ("said", "expect"),
    [
        ({"actionState": {"id": "1", "state": "RUNNING", "command": "MILL"}}, Reported("running")),
        ({"actionState": {"state": "FINISHED"}}, Reported("idle", detail="finished")),
        ({"actionState": {"state": "FAILED"}}, Reported("fault", detail="the action failed")),
        ({"actionState": {"state": "RUNNING"}, "paused": True}, Reported("idle", detail="held")),
        ({"actionState": None, "paused": False}, Reported("idle")),
        ({"actionState": {"state": "DREAMING"}}, Reported(detail="unmapped:DREAMING")),
        ({"actionStates": [], "driving": True}, Reported(detail="alive")),
        ({"actionState": 5}, Rejected("actionState is not a JSON object")),
    ],
)
def test_a_modules_action_tells_its_state(said: dict[str, object], expect: Told) -> None:
    source = registry.machine("fischertechnik", MODULE)
    assert told(source, "module/v1/ff/NodeRed/SVR3QA0022/state", json.dumps(said)) == expect


@pytest.mark.parametrize("word", ["OFFLINE", "CONNECTIONBROKEN"])
@pytest.mark.parametrize("topic", [f"{MODULE['topic']}/connection", GATEWAY])
def test_a_module_is_gone_by_its_own_connection_or_that_it_hangs_on(topic: str, word: str) -> None:
    source = registry.machine("fischertechnik", {**MODULE, "will_topic": GATEWAY})
    assert topic in source.topics()
    assert told(source, topic, json.dumps({"connectionState": word})) == Gone(word)
    assert told(source, topic, '{"connectionState":"ONLINE"}') == Reported(detail="online")
    assert isinstance(told(source, topic, '{"connectionState":"?"}'), Rejected)


# -- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"), [("packml", LINE), ("fischertechnik", STATION), ("fischertechnik", MODULE)]
)
def test_what_speaks_only_of_changes_may_be_silent_for_ever(name: str, options: dict[str, Any]) -> None:
    assert registry.machine(name, options).default_stale_after_ms is None


@pytest.mark.parametrize(
    ("name", "options", "remedy"),
    [
        ("packml", {}, 'topic = "Site/Area/Line"'),
        ("packml", {**LINE, "offline": "gone"}, "write will_topic"),
        ("fischertechnik", {}, 'topic = "f/i/state/mpo"'),
        ("fischertechnik", {"topic": "mpo"}, "neither a station's nor a module's"),
    ],
)
def test_a_wrong_option_of_a_line_is_named_with_the_remedy(name: str, options: dict[str, Any], remedy: str) -> None:
    with pytest.raises(OptionError, match=remedy):
        registry.machine(name, options)
