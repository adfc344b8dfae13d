"""What may be written: the user's say and verification's, together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from fixer.contract import Verdict, Verification
from fixer.rule import Applicability, Finding, Fix


class VerifyMode(str, Enum):
    """How much proof a fix needs before it is written."""

    AUTO = "auto"
    """Proven safe fixes are written; a fix that nothing could be shown of counts as unsafe."""
    REQUIRE = "require"
    """Only proven fixes are written, whatever else is given."""
    OFF = "off"
    """Nothing is run; fixes are written by their applicability alone."""


@dataclass(frozen=True)
class Policy:
    """What the user allows."""

    unsafe_fixes: bool = False
    verify: VerifyMode = VerifyMode.AUTO
    prefer: Mapping[str, str] = field(default_factory=dict)
    """For a rule's code, words of the message of the fix to take instead of the first."""

    def choice(self, finding: Finding) -> Fix | None:
        """The fix that is meant when nobody asks which."""
        return next(self._preferred(finding), finding.fix)

    def overlooked(self, findings: Iterable[Finding]) -> dict[str, str]:
        """For each rule whose `prefer` fits none of several fixes, by its code: the fixes that there are."""
        several = [finding for finding in findings if finding.code in self.prefer and len(finding.fixes) > 1]
        fitting = {finding.code for finding in several if any(self._preferred(finding))}
        return {
            finding.code: "; ".join(fix.message for fix in finding.fixes)
            for finding in several
            if finding.code not in fitting
        }

    def _preferred(self, finding: Finding) -> Iterator[Fix]:
        words = self.prefer.get(finding.code, "").casefold()
        return (fix for fix in finding.fixes if words in fix.message.casefold())

    def allows(self, fix: Fix) -> bool:
        """Whether the fix may be written at all, before anything is run."""
        if fix.applicability is Applicability.UNSAFE:
            return self.unsafe_fixes
        return fix.applicability is Applicability.SAFE

    def accepts(self, verification: Verification | None) -> bool:
        """Whether what verification said (None: it was not asked) is enough to write an allowed fix."""
        if verification is None:
            return self.verify is VerifyMode.OFF
        if verification.verdict is Verdict.UNVERIFIED:
            return self.verify is VerifyMode.AUTO and self.unsafe_fixes
        return verification.verdict.proven
