"""Smart plugs and meters: what they say of the watts they see, and of their relay. Of the machine they know no more."""

from __future__ import annotations

import json
from random import Random

from firmware_bridge.simulator.voices import KILOWATT_HOUR_WS, Doing, Said, Voice, relay

MAINS_V = 229.0
THRESHOLDS: dict[str, object] = {"running_above_w": 350, "idle_below_w": 120, "off_below_w": 5}
"""They fit the watts of `VirtualMachine`."""
OVERPOWER = "overpower"
"""A state of the plug's own: it saw too many watts, and cut them off."""


class Shelly1Voice(Voice):
    """Shelly, first generation: a topic a value, nothing retained, and a will that is not either."""

    dialect = "shelly1"
    MEANS = dict.fromkeys(("running", "setup", "idle", "fault"))

    def status(self) -> dict[str, object]:
        """The device."""
        return {"dialect": self.dialect, "topic": f"shellies/{self.machine}", **THRESHOLDS}

    @property
    def asked_on(self) -> str:
        """`update`."""
        return f"shellies/{self.machine}/command"

    def will(self) -> Said:
        """`false`, not retained (ioBroker.shelly, mqtt.ts)."""
        return self._word("online", "false")

    def birth(self) -> list[Said]:
        """`true`, and who it is."""
        who = {"id": self.machine, "model": "SHSW-PM", "mac": "8CAAB54B98DF", "new_fw": False}
        return [self._word("online", "true"), Said("shellies/announce", json.dumps(who), qos=0)]

    def now(self, doing: Doing) -> list[Said]:
        """Relay, watts and watt-minutes, as each `mqtt_update_period`."""
        drawn_w = 0.0 if doing.state == OVERPOWER else doing.power_w
        return [
            self._word("relay/0", OVERPOWER if doing.state == OVERPOWER else relay(doing.state).lower()),
            self._word("relay/0/power", f"{drawn_w:.2f}"),
            self._word("relay/0/energy", str(int(doing.energy_ws / 60))),
        ]

    def garbage(self, chance: Random) -> Said:
        """Watts that are none."""
        return self._word("relay/0/power", chance.choice(("", "nan", "1e999", "12 W", "--")))

    def _word(self, tail: str, word: str) -> Said:
        return Said(f"shellies/{self.machine}/{tail}", word, qos=0)


class Shelly2Voice(Voice):
    """Shelly, second generation: the component in full now and then, and at once what changed of it."""

    dialect = "shelly2"
    MEANS = dict.fromkeys(("running", "setup", "idle", "fault"))

    def status(self) -> dict[str, object]:
        """The device's prefix."""
        return {"dialect": self.dialect, "topic": self.machine, "component": "switch:0", **THRESHOLDS}

    @property
    def asked_on(self) -> str:
        """`Shelly.GetStatus`."""
        return f"{self.machine}/rpc"

    def answer(self, request: bytes, doing: Doing) -> list[Said]:
        """Everything, on the topic of whoever asked."""
        asked = json.loads(request)
        result = {"mqtt": {"connected": True}, "switch:0": self._switch(doing)}
        told = {"id": asked["id"], "src": f"shellyplus1pm-{self.machine}", "result": result}
        return [Said(f"{asked['src']}/rpc", json.dumps(told))]

    def will(self) -> Said:
        """`false`, retained."""
        return Said(f"{self.machine}/online", "false", retain=True)

    def birth(self) -> list[Said]:
        """`true`, retained."""
        return [Said(f"{self.machine}/online", "true", retain=True)]

    def now(self, doing: Doing) -> list[Said]:
        """The component in full."""
        return [Said(f"{self.machine}/status/switch:0", json.dumps(self._switch(doing)))]

    def changed(self, before: str, doing: Doing) -> list[Said]:
        """What changed, and nothing else."""
        switch = self._switch(doing)
        told: dict[str, object] = {key: switch[key] for key in ("id", "apower", "current")}
        if relay(before) != relay(doing.state):
            told |= {"output": switch["output"], "source": "button"}
        return [Said(f"{self.machine}/events/rpc", json.dumps(self._notice(told, doing)))]

    def garbage(self, chance: Random) -> Said:
        """A component that is no object."""
        return Said(f"{self.machine}/status/switch:0", chance.choice(("[]", "{", '"on"', '{"output": "true"', "\x00")))

    def _switch(self, doing: Doing) -> dict[str, object]:
        tripped = doing.state == OVERPOWER
        drawn_w = 0.0 if tripped else doing.power_w
        switch = {
            "id": 0,
            "source": "init",
            "output": relay(doing.state) == "ON" and not tripped,
            "apower": round(drawn_w, 1),
            "voltage": MAINS_V,
            "current": round(drawn_w / MAINS_V, 3),
            "aenergy": {"total": round(doing.energy_ws / 3_600, 3)},
            "temperature": {"tC": 39.2, "tF": 102.5},
        }
        return {**switch, "errors": [OVERPOWER]} if tripped else switch

    def _notice(self, switch: dict[str, object], doing: Doing) -> dict[str, object]:
        source = f"shellyplus1pm-{self.machine}"
        # Seconds since its start: its clock is not set.
        params = {"ts": round(doing.at_s, 2), "switch:0": switch}
        return {"src": source, "dst": f"{self.machine}/events", "method": "NotifyStatus", "params": params}


