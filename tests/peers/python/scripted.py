"""A robot whose every method tells what it was given and answers what the test says:

    scripted.py FOLDER DATASET

Hosts the services of DATASET (a file in the form of the robot's own) with the program robot.py of
FOLDER, so with all that it does to be exact, but without its behaviours. Prints `ready URL`, then reads
JSON lines: what the next call of a method should answer, in the form of forms.py.

    {"service", "method", "signature", "returns", "answer"}
        -> {"args"}, once it is called: what Python was given

Without `answer` it fails, with the text "scripted". Ends with its standard input.
"""

import json
import queue
import sys
import threading

import qi

import stdio
from forms import from_json, to_json

CALL_WITHIN_S = 30


class Script:
    """What the methods should answer, and for which command."""

    def __init__(self):
        self._lock, self._queues = threading.Lock(), {}

    def of(self, key):
        with self._lock:
            return self._queues.setdefault(key, queue.SimpleQueue())

    def read(self):
        for line in sys.stdin:
            command = json.loads(line)
            key = tuple(command[name] for name in ("service", "method", "signature", "returns"))
            self.of(key).put(command)
        stdio.leave()


def behaviour(handler, script, make_object):
    meta = handler.meta
    commands = script.of((handler.service, meta["name"], meta["parametersSignature"],
                          meta["returnSignature"]))

    def method(*args):
        command = commands.get(timeout=CALL_WITHIN_S)
        stdio.say(json.dumps({"id": command["id"], "args": to_json(args, exact=True)}))
        if "answer" not in command:
            raise RuntimeError("scripted")
        return from_json(command["answer"], make_object)
    return method


def main():
    folder, dataset = sys.argv[1:]
    stdio.claim_stdout()
    qi.logging.setLevel(qi.logging.WARNING)
    sys.path.insert(0, folder)
    import robot
    script = Script()

    class Scripted(robot.Robot):
        def behave(self):
            for service in self.services.values():
                for handler in service._handlers:
                    handler.behaviour = behaviour(handler, script, self.anonymous)

    endpoints = Scripted(robot.parse(["--dataset", dataset, "--extra", ""])).start()
    stdio.say("ready %s" % endpoints[0])
    script.read()


if __name__ == "__main__":
    main()
