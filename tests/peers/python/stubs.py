"""Calls a robot with the stubs that grpcio-tools made: stubs.py HOST:PORT STUBS [--beside-libqi].

Imports every module below the folder STUBS, and prints what the robot answered as one line of JSON, the
same as ts/client.ts and rust/client/src/main.rs. Where libqi is installed, its package `qi` must be told where
the stubs are.
"""

import importlib
import json
import pathlib
import sys

import grpc


def import_all(stubs):
    for file in sorted(stubs.rglob("*.py")):
        importlib.import_module(".".join(file.relative_to(stubs).with_suffix("").parts))


def call(address):
    from qi.al_memory.v1 import al_memory_pb2 as memory
    from qi.al_memory.v1.al_memory_pb2_grpc import ALMemoryStub
    from qi.al_text_to_speech.v1 import al_text_to_speech_pb2 as speech
    from qi.al_text_to_speech.v1.al_text_to_speech_pb2_grpc import ALTextToSpeechStub
    from qi.gateway.v1.value_pb2 import ListValue, Value
    from qi.knowledge.v1 import knowledge_pb2 as knowledge
    from qi.knowledge.v1.knowledge_pb2_grpc import KnowledgeStub

    channel = grpc.insecure_channel(address)
    tts = ALTextToSpeechStub(channel)
    tts.SetVolume(speech.SetVolumeRequest(volume=0.25))
    volume = tts.GetVolume(speech.GetVolumeRequest()).value

    node = knowledge.Node(value=Value(string_value="node"))
    triple = KnowledgeStub(channel).MakeTripleFromNames(
        knowledge.MakeTripleFromNamesRequest(arg1="a", arg2="b", arg3=node)).value

    store = ALMemoryStub(channel)
    data = lambda: store.GetData(memory.GetDataRequest(key="stubs")).value
    store.InsertData(memory.InsertDataRequest(key="stubs", value=5))
    integer = data()
    store.InsertDataStringFloat(memory.InsertDataStringFloatRequest(key="stubs", value=0.5))
    number = data()
    items = [Value(string_value="one"), Value(int_value=2), Value(bool_value=True)]
    store.InsertDataStringValue(memory.InsertDataStringValueRequest(
        key="stubs", data=Value(list_value=ListValue(items=items))))
    items = data().list_value.items

    events = tts.SubscribeSynchroTTS(speech.SubscribeSynchroTTSRequest())
    events.initial_metadata()  # the subscription is in force
    tts.Say(speech.SayRequest(string_to_say="a"))
    event = next(events)
    events.cancel()
    return {
        "volume": volume,
        "triple": [triple.subject.url, triple.object.value.string_value],
        "integer": [integer.int_value, integer.signature],
        "float": [number.float_value, number.signature],
        "list": [items[0].string_value, items[1].int_value, items[2].bool_value],
        "event": [event.value > 0, event.info.sequence],
    }


def main():
    address, stubs = sys.argv[1], pathlib.Path(sys.argv[2])
    if "--beside-libqi" in sys.argv:
        import qi
        qi.__path__.append(str(stubs / "qi"))
    sys.path.insert(0, str(stubs))
    import_all(stubs)
    print(json.dumps(call(address)))


if __name__ == "__main__":
    main()