class Zigbee2MqttVoice(Voice):
    """A Zigbee plug: its bridge speaks for it, and only the bridge has a will."""

    dialect = "zigbee2mqtt"
    MEANS = dict.fromkeys(("running", "setup", "idle", "fault"))

    def status(self) -> dict[str, object]:
        """Base topic and name."""
        return {"dialect": self.dialect, "topic": f"zigbee2mqtt/{self.machine}", **THRESHOLDS}

    @property
    def asked_on(self) -> str:
        """`{"state": ""}`."""
        return f"zigbee2mqtt/{self.machine}/get"

    def will(self) -> Said:
        """The bridge's, retained."""
        return Said("zigbee2mqtt/bridge/state", '{"state":"offline"}', retain=True)

    def birth(self) -> list[Said]:
        """The bridge's, and the device's availability; retained."""
        online = '{"state":"online"}'
        return [
            Said("zigbee2mqtt/bridge/state", online, retain=True),
            Said(f"zigbee2mqtt/{self.machine}/availability", online, retain=True),
        ]

    def now(self, doing: Doing) -> list[Said]:
        """The device's document."""
        told = {
            "current": round(doing.power_w / MAINS_V, 2),
            "energy": round(doing.energy_ws / KILOWATT_HOUR_WS, 2),
            "linkquality": 63,
            "power": round(doing.power_w),
            "state": relay(doing.state),
            "update": {"state": "idle"},
            "voltage": round(MAINS_V),
        }
        return [Said(f"zigbee2mqtt/{self.machine}", json.dumps(told), qos=0)]

    def garbage(self, chance: Random) -> Said:
        """No document."""
        return Said(f"zigbee2mqtt/{self.machine}", chance.choice(("{", "ON", '{"power": NaN}', "[1]", "\x00")), qos=0)


class EspHomeVoice(Voice):
    """An ESPHome node with a meter and a relay; all of it retained."""

    dialect = "esphome"
    MEANS = dict.fromkeys(("running", "setup", "idle", "fault"))

    def status(self) -> dict[str, object]:
        """The node, its meter and its relay."""
        items = {"item": "sensor/power", "relay": "switch/relay"}
        return {"dialect": self.dialect, "topic": self.machine, **items, **THRESHOLDS}

    def will(self) -> Said:
        """`offline`, retained."""
        return self._word("status", "offline")

    def birth(self) -> list[Said]:
        """`online`, retained."""
        return [self._word("status", "online")]

    def now(self, doing: Doing) -> list[Said]:
        """The relay, then the watts, as each `update_interval`."""
        switch = self._word("switch/relay/state", relay(doing.state))
        return [switch, self._word("sensor/power/state", f"{doing.power_w:.1f}")]

    def garbage(self, chance: Random) -> Said:
        """What a sensor says that does not answer its node."""
        return self._word("sensor/power/state", chance.choice(("nan", "", "NA", "inf")))

    def _word(self, tail: str, word: str) -> Said:
        return Said(f"{self.machine}/{tail}", word, retain=True)
