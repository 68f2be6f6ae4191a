"""The service `foo` of the libqi guide, hosted through the gateway: foo.py [HOST:PORT]."""
import asyncio, sys, time, grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
address, requests, calls = (sys.argv[1:] or ["127.0.0.1:50051"])[0], asyncio.Queue(), {}
pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(grpc.insecure_channel(address)))
host = pool.FindServiceByName("qi.gateway.v1.HostingService").FindMethodByName("Host")
Request, Response = map(message_factory.GetMessageClass, (host.input_type, host.output_type))
delay = {"parameters_signature": "(d)", "return_signature": "d"}
requests.put_nowait(Request(declare={
    "name": "foo", "multi_threaded": True, "signals": [{"name": "onBang", "signature": "(i)"}],
    "methods": [{"name": "bang"}, {"name": "bar", **delay}, {"name": "betterBar", **delay}]}))

async def answer(call_id, method, *args):
    if method == "bang":
        requests.put_nowait(Request(emit={"signal": "onBang", "args": [{"int_value": 42}]}))
    if method == "bar":  # occupies a thread
        await asyncio.to_thread(time.sleep, args[0].double_value)
    if method == "betterBar":  # occupies none, and can be cancelled
        await asyncio.sleep(args[0].double_value)
    requests.put_nowait(Request(result={"call_id": call_id, "value": args[0] if args else None}))

async def said():
    while True:
        yield await requests.get()

async def main():
    stream = grpc.aio.insecure_channel(address).stream_stream(
        "/qi.gateway.v1.HostingService/Host", Request.SerializeToString, Response.FromString)
    async for told in stream(said()):
        if told.HasField("registered"):
            print("foo is service", told.registered.service_id, flush=True)
        if told.HasField("call"):
            id, call = told.call.call_id, told.call
            calls[id] = asyncio.create_task(answer(id, call.method, *call.args))
            calls[id].add_done_callback(lambda _, id=id: calls.pop(id))
        if told.HasField("cancel") and told.cancel.call_id in calls:
            calls[told.cancel.call_id].cancel()
asyncio.run(main())
