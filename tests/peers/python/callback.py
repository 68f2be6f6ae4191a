"""Passes an object to a service and gets it back: callback.py URL.

Calls `Keeper.take` with an object that has one method, `hear(s) -> s`, and then that method of what
`Keeper.give` returns. Prints what came of both.
"""

import sys

import qi

import stdio


class Ear:
    @qi.bind(returnType=qi.String, paramsType=[qi.String])
    def hear(self, text):
        """Tells what it heard."""
        stdio.say("heard %s" % text)
        return "I heard " + text


def main():
    stdio.claim_stdout()
    qi.logging.setLevel(qi.logging.WARNING)
    session = qi.Session()
    session.connect(sys.argv[1])
    keeper = session.service("Keeper")
    stdio.say("take %s" % keeper.take(Ear()))
    stdio.say("give %s" % keeper.give().hear("my own voice"))
    stdio.leave()


if __name__ == "__main__":
    main()
