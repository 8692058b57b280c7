"""What national classifiers of professions say of a programme's size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Classifier:
    """How a classifier counts. `credit_academic_hours` is the size of one credit."""

    credit_academic_hours: int

    def credits(self, duration_ms: int, academic_hour_ms: int) -> Fraction:
        """The exact number of credits that a time is."""
        return Fraction(duration_ms, self.credit_academic_hours * academic_hour_ms)


CLASSIFIERS: Mapping[str, Classifier] = {
    # Kazakhstan, technical and vocational: order No. 75 of 28.03.2023 (reg. 32140), 1 credit = 24 academic hours.
    "kz-tvet-2018": Classifier(credit_academic_hours=24),
}
"""By the `classifier` of a programme; one that is not here has no credits that are known."""
