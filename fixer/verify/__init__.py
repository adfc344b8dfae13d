"""Is the fix right? Runs the code before and after it, in a cage, under the target's own Python."""

from __future__ import annotations

from fixer.verify.client import Verifier
from fixer.verify.job import Device, HarnessConfig, Job, Revision, VerifySettings

__all__ = ["Device", "HarnessConfig", "Job", "Revision", "Verifier", "VerifySettings"]
