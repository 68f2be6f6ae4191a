"""Records a robot's microphone, through gRPC only: microphone.py [HOST:PORT] [SECONDS] [FILE.wav].

ALAudioDevice calls processRemote of a service that the listener registers. So this hosts that service, and
then asks ALAudioDevice to send it the sound of the front microphone.
"""
import asyncio, sys, wave, grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

address, seconds, file = (sys.argv[1:] + ["127.0.0.1:50051", "5", "microphone.wav"][len(sys.argv) - 1:])[:3]
NAME, RATE, FRONT_MICROPHONE = "GrpcMicrophone", 16000, 3
pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(grpc.insecure_channel(address)))


def rpc(channel, service, method):
    """The method, and the class of its requests."""
    found = pool.FindServiceByName("qi.gateway.v1." + service).FindMethodByName(method)
    Request, Response = map(message_factory.GetMessageClass, (found.input_type, found.output_type))
    kind = channel.stream_stream if found.client_streaming else channel.unary_unary
    path = "/qi.gateway.v1.%s/%s" % (service, method)
    return kind(path, Request.SerializeToString, Response.FromString), Request


async def main():
    channel = grpc.aio.insecure_channel(address)
    host, HostRequest = rpc(channel, "HostingService", "Host")
    call, CallRequest = rpc(channel, "DynamicService", "Call")

    async def audio_device(method, *args):
        values = [{"int_value": it} if isinstance(it, int) else {"string_value": it} for it in args]
        await call(CallRequest(target={"service": "ALAudioDevice"}, method=method, args=values))

    stream = host()
    await stream.write(HostRequest(declare={"name": NAME, "methods": [
        {"name": "processRemote", "parameters_signature": "(iimm)"}]}))
    await stream.read()  # registered; or else it raises why not
    await audio_device("setClientPreferences", NAME, RATE, FRONT_MICROPHONE, 0)
    await audio_device("subscribe", NAME)
    print("recording", flush=True)

    buffers, samples = 0, 0
    try:
        with wave.open(file, "wb") as recording:
            recording.setnchannels(1)
            recording.setsampwidth(2)
            recording.setframerate(RATE)
            while samples < RATE * float(seconds):
                told = await stream.read()
                if not told.HasField("call"):
                    continue
                _channels, count, _time, sound = told.call.args
                # A robot sends raw bytes, a service written in Python a string.
                recording.writeframes(sound.raw_value or sound.string_value.encode())
                await stream.write(HostRequest(result={"call_id": told.call.call_id}))
                buffers, samples = buffers + 1, samples + count.int_value
    finally:
        await audio_device("unsubscribe", NAME)
        print("recorded %d samples in %d buffers" % (samples, buffers), flush=True)

try:
    asyncio.run(main())
except KeyboardInterrupt:
    sys.exit("stopped")
except grpc.RpcError as error:
    sys.exit("microphone.py: %s" % error.details())
