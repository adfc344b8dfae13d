"""What all tests need."""

from __future__ import annotations

import os
import signal
import tempfile

# A shell has whatever it runs in the background ignore Ctrl-C, which some tests press.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The key that seals kept verdicts lies there: the tests leave nothing in anybody's home.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="fixer-tests-")
