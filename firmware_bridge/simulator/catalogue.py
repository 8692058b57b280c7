"""Every dialect's virtual machine and every protocol's virtual reader, by the names that a lab writes."""

from __future__ import annotations

from firmware_bridge.simulator.active_readers import DEVICES, ActiveReader
from firmware_bridge.simulator.frames import FRAMES
from firmware_bridge.simulator.mtconnect_agent import VirtualAgent
from firmware_bridge.simulator.sparkplug_node import VirtualNode
from firmware_bridge.simulator.spoken import VOICES
from firmware_bridge.simulator.virtual_machine import VirtualMachine
from firmware_bridge.simulator.virtual_reader import VirtualReader

Reader = VirtualReader | ActiveReader

MACHINES = tuple(sorted((*VOICES, "mtconnect", "sparkplug")))
READERS = tuple(sorted((*FRAMES, *DEVICES)))


def virtual_machine(
    machine: str, dialect: str, *, host: str, port: int, seed: int = 0, period_s: float = 10
) -> VirtualMachine:
    """A machine that speaks `dialect`, as `VirtualMachine`. Raises `KeyError` for one that is not in `MACHINES`."""
    if dialect == "mtconnect":
        return VirtualAgent(machine, host=host, port=port, seed=seed, period_s=period_s)
    if dialect == "sparkplug":
        return VirtualNode(machine, host=host, port=port, seed=seed, period_s=period_s)
    return VirtualMachine(machine, dialect, host=host, port=port, seed=seed, period_s=period_s)


def virtual_reader(protocol: str) -> Reader:
    """A reader that speaks `protocol`, whether it must be asked or not. Raises `KeyError` outside `READERS`."""
    return ActiveReader(protocol) if protocol in DEVICES else VirtualReader(protocol)
