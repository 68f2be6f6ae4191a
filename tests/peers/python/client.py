"""A libqi client that a test drives: client.py URL.

Prints `ready URL` once it is connected. Then reads one JSON command a line and answers one JSON line
or, for a subscription, one for every event. Every answer carries the `id` of its command.

    {"op": "call", "service", "method", "args"}     -> {"value"} or {"error"}
    {"op": "runAsync", "service", "method", "args"} -> the same, called through qi.runAsync
    {"op": "get", "service", "property"}            -> {"value"}
    {"op": "set", "service", "property", "value"}   -> {"value": null}
    {"op": "subscribe", "service", "signal"}        -> {"subscribed": true}, then {"event": [...]}
    {"op": "services"}                              -> {"value": [names]}
    {"op": "metaObject", "service"}                 -> {"value"}

Values have the form of forms.py.
"""

import json
import sys
import threading

import qi

import stdio
from forms import from_json, to_json


class Client:
    def __init__(self, session):
        self.session = session
        self.subscriptions = []

    def call(self, command):
        service = self.session.service(command["service"])
        return service.call(command["method"], *map(from_json, command["args"]))

    def run_async(self, command):
        bound = getattr(self.session.service(command["service"]), command["method"])
        return qi.runAsync(bound, *map(from_json, command["args"])).value()

    def get(self, command):
        return getattr(self.session.service(command["service"]), command["property"]).value()

    def set(self, command):
        service = self.session.service(command["service"])
        getattr(service, command["property"]).setValue(from_json(command["value"]))

    def services(self, _):
        return [entry["name"] if isinstance(entry, dict) else entry[0]
                for entry in self.session.services()]

    def meta_object(self, command):
        return self.session.service(command["service"]).metaObject()

    def subscribe(self, command):
        service = self.session.service(command["service"])
        signal = getattr(service, command["signal"])
        signal.connect(lambda *args: answer(command, event=to_json(args)))
        self.subscriptions.append((service, signal))  # an event needs its proxy alive


def answer(command, **fields):
    stdio.say(json.dumps({"id": command["id"], **fields}))


def serve(client, command):
    operations = {"call": client.call, "runAsync": client.run_async, "get": client.get,
                  "set": client.set, "services": client.services,
                  "metaObject": client.meta_object}
    try:
        if command["op"] == "subscribe":
            client.subscribe(command)
            answer(command, subscribed=True)
        else:
            answer(command, value=to_json(operations[command["op"]](command)))
    except Exception as error:
        answer(command, error=str(error))


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
