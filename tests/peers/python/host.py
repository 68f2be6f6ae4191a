"""A robot on a real libqi: a service directory and the services that the tests call.

Prints `ready URL` once everything is registered. Ends with its standard input.

    Typed      echoes a value of every type that a signature can name; signals and properties of
               several types; objects; `seen()` tells how Python saw the last argument
    Plain      a Python object without declared types, as tutorials write them
    Slow       methods that take time, some of which can be cancelled
    Bells      gives out objects; methods with overloads
    Clock      a signal and a property that count, as fast as they are asked to; knows whether libqi
               has a subscriber of the signal
"""

import argparse
import pprint
import threading
import time

import qi

import stdio

ECHOES = {
    "echoBool": "b",
    "echoInt8": "c",
    "echoUInt8": "C",
    "echoInt16": "w",
    "echoUInt16": "W",
    "echoInt32": "i",
    "echoUInt32": "I",
    "echoInt64": "l",
    "echoUInt64": "L",
    "echoFloat": "f",
    "echoDouble": "d",
    "echoString": "s",
    "echoRaw": "r",
    "echoDynamic": "m",
    "echoStrings": "[s]",
    "echoFloats": "[f]",
    "echoTable": "[[i]]",
    "echoCounts": "{si}",
    "echoNames": "{is}",
    "echoByDouble": "{ds}",
    "echoGroups": "{s[i]}",
    "echoTuple": "(is)",
    "echoPoint": "(dd)<Point,x,y>",
    "echoPath": "[(dd)<Point,x,y>]",
    "echoTracks": "{s(s[(dd)<Point,x,y>])<Track,label,points>}",
    "echoOptional": "+i",
}

SIGNALS = {
    "onNothing": "()",
    "onInt": "(i)",
    "onPair": "(sd)",
    "onDynamic": "(m)",
    "onPoint": "((dd)<Point,x,y>)",
}

PROPERTIES = {
    "level": ("i", 7),
    "label": ("s", "robot"),
    "origin": ("(dd)<Point,x,y>", {"x": 1.0, "y": -1.0}),
}


def method(name, parameters, returned):
    """Declares the qi name and signatures of a method, structs included."""
    def declare(function):
        function.__qi_name__ = name
        function.__qi_signature__ = parameters
        function.__qi_return_signature__ = returned
        return function
    return declare


class Tool:
    """What `Typed.makeTool` returns."""

    def __init__(self, label):
        self._label = label

    @method("name", "()", "s")
    def name(self):
        """The name that the tool was made with."""
        return self._label


class Typed:
    def __init__(self):
        self._seen = ""
        for name, signature in SIGNALS.items():
            setattr(self, name, qi.Signal(signature))
        for name, (signature, value) in PROPERTIES.items():
            member = qi.Property(signature)
            member.setValue(value)
            setattr(self, name, member)

    @method("seen", "()", "s")
    def seen(self):
        """How Python saw the last argument."""
        return self._seen

    @method("describe", "(i)", "s")
    def describe_1_integer(self, value):
        """The overload for an integer."""
        return "integer %d" % value

    @method("describe", "(s)", "s")
    def describe_2_text(self, value):
        """The overload for a text."""
        return "text %s" % value

    @method("describe", "(si)", "s")
    def describe_3_both(self, text, value):
        """The overload for both."""
        return "text %s, integer %d" % (text, value)

    @method("count", "m", "i")
    def count(self, *values):
        """Takes any number of arguments."""
        return len(values)

    @method("tally", "(s#i)", "s")
    def tally(self, label, *values):
        """Takes any number of integers after the label."""
        self._seen = repr((label, values))
        return "%s: %s" % (label, values)

    @method("subtract", "(ii)", "i")
    def subtract(self, left, right):
        """left - right"""
        return left - right

    @method("fail", "(s)", "v")
    def fail(self, text):
        """Fails with that text."""
        raise RuntimeError(text)

    @method("emit", "(s[m])", "v")
    def emit(self, name, values):
        """Emits that signal with those values."""
        getattr(self, name)(*values)


    @method("makeTool", "(s)", "o")
    def make_tool(self, name):
        """A new object with the method name()."""
        return Tool(name)

    @method("nameOf", "(o)", "s")
    def name_of(self, tool):
        """What name() of that object returns."""
        return tool.name()


def echo():
    def function(self, value):
        """Returns its argument."""
        self._seen = pprint.pformat(value, width=1000)  # maps sorted by key
        return value
    return function


for _name, _signature in ECHOES.items():
    setattr(Typed, _name, method(_name, "(%s)" % _signature, _signature)(echo()))


class Plain:
    def __init__(self):
        self.onNews = qi.Signal()

    def reverse(self, values):
        """Turns a list around."""
        return list(reversed(values))

    def greet(self, name, times):
        """A greeting, repeated."""
        return " ".join(["hello " + name] * times)

    def kind(self, value):
        """The Python type of a value."""
        return type(value).__name__

    def news(self, value):
        """Emits onNews."""
        self.onNews(value)


