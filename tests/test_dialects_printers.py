"""3D printers: reports in parts, prints that pause, fail or are cancelled, and what stays on the broker."""

from __future__ import annotations

import json
from typing import Any

import pytest

from firmware_bridge import registry
from firmware_bridge.machines.base import Dialect, Gone, Ignored, Rejected, Reported, Told
from firmware_bridge.options import OptionError

OCTO: dict[str, Any] = {"topic": "octoPrint"}
MOON: dict[str, Any] = {"topic": "printer-1"}
BAMBU: dict[str, Any] = {"topic": "device/01S00C1"}


def told(source: Dialect, topic: str, payload: str, *, kept: bool = False) -> Told:
    (one,) = source.translate(topic, payload.encode(), kept)
    return one


# -- OctoPrint --------------------------------------------------------------------------------------------------------


def event(source: Dialect, name: str, **said: object) -> Told:
    return told(source, f"octoPrint/event/{name}", json.dumps({"_event": name, **said}))


def progress(source: Dialect, percent: int, **flags: bool) -> Told:
    more = {"printer_data": {"state": {"text": "Printing", "flags": flags}}} if flags else {}
    return told(source, "octoPrint/progress/printing", json.dumps({"progress": percent, "path": "a.gco", **more}))


@pytest.mark.parametrize(
    ("name", "expect"),
    [
        ("PrintStarted", Reported("running")),
        ("PrintPaused", Reported("idle", detail="held")),
        ("PrintResumed", Reported("running")),
        ("PrintDone", Reported("idle")),
        ("PrintCancelled", Reported("idle", detail="cancelled")),
        ("PrintFailed", Reported("idle", detail="last_job_failed")),
        ("Error", Reported("fault")),
        ("Disconnected", Gone("the printer is disconnected")),
        ("ClientOpened", Reported(detail="alive")),
    ],
)
def test_an_event_of_a_print_tells_the_state(name: str, expect: Told) -> None:
    assert event(registry.machine("octoprint", OCTO), name) == expect


@pytest.mark.parametrize(
    ("state", "expect"),
    [
        ("PRINTING", Reported("running")),
        ("STARTING", Reported("setup")),
        ("PAUSED", Reported("idle", detail="held")),
        ("CLOSED_WITH_ERROR", Reported("fault")),
        ("OFFLINE", Gone("the printer is disconnected")),
        ("CONNECTING", Reported("unknown", detail="connecting")),
        ("DREAMING", Reported(detail="unmapped:DREAMING")),
    ],
)
def test_a_change_of_the_printers_state_tells_it(state: str, expect: Told) -> None:
    assert event(registry.machine("octoprint", OCTO), "PrinterStateChanged", state_id=state) == expect


@pytest.mark.parametrize("percent", [0, 100])
def test_progress_at_either_end_tells_of_no_print(percent: int) -> None:
    assert progress(registry.machine("octoprint", OCTO), percent) == Reported(detail=f"progress {percent}")


@pytest.mark.parametrize("ended", ["PrintPaused", "PrintDone", "PrintCancelled"])
def test_progress_that_comes_late_starts_no_print(ended: str) -> None:
    printer = registry.machine("octoprint", OCTO)
    event(printer, "PrintStarted")
    assert progress(printer, 57).state == "running"  # type: ignore[union-attr]
    event(printer, ended)
    assert progress(printer, 58) == Reported(detail="progress 58")
    event(printer, "PrintStarted")
    assert progress(printer, 1).state == "running"  # type: ignore[union-attr]


def test_the_flags_beside_the_progress_count_more_than_the_progress() -> None:
    printer = registry.machine("octoprint", OCTO)
    assert progress(printer, 92, operational=True, printing=True) == Reported("running")
    assert progress(printer, 92, operational=True, printing=True, paused=True) == Reported("idle", detail="held")
    assert progress(printer, 100, operational=True, printing=False) == Reported("idle")
    assert progress(printer, 92, closedOrError=True) == Reported("fault")


def test_octoprints_last_will_is_the_word_disconnected() -> None:
    printer = registry.machine("octoprint", OCTO)
    assert told(printer, "octoPrint/mqtt", "disconnected") == Gone("last will")
    assert isinstance(told(printer, "octoPrint/mqtt", "?"), Ignored)
    assert printer.topics() == (
        "octoPrint/event/+",
        "octoPrint/progress/+",
        "octoPrint/temperature/+",
        "octoPrint/mqtt",
    )


# -- Moonraker --------------------------------------------------------------------------------------------------------


def klipper(source: Dialect, **objects: object) -> Told:
    return told(source, "printer-1/klipper/status", json.dumps({"eventtime": 248270.6, "status": objects}))


