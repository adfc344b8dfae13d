"""What became of one wrong rewrite."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """One mistake in one place, what the oracle saw of it, and what verification said."""

    kind: str
    place: str
    number: int
    """Which of the places of that kind it was."""
    change: str | None
    """What the oracle saw the code do differently, None if nothing."""
    verdict: str
    reason: str

    @property
    def changes(self) -> bool:
        """Whether the mistake changes behaviour as far as the oracle can see."""
        return self.change is not None

    @property
    def missed(self) -> bool:
        """Whether verification did not refute what changes behaviour."""
        return self.changes and self.verdict != "refuted"

    @property
    def doubtful(self) -> bool:
        """Whether verification refuted what nobody saw a difference in."""
        return not self.changes and self.verdict == "refuted"
