"""A libqi client that holds objects and gives its own: object_client.py URL.

Prints `ready URL` once it is connected. Then reads one JSON command a line and answers one JSON line
or, for a subscription, one for every event, with the `id` of its command. Objects have names here.

    {"op": "take", "service", "method", "args", "as"}  keeps the object that a method returns
    {"op": "own", "as"}                                makes a bell of its own
    {"op": "service", "service", "as"}                 keeps a proxy of a service
    {"op": "call", "on", "method", "args"}             -> {"value"} or {"error"}; {"object": name} as
                                                       an argument is the object of that name
    {"op": "get", "on", "property"}, {"op": "set", "on", "property", "value"}
    {"op": "watch", "on", "signal"}                    -> {"watching": true}, then {"event": [...]}
    {"op": "ring", "on", "times"}                      emits the signal `rung` of a bell of its own
    {"op": "drop", "as"}                               forgets an object
"""

import gc
import json
import sys
import threading

import qi

import stdio
from client import answer, from_json, to_json


class Bell:
    """What this client gives to others."""

    def __init__(self, label):
        self._label = label
        self.rung = qi.Signal("(i)")
        self.volume = qi.Property("i")
        self.volume.setValue(5)

    @qi.bind(returnType="s", paramsType=[])
    def name(self):
        """The name that the bell was made with."""
        return self._label

    @qi.bind(returnType="v", paramsType=[])
    def crack(self):
        """Fails."""
        raise RuntimeError("the bell is cracked")


class Client:
    def __init__(self, session):
        self.session = session
        self.objects = {}

    def argument(self, value):
        if isinstance(value, dict) and list(value) == ["object"]:
            return self.objects[value["object"]]
        if isinstance(value, list):
            return [self.argument(v) for v in value]
        return from_json(value)

    def arguments(self, command):
        return [self.argument(value) for value in command["args"]]

    def take(self, command):
        service = self.session.service(command["service"])
        self.objects[command["as"]] = service.call(command["method"], *self.arguments(command))

    def own(self, command):
        self.objects[command["as"]] = Bell(command["as"])

    def service(self, command):
        self.objects[command["as"]] = self.session.service(command["service"])

    def call(self, command):
        called = self.objects[command["on"]]
        return called.call(command["method"], *self.arguments(command))

    def get(self, command):
        return getattr(self.objects[command["on"]], command["property"]).value()

    def set(self, command):
        held = getattr(self.objects[command["on"]], command["property"])
        held.setValue(from_json(command["value"]))

    def watch(self, command):
        signal = getattr(self.objects[command["on"]], command["signal"])
        signal.connect(lambda *args: answer(command, event=to_json(args)))

    def ring(self, command):
        self.objects[command["on"]].rung(command["times"])

    def drop(self, command):
        del self.objects[command["as"]]
        gc.collect()


def serve(client, command):
    try:
        value = getattr(client, command["op"])(command)
        if command["op"] == "watch":
            answer(command, watching=True)
        else:
            answer(command, value=to_json(value))
    except Exception as error:
        answer(command, error=str(error))
    # The last command must not keep an object alive.
    value = None


def main():
    url = sys.argv[1]
    stdio.claim_stdout()
    qi.logging.setLevel(qi.logging.WARNING)
    session = qi.Session()
    session.connect(url)
    client = Client(session)
    stdio.say("ready %s" % url)
    for line in sys.stdin:
        threading.Thread(target=serve, args=(client, json.loads(line)), daemon=True).start()
    stdio.leave()


if __name__ == "__main__":
    main()
