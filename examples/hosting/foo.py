"""The service `foo` of the libqi guide, hosted through the gateway: foo.py [HOST:PORT]."""
import asyncio, sys, time, grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

address, to_say, calls = (sys.argv[1:] or ["127.0.0.1:50051"])[0], asyncio.Queue(), {}
pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(grpc.insecure_channel(address)))
host = pool.FindServiceByName("qi.gateway.v1.HostingService").FindMethodByName("Host")
Request, Response = map(message_factory.GetMessageClass, (host.input_type, host.output_type))
delay = {"parameters_signature": "(d)", "return_signature": "d"}
to_say.put_nowait(Request(declare={
    "name": "foo", "multi_threaded": True, "signals": [{"name": "onBang", "signature": "(i)"}],
    "methods": [{"name": "bang"}, {"name": "bar", **delay}, {"name": "betterBar", **delay}]}))

async def call_method(method, *args):
    if method == "bang":
        return to_say.put_nowait(Request(emit={"signal": "onBang", "args": [{"int_value": 42}]}))
    if method == "bar":  # occupies a thread
        await asyncio.to_thread(time.sleep, args[0].double_value)
    if method == "betterBar":  # occupies none, and can be cancelled
        await asyncio.sleep(args[0].double_value)
    return args[0]

async def answer(call):
    try:
        outcome = {"value": await call_method(call.method, *call.args)}
    except Exception as error:
        outcome = {"error": str(error)}
    to_say.put_nowait(Request(result={"call_id": call.call_id, **outcome}))

async def requests():
    while True:
        yield await to_say.get()

async def main():
    stream = grpc.aio.insecure_channel(address).stream_stream(
        "/qi.gateway.v1.HostingService/Host", Request.SerializeToString, Response.FromString)
    async for told in stream(requests()):
        if told.HasField("registered"):
            print("foo is service", told.registered.service_id, flush=True)
        if told.HasField("call"):
            task = calls[told.call.call_id] = asyncio.create_task(answer(told.call))
            task.add_done_callback(lambda _, id=told.call.call_id: calls.pop(id))
        if told.HasField("cancel") and told.cancel.call_id in calls:
            calls[told.cancel.call_id].cancel()

asyncio.run(main())
