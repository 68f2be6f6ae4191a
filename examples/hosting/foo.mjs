// The service `foo` of the libqi guide, hosted through the gateway: node foo.mjs [HOST:PORT]
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
const includeDirs = [new URL('../../proto', import.meta.url).pathname];
const definition = loadSync('qi/gateway/v1/hosting.proto', { includeDirs, longs: String, arrays: true });
const { HostingService } = grpc.loadPackageDefinition(definition).qi.gateway.v1;
const client = new HostingService(process.argv[2] ?? '127.0.0.1:50051', grpc.credentials.createInsecure());
const host = client.Host();
const block = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, require("worker_threads").workerData)';

const methods = {
  bang: () => void host.write({ emit: { signal: 'onBang', args: [{ intValue: 42 }] } }),
  bar: (signal, delay) => new Promise((done) => { // occupies a thread
    new Worker(block, { eval: true, workerData: delay.doubleValue * 1000 }).on('exit', () => done(delay));
  }),
  betterBar: (signal, delay) => sleep(delay.doubleValue * 1000, delay, { signal }), // can be cancelled
};

const calls = new Map();
host.on('data', async ({ registered, call, cancel }) => {
  if (registered) console.log('foo is service', registered.serviceId);
  if (cancel) calls.get(cancel.callId)?.abort();
  if (!call) return;
  const { callId, method, args } = call;
  calls.set(callId, new AbortController());
  try {
    host.write({ result: { callId, value: await methods[method](calls.get(callId).signal, ...args) } });
  } catch (error) {
    host.write({ result: { callId, error: error.message } });
  }
  calls.delete(callId);
});

const delay = { parametersSignature: '(d)', returnSignature: 'd' };
const declared = [{ name: 'bang' }, { name: 'bar', ...delay }, { name: 'betterBar', ...delay }];
const signals = [{ name: 'onBang', signature: '(i)' }];
host.write({ declare: { name: 'foo', multiThreaded: true, methods: declared, signals } });
