// @parse/node-apn: as many asynchronous loops as pushes may be in flight, over one provider.
'use strict';

const { readFileSync } = require('node:fs');
const apn = require('@parse/node-apn');

const job = Object.fromEntries(
  process.argv.slice(2).map((argument) => {
    const at = argument.indexOf('=');
    return [argument.slice(0, at), argument.slice(at + 1)];
  }),
);
const [inFlight, dead, pushes, warmUp, size] = [
  'in_flight', 'dead', 'pushes', 'warm_up', 'payload',
].map((name) => Number(job[name]));
const alert = 'x'.repeat(size - '{"aps":{"alert":""}}'.length);
const sink = new URL(job.url);
const provider = new apn.Provider({
  token: { key: job.key_file, keyId: job.key_id, teamId: job.team_id },
  address: sink.hostname,
  port: Number(sink.port),
  ca: [readFileSync(job.ca_file)],
});

function deviceToken(number) {
  return number * dead % 100 < dead
    ? 'dead' + number.toString(16).padStart(60, '0')
    : number.toString(16).padStart(64, '0');
}

function notification(number) {
  const made = new apn.Notification();
  made.id = '123e4567-e89b-42d3-a456-' + number.toString(16).padStart(12, '0');
  made.topic = job.topic;
  made.pushType = 'alert';
  made.alert = alert;
  return made;
}

/** Send pushes from the first to before the second number; resolve to how many were accepted. */
async function send(first, end) {
  let next = first;
  let accepted = 0;
  async function work() {
    while (next < end) {
      const number = next++;
      const result = await provider.send(notification(number), deviceToken(number));
      accepted += result.sent.length;
    }
  }
  await Promise.all(Array.from({ length: inFlight }, work));
  return accepted;
}

async function main() {
  await send(0, warmUp);
  const [cpu, started] = [process.cpuUsage(), process.hrtime.bigint()];
  const accepted = await send(warmUp, warmUp + pushes);
  const [used, ended] = [process.cpuUsage(cpu), process.hrtime.bigint()];
  console.log(JSON.stringify({
    pushes,
    ok: accepted,
    seconds: Number(ended - started) / 1e9,
    cpu_seconds: (used.user + used.system) / 1e6,
  }));
  provider.shutdown();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
