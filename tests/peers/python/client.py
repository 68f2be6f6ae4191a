"""A libqi client that a test drives: client.py URL.

Prints `ready URL` once it is connected. Then reads one JSON command a line and answers one JSON line
or, for a subscription, one for every event. Every answer carries the `id` of its command.

    {"op": "call", "service", "method", "args"}     -> {"value"} or {"error"}
    {"op": "runAsync", "service", "method", "args"} -> the same, called through qi.runAsync
    {"op": "callAll", "service", "method", "args"}  -> the same for a list of argument lists: all are
                                                       called in their order, then awaited
    {"op": "get", "service", "property"}            -> {"value"}
    {"op": "set", "service", "property", "value"}   -> {"value": null}
    {"op": "subscribe", "service", "signal"}        -> {"subscribed": true}, then {"event": [...]}
    {"op": "services"}                              -> {"value": [names]}
    {"op": "metaObject", "service"}                 -> {"value"}
    {"op": "begin", "service", "method", "args"}    -> {"begun": true}, then as a call does, or
                                                       {"canceled": true}
    {"op": "abort", "call": id}                     cancels a call that was begun; -> {"value": null}
    {"op": "burst", "service", "method", "count", "threads"}
        -> {"value": {answer or error text: how many}}, of calls with their number as argument

Values have the form of forms.py.
"""

import collections
import json
import sys
import threading
import time

import qi

import stdio
from forms import from_json, to_json


class Client:
    def __init__(self, session):
        self.session = session
        self.subscriptions = []
        self.begun = {}

    def call(self, command):
        service = self.session.service(command["service"])
        return service.call(command["method"], *map(from_json, command["args"]))

    def run_async(self, command):
        bound = getattr(self.session.service(command["service"]), command["method"])
        return qi.runAsync(bound, *map(from_json, command["args"])).value()

    def call_all(self, command):
        bound = getattr(self.session.service(command["service"]), command["method"])
        futures = [bound(*map(from_json, args), _async=True) for args in command["args"]]
        return [future.value() for future in futures]

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

    def begin(self, command):
        service = self.session.service(command["service"])
        future = service.call(command["method"], *map(from_json, command["args"]), _async=True)
        self.begun[command["id"]] = future
        answer(command, begun=True)
        future.addCallback(lambda future: finish(command, future))

    def abort(self, command):
        self.begun[command["call"]].cancel()

    def burst(self, command):
        """Every call is made and waited for, whatever becomes of the others."""
        counts = collections.Counter()
        numbers = iter(range(command["count"]))
        lock = threading.Lock()

        def work():
            service = None
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                try:
                    service = service or self.session.service(command["service"])
                    future = service.call(command["method"], number, _async=True)
                    value = future.value(60000)
                    outcome = "right" if value == number else "wrong: %r" % value
                except Exception as error:
                    service, outcome = None, str(error)
                    time.sleep(0.1)  # or all the calls would be over before the service is back
                with lock:
                    counts[outcome] += 1

        threads = [threading.Thread(target=work) for _ in range(command["threads"])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return dict(counts)

    def subscribe(self, command):
        service = self.session.service(command["service"])
        signal = getattr(service, command["signal"])
        signal.connect(lambda *args: answer(command, event=to_json(args)))
        self.subscriptions.append((service, signal))  # an event needs its proxy alive


def answer(command, **fields):
    stdio.say(json.dumps({"id": command["id"], **fields}))


def finish(command, future):
    if future.isCanceled():
        answer(command, canceled=True)
    elif future.hasError():
        answer(command, error=future.error())
    else:
        answer(command, value=to_json(future.value()))


def serve(client, command):
    operations = {"call": client.call, "runAsync": client.run_async,
                  "callAll": client.call_all, "get": client.get,
                  "set": client.set, "services": client.services,
                  "metaObject": client.meta_object, "abort": client.abort,
                  "burst": client.burst}
    try:
        if command["op"] == "subscribe":
            client.subscribe(command)
            answer(command, subscribed=True)
        elif command["op"] == "begin":
            client.begin(command)
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
