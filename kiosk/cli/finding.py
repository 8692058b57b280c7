"""What one try found, and how it is said."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """`ok` is False for a problem; what is `ok` may still be worth a `look`: a warning, or what nobody could try."""

    device: str
    ok: bool
    detail: str
    remedy: str = ""
    look: bool = False

    @property
    def mark(self) -> str:
        """What stands before its line."""
        return "PROBLEM" if not self.ok else "LOOK   " if self.look else "OK     "


def from_words(device: str, words: str) -> Finding:
    """A problem that was told as `what is wrong; what to do`."""
    detail, _, remedy = words.partition("; ")
    return Finding(device, False, f"{detail}.", f"{remedy[:1].upper()}{remedy[1:]}." if remedy else "")


def seconds(duration_ms: int) -> str:
    """A measured duration for a sentence: `0.8 s`, `12 s`, `5 min`."""
    if duration_ms >= 120_000:
        return f"{duration_ms / 60_000:.3g} min"
    return f"{duration_ms / 1000:.2g} s" if duration_ms < 10_000 else f"{round(duration_ms / 1000)} s"
