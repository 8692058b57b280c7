"""The voices of machines that only speak, or answer when they are asked: all but those with a protocol of their own."""

from __future__ import annotations

from firmware_bridge.simulator.line_voices import ModuleVoice, PackMlVoice
from firmware_bridge.simulator.plug_voices import EspHomeVoice, Shelly1Voice, Shelly2Voice, Zigbee2MqttVoice
from firmware_bridge.simulator.printer_voices import BambuVoice, MoonrakerVoice, OctoPrintVoice
from firmware_bridge.simulator.voices import JsonVoice, TasmotaVoice, TextVoice, Voice

VOICES: dict[str, type[Voice]] = {
    voice.dialect: voice
    for voice in (
        BambuVoice,
        EspHomeVoice,
        JsonVoice,
        ModuleVoice,
        MoonrakerVoice,
        OctoPrintVoice,
        PackMlVoice,
        Shelly1Voice,
        Shelly2Voice,
        TasmotaVoice,
        TextVoice,
        Zigbee2MqttVoice,
    )
}
"""By dialect."""
