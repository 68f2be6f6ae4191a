"""What the programs of this folder share: standard output for the promised lines only, and an end.

libqi logs on standard output, so `claim_stdout` keeps that for the lines a test waits for and sends
everything else to standard error. Every program ends when its standard input is closed, so that none
outlives its test.
"""

import os
import signal
import sys
import threading

_out = None
_lock = threading.Lock()


def claim_stdout():
    """Call before libqi can log anything."""
    global _out
    _out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)


def say(line):
    """Writes one line to standard output, whole, from any thread."""
    with _lock:
        print(line, file=_out, flush=True)


def leave(code=0):
    """Ends the process without waiting for libqi, which may wait for its callers."""
    sys.stderr.flush()
    os._exit(code)


def run_until_stdin_ends():
    """Sleeps until standard input closes or SIGTERM comes, then ends the process."""
    signal.signal(signal.SIGTERM, lambda *_: leave())
    while os.read(0, 4096):
        pass
    leave()