@qi.multiThreaded()
class Slow:
    def __init__(self):
        self._changed = threading.Condition()
        self._started = self._canceled = 0
        self._released = False

    @method("hold", "(d)", "b")
    def hold(self, seconds):
        """Blocks its thread until `release`, and returns true; false after `seconds`."""
        self._note_start()
        with self._changed:
            return self._changed.wait_for(lambda: self._released, seconds)

    @method("release", "()", "v")
    def release(self):
        """Ends every `hold`."""
        with self._changed:
            self._released = True
            self._changed.notify_all()

    @method("sleep", "(d)", "d")
    def sleep(self, seconds):
        """Blocks its thread for that long."""
        self._note_start()
        time.sleep(seconds)
        return seconds

    @method("wait", "(d)", "d")
    def wait(self, seconds):
        """Answers after that long without keeping a thread; can be cancelled."""
        lock, pending = threading.Lock(), [True]

        def first():
            with lock:
                return pending.pop() if pending else False

        def cancel(promise):
            if first():
                timer.cancel()
                with self._changed:
                    self._canceled += 1
                    self._changed.notify_all()
                promise.setCanceled()

        def finish():
            if first():
                promise.setValue(seconds)

        timer = threading.Timer(seconds, finish)
        timer.daemon = True
        promise = qi.Promise(cancel)
        timer.start()
        self._note_start()
        return promise.future()

    @method("wasCanceled", "()", "b")
    def was_canceled(self):
        """Whether any call of `wait` was cancelled."""
        return self._canceled > 0

    @method("awaitStarted", "(id)", "b")
    def await_started(self, count, seconds):
        """Returns true once `count` calls of `hold`, `sleep` and `wait` have begun, false after `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._started >= count, seconds)

    @method("awaitCanceled", "(id)", "b")
    def await_canceled(self, count, seconds):
        """Returns true once `count` calls of `wait` were cancelled, false after `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._canceled >= count, seconds)

    def _note_start(self):
        with self._changed:
            self._started += 1
            self._changed.notify_all()


class Bell:
    """What `Bells.make` returns."""

    def __init__(self, label):
        self._label = label
        self.rung = qi.Signal("(i)")
        self.volume = qi.Property("i")
        self.volume.setValue(5)

    @method("name", "()", "s")
    def name(self):
        """The name that the bell was made with."""
        return self._label


@qi.multiThreaded()
class Bells:
    def __init__(self):
        self._bells = []

    @method("make", "(s)", "o")
    def make(self, label):
        """A new bell."""
        bell = Bell(label)
        self._bells.append(bell)
        return bell

    @method("makeSlowly", "(sd)", "o")
    def make_slowly(self, label, seconds):
        """A new bell, after a while."""
        time.sleep(seconds)
        return self.make(label)

    @method("ring", "(i)", "v")
    def ring(self, times):
        """Rings every bell."""
        for bell in self._bells:
            bell.rung(times)

    @method("closest", "(m)", "s")
    def closest_1_any(self, value):
        """The overload for any value."""
        return "any"

    @method("closest", "(f)", "s")
    def closest_2_float(self, value):
        """The overload for a floating point number."""
        return "float"

    @method("closest", "(i)", "s")
    def closest_3_integer(self, value):
        """The overload for an integer."""
        return "integer"

    @method("nearest", "(f)", "s")
    def nearest_1_float(self, value):
        """The overload for a floating point number."""
        return "float"

    @method("nearest", "(i)", "s")
    def nearest_2_integer(self, value):
        """The overload for an integer."""
        return "integer"

    @method("nearest", "([s])", "s")
    def nearest_3_texts(self, value):
        """The overload for texts."""
        return "texts"


class Clock:
    """libqi emits from a pool of threads: events that overlap leave in any order."""

    def __init__(self):
        self._watched = False
        self._ticks = self._count = 0
        self.tick = qi.Signal("(i)", self._on_connect)
        self.count = qi.Property("i")
        self.count.setValue(0)

    def _on_connect(self, connected):
        self._watched = connected

    @method("isWatched", "()", "b")
    def is_watched(self):
        """Whether libqi has a subscriber of `tick`."""
        return self._watched

    @method("run", "(id)", "v")
    def run(self, times, period):
        """Emits the next ticks, that many, one every `period` seconds. Returns at once."""
        def emit():
            self._ticks += 1
            self.tick(self._ticks)
        repeat(emit, times, period)

    @method("runFrom", "(ii)", "v")
    def run_from(self, first, times):
        """Emits ticks that count from `first`, that many."""
        for tick in range(first, first + times):
            self.tick(tick)

    @method("countUp", "(id)", "v")
    def count_up(self, times, period):
        """Adds one to `count`, that many times, once every `period` seconds. Returns at once."""
        def add():
            self._count += 1
            self.count.setValue(self._count)
        repeat(add, times, period)


def repeat(action, times, period):
    """Does something that many times, in time on the whole, in a thread of its own."""
    def run():
        begin = time.monotonic()
        for done in range(times):
            pause = begin + done * period - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            action()
    threading.Thread(target=run, daemon=True).start()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", default="tcp://127.0.0.1:0")
    options = parser.parse_args()
    stdio.claim_stdout()
    qi.logging.setLevel(qi.logging.WARNING)
    session = qi.Session()
    session.listenStandalone(options.listen)
    for service in (Typed(), Plain(), Slow(), Bells(), Clock()):
        session.registerService(type(service).__name__, service)
    stdio.say("ready %s" % session.endpoints()[0])
    stdio.run_until_stdin_ends()


if __name__ == "__main__":
    main()
