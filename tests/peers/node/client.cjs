// A gRPC client without generated code that a test drives: client.cjs HOST:PORT.
//
// It learns every schema through server reflection v1. The commands and answers are those of
// python/grpc_client.py (unary, stream, talk, say, hush, cancel, services, refresh); messages are in the JSON form of
// @grpc/proto-loader: lowerCamelCase, 64 bit integers and enums as strings, bytes in base64.
'use strict';

const readline = require('node:readline');
const grpc = require('@grpc/grpc-js');
const { GrpcReflection } = require('grpc-js-reflection-client');

const FORM = { longs: String, enums: String, bytes: String, defaults: true, oneofs: false };

const address = process.argv[2];
const credentials = grpc.credentials.createInsecure();
const reflection = new GrpcReflection(address, credentials, {}, 'v1');
const calls = new Map();
let definitions = new Map();

function answer(command, fields) {
  process.stdout.write(JSON.stringify({ id: command.id, ...fields }) + '\n');
}

function codeName(code) {
  return grpc.status[code];
}

/** The client of a service, made from what the server says about itself. */
function serviceClient(name) {
  if (!definitions.has(name)) {
    const client = reflection.getDescriptorBySymbol(name).then((descriptor) => {
      const definition = descriptor.getPackageDefinition(FORM)[name];
      if (definition === undefined) throw new Error(`the schema lacks ${name}`);
      const Client = grpc.makeGenericClientConstructor(definition, name);
      return { client: new Client(address, credentials), definition };
    });
    definitions.set(name, client);
  }
  return definitions.get(name);
}

async function prepare(command) {
  const [name, method] = command.method.replace(/^\//, '').split('/');
  const { client, definition } = await serviceClient(name);
  if (definition[method] === undefined) throw new Error(`${name} has no method ${method}`);
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries(command.metadata ?? {})) metadata.set(key, value);
  const options = command.timeout ? { deadline: Date.now() + command.timeout * 1000 } : {};
  return { client, method, metadata, options };
}

async function unary(command) {
  const { client, method, metadata, options } = await prepare(command);
  const call = client[method](command.request ?? {}, metadata, options, (error, response) => {
    calls.delete(command.id);
    if (error) answer(command, { code: codeName(error.code), message: error.details });
    else answer(command, { code: 'OK', message: '', response });
  });
  calls.set(command.id, call);
}

async function stream(command) {
  const { client, method, metadata, options } = await prepare(command);
  follow(command, client[method](command.request ?? {}, metadata, options));
}

async function talk(command) {
  const { client, method, metadata, options } = await prepare(command);
  const call = client[method](metadata, options);
  follow(command, call);
  for (const request of command.requests) call.write(request);
}

async function say(command) {
  calls.get(command.call).write(command.request);
  answer(command, {});
}

async function hush(command) {
  calls.get(command.call).end();
  answer(command, {});
}

/** Answers with what a stream brings, and with its end. */
function follow(command, call) {
  calls.set(command.id, call);
  call.on('metadata', (headers) => answer(command, { headers: headers.getMap() }));
  call.on('data', (response) => answer(command, { response }));
  call.on('error', () => {}); // the status says it
  call.on('status', (status) => {
    calls.delete(command.id);
    answer(command, { code: codeName(status.code), message: status.details });
  });
}

async function cancel(command) {
  calls.get(command.call).cancel();
  answer(command, {});
}

async function services(command) {
  answer(command, { services: (await reflection.listServices()).sort() });
}

async function refresh(command) {
  definitions = new Map();
  answer(command, {});
}

const operations = { unary, stream, talk, say, hush, cancel, services, refresh };

process.stdout.write(`ready ${address}\n`);
readline
  .createInterface({ input: process.stdin })
  .on('line', (line) => {
    const command = JSON.parse(line);
    operations[command.op](command).catch((error) => {
      answer(command, { refused: `${error.name}: ${error.message}` });
    });
  })
  .on('close', () => process.exit(0));
