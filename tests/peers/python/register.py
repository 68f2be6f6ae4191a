"""Registers one service on a running service directory: register.py URL NAME [LEVEL].

Prints `ready NAME` once it is registered. Ends with its standard input.
"""

import sys
import threading

import qi

import stdio


@qi.multiThreaded()
class Extra:
    def __init__(self, level):
        self.onPing = qi.Signal("(i)")
        self.level = qi.Property("i")
        self.level.setValue(level)

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
    url, name = sys.argv[1:3]
    level = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    stdio.claim_stdout()
    qi.logging.setLevel(qi.logging.WARNING)
    session = qi.Session()
    session.connect(url)
    session.listen("tcp://127.0.0.1:0")
    session.registerService(name, Extra(level))
    stdio.say("ready %s" % name)
    stdio.run_until_stdin_ends()


if __name__ == "__main__":
    main()
