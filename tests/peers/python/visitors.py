"""A service that is given objects, in a process of its own: visitors.py URL NAME.

Prints `ready NAME` once it is registered. Ends with its standard input. The objects are bells, like
those that `Bells` of host.py makes.
"""

import gc
import sys

import qi

import stdio


@qi.multiThreaded()
class Visitors:
    def __init__(self, session):
        self._session = session
        self._kept = []
        self.heard = qi.Signal("(i)")
        self.arrived = qi.Signal("(o)")

    @qi.bind(returnType="s", paramsType=["o"])
    def use(self, bell):
        """The name of a bell, which is forgotten then."""
        return bell.name()

    @qi.bind(returnType="s", paramsType=["m"])
    def useAny(self, bell):
        """The same, of whatever is given."""
        return bell.name()

    @qi.bind(returnType="[s]", paramsType=["[o]"])
    def useAll(self, bells):
        """The names of all."""
        return [bell.name() for bell in bells]

    @qi.bind(returnType="s", paramsType=["o"])
    def fail(self, bell):
        """Lets the bell fail."""
        return bell.crack()

    @qi.bind(returnType="v", paramsType=["o"])
    def keep(self, bell):
        """Keeps a bell."""
        self._kept.append(bell)

    @qi.bind(returnType="s", paramsType=[])
    def poke(self):
        """The name of the bell that is kept."""
        return self._kept[-1].name()

    @qi.bind(returnType="i", paramsType=["i"])
    def setVolume(self, volume):
        """Sets the volume of the bell that is kept, and reads it back."""
        self._kept[-1].volume.setValue(volume)
        return self._kept[-1].volume.value()

    @qi.bind(returnType="v", paramsType=[])
    def listen(self):
        """Emits `heard` whenever the bell that is kept is rung."""
        self._kept[-1].rung.connect(lambda times: self.heard(times))

    @qi.bind(returnType="o", paramsType=[])
    def give(self):
        """The bell that is kept."""
        return self._kept[-1]

    @qi.bind(returnType="s", paramsType=["s"])
    def introduce(self, host):
        """What another service says that takes the bell that is kept."""
        return self._session.service(host).take(self._kept[-1])

    @qi.bind(returnType="v", paramsType=[])
    def announce(self):
        """Emits `arrived` with the bell that is kept."""
        self.arrived(self._kept[-1])

    @qi.bind(returnType="v", paramsType=[])
    def forget(self):
        """Forgets all bells."""
        self._kept.clear()
        gc.collect()


def main():
    url, name = sys.argv[1:]
    stdio.claim_stdout()
    qi.logging.setLevel(qi.logging.WARNING)
    session = qi.Session()
    session.connect(url)
    session.listen("tcp://127.0.0.1:0")
    session.registerService(name, Visitors(session))
    stdio.say("ready %s" % name)
    stdio.run_until_stdin_ends()


if __name__ == "__main__":
    main()
