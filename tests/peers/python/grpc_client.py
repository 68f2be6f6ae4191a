"""A gRPC client without generated code that a test drives: grpc_client.py HOST:PORT.

It learns every schema through server reflection (v1alpha, the version that Python's client knows).
Prints `ready HOST:PORT`, then reads one JSON command a line and answers with JSON lines that carry the
`id` of the command. Calls run concurrently.

    {"op": "unary", "method": "/package.Service/Method", "request", "metadata", "timeout"}
        -> {"code", "message", "response", "details"}
    {"op": "stream", ...the same}
        -> {"headers"}, then {"response"} for every message, then {"code", "message", "details"}
    {"op": "talk", ...the same with "requests", the first messages}
        -> the same, for a method that streams both ways
    {"op": "say", "call": id, "request"}   sends one more message; -> {}
    {"op": "hush", "call": id}             there are no more messages; -> {}
    {"op": "cancel", "call": id}           cancels a call or stream
    {"op": "services"}                     -> {"services": [names]}
    {"op": "refresh"}                      forgets every schema; -> {}

Requests and responses are proto3 JSON, default values included. `details` are the google.rpc details of
an error, each with its `@type`.
"""

import json
import queue
import sys
import threading

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase)
from grpc_status import rpc_status

import stdio

DETAILS = {message.DESCRIPTOR.full_name: message for message in (
    error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo,
    error_details_pb2.QuotaFailure)}
KINDS = {(False, False): "unary_unary", (False, True): "unary_stream",
         (True, False): "stream_unary", (True, True): "stream_stream"}


class Client:
    def __init__(self, address):
        self.channel = grpc.insecure_channel(address, options=[
            ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])
        self.schema_lock = threading.Lock()
        self.calls = {}
        self.talks = {}
        self.refresh()

    def refresh(self):
        with self.schema_lock:
            self.database = ProtoReflectionDescriptorDatabase(self.channel)
            self.pool = descriptor_pool.DescriptorPool(self.database)

    def method(self, path):
        """The callable of a method and the classes of its request and response."""
        service_name, _, method_name = path.lstrip("/").partition("/")
        with self.schema_lock:
            service = self.pool.FindServiceByName(service_name)
            method = service.FindMethodByName(method_name)
            if method is None:
                raise KeyError("%s has no method %s" % (service_name, method_name))
            request = message_factory.GetMessageClass(method.input_type)
            response = message_factory.GetMessageClass(method.output_type)
        kind = KINDS[method.client_streaming, method.server_streaming]
        call = getattr(self.channel, kind)(
            path, request_serializer=request.SerializeToString,
            response_deserializer=response.FromString)
        return call, request

    def start(self, command):
        """Sends the request; an RPC or an iterator of responses."""
        call, request_class = self.method(command["method"])
        request = json_format.ParseDict(command.get("request") or {}, request_class(),
                                        descriptor_pool=self.pool)
        options = {"timeout": command.get("timeout"),
                   "metadata": tuple((command.get("metadata") or {}).items())}
        return call.future(request, **options) if command["op"] == "unary" \
            else call(request, **options)

    def unary(self, command):
        rpc = self.calls[command["id"]] = self.start(command)
        rpc.add_done_callback(lambda rpc: self.finish_unary(command, rpc))

    def finish_unary(self, command, rpc):
        try:
            fields = end_of(rpc)
            if rpc.code() is grpc.StatusCode.OK:
                fields["response"] = self.to_json(rpc.result())
            answer(command, **fields)
        except Exception as error:
            refuse(command, error)
        finally:
            del self.calls[command["id"]]

    def stream(self, command):
        rpc = self.calls[command["id"]] = self.start(command)
        threading.Thread(target=self.read_stream, args=(command, rpc), daemon=True).start()

    def talk(self, command):
        call, request_class = self.method(command["method"])
        sent = queue.Queue()
        self.talks[command["id"]] = sent, request_class
        for request in command["requests"]:
            self.say({"call": command["id"], "request": request})
        rpc = self.calls[command["id"]] = call(
            iter(sent.get, None), timeout=command.get("timeout"),
            metadata=tuple((command.get("metadata") or {}).items()))
        # Ends the thread in which grpcio sends the messages.
        rpc.add_callback(lambda: sent.put(None))
        threading.Thread(target=self.read_stream, args=(command, rpc), daemon=True).start()

    def say(self, command):
        sent, request_class = self.talks[command["call"]]
        sent.put(json_format.ParseDict(command["request"], request_class(),
                                       descriptor_pool=self.pool))

    def say_and_answer(self, command):
        self.say(command)
        answer(command)

    def hush(self, command):
        self.talks[command["call"]][0].put(None)
        answer(command)

    def read_stream(self, command, rpc):
        try:
            answer(command, headers={key: str(value) for key, value in rpc.initial_metadata()})
            for message in rpc:
                answer(command, response=self.to_json(message))
        except grpc.RpcError:
            pass  # its status is the last answer
        except Exception as error:
            rpc.cancel()
            refuse(command, error)
            return
        finally:
            del self.calls[command["id"]]
        answer(command, **end_of(rpc))

    def cancel(self, command):
        self.calls[command["call"]].cancel()
        answer(command)

    def services(self, command):
        answer(command, services=sorted(self.database.get_services()))

    def refresh_and_answer(self, command):
        self.refresh()
        answer(command)

    def to_json(self, message):
        return json_format.MessageToDict(message, always_print_fields_with_no_presence=True,
                                         descriptor_pool=self.pool)


def end_of(rpc):
    return {"code": rpc.code().name, "message": rpc.details() or "", "details": details_of(rpc)}


def details_of(rpc):
    status = rpc_status.from_call(rpc)
    details = []
    for packed in status.details if status else []:
        name = packed.TypeName()
        message = DETAILS[name]() if name in DETAILS else None
        if message is not None:
            packed.Unpack(message)
        details.append({"@type": name, **(json_format.MessageToDict(message) if message else {})})
    return details


def answer(command, **fields):
    stdio.say(json.dumps({"id": command["id"], **fields}))


def refuse(command, error):
    """The command could not be sent or its answer not be read: no status of the server."""
    answer(command, refused="%s: %s" % (type(error).__name__, error))


def main():
    address = sys.argv[1]
    stdio.claim_stdout()
    client = Client(address)
    operations = {"unary": client.unary, "stream": client.stream, "cancel": client.cancel,
                  "talk": client.talk, "say": client.say_and_answer, "hush": client.hush,
                  "services": client.services, "refresh": client.refresh_and_answer}
    stdio.say("ready %s" % address)
    for line in sys.stdin:
        command = json.loads(line)
        try:
            operations[command["op"]](command)
        except Exception as error:
            refuse(command, error)
    stdio.leave()


if __name__ == "__main__":
    main()