@pytest.mark.parametrize(
    ("job", "state", "detail"),
    [
        ("standby", "idle", ""),
        ("printing", "running", ""),
        ("paused", "idle", "held"),
        ("complete", "idle", ""),
        ("cancelled", "idle", "cancelled"),
        ("error", "fault", "the print failed"),
    ],
)
@pytest.mark.parametrize("split", [False, True], ids=["combined", "split"])
def test_the_state_of_klippers_job_is_the_printers(job: str, state: str, detail: str, split: bool) -> None:
    printer = registry.machine("moonraker", MOON)
    if split:
        said = json.dumps({"eventtime": 248270.6, "value": job})
        assert told(printer, "printer-1/klipper/state/print_stats/state", said) == Reported(state, detail=detail)
    else:
        assert klipper(printer, print_stats={"state": job}) == Reported(state, detail=detail)


def test_what_klipper_does_not_name_is_unchanged() -> None:
    printer = registry.machine("moonraker", MOON)
    assert klipper(printer, print_stats={"print_duration": 5.1}) == Reported(detail="alive")
    klipper(printer, print_stats={"state": "printing"})
    assert klipper(printer, print_stats={"print_duration": 5.4}) == Reported("running")
    assert klipper(printer, extruder={"temperature": 210.1}) == Reported("running")
    printer.forget()
    assert klipper(printer, print_stats={"print_duration": 5.6}) == Reported(detail="alive")


def test_klipper_that_shut_down_is_a_fault_until_it_is_ready_or_prints() -> None:
    printer = registry.machine("moonraker", MOON)
    klipper(printer, print_stats={"state": "printing"})
    assert klipper(printer, webhooks={"state": "shutdown"}) == Reported("fault", detail="klipper shutdown")
    assert klipper(printer, heater_bed={"temperature": 50}) == Reported("fault", detail="klipper shutdown")
    assert klipper(printer, webhooks={"state": "ready"}) == Reported("idle")
    klipper(printer, webhooks={"state": "shutdown"})
    assert klipper(printer, print_stats={"state": "printing"}) == Reported("running")


@pytest.mark.parametrize("word", ["startup", "ready"])
def test_that_klipper_starts_or_is_ready_tells_no_state(word: str) -> None:
    printer = registry.machine("moonraker", MOON)
    assert klipper(printer, webhooks={"state": word}) == Reported(detail=f"klipper {word}")


def test_klippers_words_that_are_not_known_change_nothing() -> None:
    printer = registry.machine("moonraker", MOON)
    assert klipper(printer, print_stats={"state": "dreaming"}) == Reported(detail="unmapped:dreaming")
    assert klipper(printer, webhooks={"state": "dreaming"}) == Reported(detail="unmapped:dreaming")
    assert klipper(printer, print_stats={"state": 5}) == Rejected("state is not a word")
    assert klipper(printer, print_stats=[1]) == Rejected("print_stats is not a JSON object")


def test_moonrakers_last_will_forgets_the_print() -> None:
    printer = registry.machine("moonraker", MOON)
    klipper(printer, print_stats={"state": "printing"})
    assert told(printer, "printer-1/moonraker/status", '{"server":"offline"}') == Gone("last will")
    assert klipper(printer, print_stats={"print_duration": 5.4}) == Reported(detail="alive")


def test_moonraker_is_asked_at_the_start_and_only_that_answer_counts() -> None:
    printer = registry.machine("moonraker", MOON)
    (asked,) = printer.greeting()
    assert asked.topic == "printer-1/moonraker/api/request"
    answer = {"jsonrpc": "2.0", "result": {"eventtime": 5.5, "status": {"print_stats": {"state": "printing"}}}}
    where = "printer-1/moonraker/api/response"
    assert isinstance(told(printer, where, json.dumps({**answer, "id": 7})), Ignored)
    mine = {**answer, "id": json.loads(asked.payload)["id"]}
    assert told(printer, where, json.dumps(mine)) == Reported("running")


# -- Bambu ------------------------------------------------------------------------------------------------------------


def report(source: Dialect, *, kept: bool = False, **said: object) -> Told:
    return told(source, "device/01S00C1/report", json.dumps({"print": said}), kept=kept)


