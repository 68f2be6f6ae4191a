"""Registers one service on a running service directory: register.py URL NAME.

Prints `ready NAME` once it is registered. Ends with its standard input.
"""

import sys
import threading

import qi

import stdio


@qi.multiThreaded()
class Extra:
    def __init__(self):
        self.onPing = qi.Signal("(i)")

    @qi.bind(returnType=qi.Int32, paramsType=[qi.Int32])
    def ping(self, value):
        """Emits onPing and returns the value."""
        self.onPing(value)
        return value

    @qi.bind(returnType=qi.Void, paramsType=[])
    def hang(self):
        """Emits onPing(-1) and never answers."""
        self.onPing(-1)
        threading.Event().wait()


def main():
    url, name = sys.argv[1:]
    stdio.claim_stdout()
    qi.logging.setLevel(qi.logging.WARNING)
    session = qi.Session()
    session.connect(url)
    session.listen("tcp://127.0.0.1:0")
    session.registerService(name, Extra())
    stdio.say("ready %s" % name)
    stdio.run_until_stdin_ends()


if __name__ == "__main__":
    main()
