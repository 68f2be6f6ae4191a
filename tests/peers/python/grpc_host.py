"""Hosts a service on a robot's bus through the gateway: grpc_host.py HOST:PORT NAME.

The service has one method, `echo(i) -> i`, whose calls overlap. Prints `registered NUMBER` whenever it
is registered. Ends with its standard input, or with the stream.
"""

import queue
import sys
import threading

import grpc_client
import stdio


def serve(address, name):
    host, request = grpc_client.Client(address).method("/qi.gateway.v1.HostingService/Host")
    sent = queue.Queue()
    echo = {"name": "echo", "parameters_signature": "(i)", "return_signature": "i"}
    sent.put(request(declare={"name": name, "multi_threaded": True, "methods": [echo]}))
    try:
        for message in host(iter(sent.get, None)):
            if message.HasField("registered"):
                stdio.say("registered %d" % message.registered.service_id)
            if message.HasField("call"):
                call = message.call
                sent.put(request(result={"call_id": call.call_id, "value": call.args[0]}))
    finally:
        stdio.leave()


def main():
    stdio.claim_stdout()
    threading.Thread(target=serve, args=sys.argv[1:], daemon=True).start()
    stdio.run_until_stdin_ends()


if __name__ == "__main__":
    main()
