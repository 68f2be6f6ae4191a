// Calls a robot with the stubs that protoc-gen-es made: client.js http://HOST:PORT.
//
// Is compiled together with them, in a folder where they are in `gen`. Prints what the robot answered as
// one line of JSON, the same as python/stubs.py and rust/client/src/main.rs.
import { create } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { ALMemory } from './gen/qi/al_memory/v1/al_memory_pb.js';
import { ALTextToSpeech } from './gen/qi/al_text_to_speech/v1/al_text_to_speech_pb.js';
import { type Value, ValueSchema } from './gen/qi/gateway/v1/value_pb.js';
import { Knowledge } from './gen/qi/knowledge/v1/knowledge_pb.js';

declare const process: { argv: string[] };

const transport = createGrpcTransport({ baseUrl: process.argv[2] ?? '' });
const key = 'stubs';

const speech = createClient(ALTextToSpeech, transport);
await speech.setVolume({ volume: 0.25 });
const { value: volume } = await speech.getVolume({});

const node = create(ValueSchema, { kind: { case: 'stringValue', value: 'node' } });
const knowledge = createClient(Knowledge, transport);
const made = await knowledge.makeTripleFromNames({ arg1: 'a', arg2: 'b', arg3: { value: node } });
const triple = [made.value?.subject?.url, made.value?.object?.value?.kind.value];

const memory = createClient(ALMemory, transport);
const data = async (): Promise<Value | undefined> => (await memory.getData({ key })).value;
const plain = (value: Value | undefined): unknown => {
  const held = value?.kind.value;
  return typeof held === 'bigint' ? Number(held) : held;
};
await memory.insertData({ key, value: 5 });
const integer = await data();
await memory.insertDataStringFloat({ key, value: 0.5 });
const float = await data();
const items = [
  create(ValueSchema, { kind: { case: 'stringValue', value: 'one' } }),
  create(ValueSchema, { kind: { case: 'intValue', value: 2n } }),
  create(ValueSchema, { kind: { case: 'boolValue', value: true } }),
];
await memory.insertDataStringValue({
  key,
  data: { kind: { case: 'listValue', value: { items } } },
});
const list = await data();

const ended = new AbortController();
let subscribed = (): void => {};
const inForce = new Promise<void>((resolve) => (subscribed = resolve));
const events = speech.subscribeSynchroTTS({}, { onHeader: () => subscribed(), signal: ended.signal });
const iterator = events[Symbol.asyncIterator]();
const next = iterator.next();
await inForce;
await speech.say({ stringToSay: 'a' });
const event = await next;
ended.abort();

console.log(
  JSON.stringify({
    volume,
    triple,
    integer: [plain(integer), integer?.signature],
    float: [plain(float), float?.signature],
    list: list?.kind.case === 'listValue' ? list.kind.value.items.map(plain) : undefined,
    event: event.done ? undefined : [event.value.value > 0n, Number(event.value.info?.sequence)],
  }),
);
