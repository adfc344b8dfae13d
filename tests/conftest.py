"""What all tests need."""

from __future__ import annotations

import signal

# A shell has whatever it runs in the background ignore Ctrl-C, which some tests press.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