@pytest.mark.parametrize(
    ("said", "expect"),
    [
        ({"gcode_state": "RUNNING", "stg_cur": 0}, Reported("running")),
        ({"gcode_state": "RUNNING"}, Reported("running")),
        ({"gcode_state": "RUNNING", "stg_cur": 255}, Reported("running")),
        ({"gcode_state": "RUNNING", "stg_cur": 2}, Reported("setup", detail="heatbed_preheating")),
        ({"gcode_state": "RUNNING", "stg_cur": 99}, Reported("setup", detail="stage 99")),
        ({"gcode_state": "RUNNING", "stg_cur": 1e300}, Reported("setup", detail="stage 1e+300")),
        ({"gcode_state": "RUNNING", "stg_cur": 16}, Reported("idle", detail="held")),
        ({"gcode_state": "RUNNING", "stg_cur": 0, "hms": [{"attr": 1}]}, Reported("running", detail="warning")),
        ({"gcode_state": "PREPARE", "stg_cur": 0}, Reported("setup", detail="preparing")),
        ({"gcode_state": "SLICING"}, Reported("setup", detail="slicing")),
        ({"gcode_state": "PAUSE"}, Reported("idle", detail="held")),
        ({"gcode_state": "FINISH"}, Reported("idle", detail="finished")),
        ({"gcode_state": "IDLE"}, Reported("idle")),
        ({"gcode_state": "FAILED", "print_error": 0}, Reported("idle", detail="last_job_failed")),
        ({"gcode_state": "FAILED", "fail_reason": "50348044"}, Reported("idle", detail="cancelled")),
        ({"gcode_state": "FAILED", "print_error": 50348044}, Reported("idle", detail="cancelled")),
        ({"gcode_state": "FAILED", "print_error": 83935249}, Reported("fault", detail="error 83935249")),
        ({"gcode_state": "DREAMING"}, Reported(detail="unmapped:DREAMING")),
        ({"wifi_signal": "-50dBm"}, Reported(detail="alive")),
        ({"gcode_state": 5}, Rejected("gcode_state is not a word")),
        ({"gcode_state": "RUNNING", "stg_cur": "0"}, Rejected("stg_cur is not a number")),
    ],
)
def test_a_bambu_report_tells_the_state(said: dict[str, Any], expect: Told) -> None:
    assert report(registry.machine("bambu", BAMBU), **said) == expect


def test_a_bambu_report_of_changes_is_added_to_what_is_known() -> None:
    printer = registry.machine("bambu", BAMBU)
    report(printer, gcode_state="RUNNING", stg_cur=14)
    assert report(printer, home_flag=1) == Reported("setup", detail="cleaning_nozzle_tip")
    assert report(printer, stg_cur=0) == Reported("running")
    assert report(printer, hms=[{"attr": 1}]) == Reported("running", detail="warning")
    printer.forget()
    assert report(printer, stg_cur=0) == Reported(detail="alive")


def test_a_bambu_report_that_the_broker_kept_is_not_added() -> None:
    printer = registry.machine("bambu", BAMBU)
    assert report(printer, kept=True, gcode_state="RUNNING", stg_cur=0) == Reported("running")
    assert report(printer, home_flag=1) == Reported(detail="alive")


def test_a_line_of_a_bambu_log_or_a_command_is_nothing() -> None:
    printer = registry.machine("bambu", BAMBU)
    log = '{"mc_print":{"command":"push_info","param":"pause_print():Pause Print!"}}'
    assert isinstance(told(printer, "device/01S00C1/report", log), Ignored)
    assert isinstance(told(printer, "device/01S00C1/request", '{"print":{"gcode_state":"RUNNING"}}'), Ignored)
    assert printer.topics() == ("device/01S00C1/report",)


def test_a_bambu_printer_is_asked_for_a_full_report_at_the_start() -> None:
    (asked,) = registry.machine("bambu", BAMBU).greeting()
    assert asked.topic == "device/01S00C1/request"
    assert json.loads(asked.payload)["pushing"]["command"] == "pushall"


# -- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "minutes"), [("octoprint", OCTO, 15), ("moonraker", MOON, 2), ("bambu", BAMBU, 2)]
)
def test_a_printer_at_work_is_never_silent_for_longer(name: str, options: dict[str, Any], minutes: int) -> None:
    assert registry.machine(name, options).default_stale_after_ms == minutes * 60_000


@pytest.mark.parametrize(
    ("name", "options", "remedy"),
    [
        ("octoprint", {}, 'topic = "octoPrint"'),
        ("moonraker", {}, 'topic = "printer-1"'),
        ("bambu", {}, 'topic = "device/01S00C123456789"'),
        ("bambu", {"topic": "01S00C123456789"}, 'an example is "device/'),
        ("bambu", {"topic": "device/a/b"}, 'an example is "device/'),
    ],
)
def test_a_wrong_topic_of_a_printer_is_named_with_the_remedy(name: str, options: dict[str, Any], remedy: str) -> None:
    with pytest.raises(OptionError, match=remedy):
        registry.machine(name, options)
