"""What all tests need."""

from __future__ import annotations

import os
import signal
import tempfile
from itertools import count

import pytest

# A shell has whatever it runs in the background ignore Ctrl-C, which some tests press.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_SECONDS_A_LOOK = 0.0005
"""About what lies between two looks at the clock on an idle machine."""

# The key that seals kept verdicts lies there: the tests leave nothing in anybody's home.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="fixer-tests-")


@pytest.fixture(autouse=True)
def _steady_clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time stand for how often searches look at it: what they find must not depend on other work."""
    if request.module.__name__.startswith("tests.test_synthesis"):
        from fixer.verify.worker import clock

        looks = count()
        monkeypatch.setattr(clock, "now", lambda: next(looks) * _SECONDS_A_LOOK)
