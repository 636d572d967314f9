// Node's workerpool: `workerpool.cjs workerpool MEASURE` prints figures as `src/work.rs` says them, and does the same work.
'use strict';
const fs = require('fs');
const path = require('path');
const workerpool = require('../target/peers/node_modules/workerpool');
const jobs = require('./jobs.cjs');

const MIB = 1 << 20;
const ENOUGH = 2000;
const amount = (full) => (process.env.MPM_BENCHES_QUICK === undefined ? full : Math.floor(full / 10));
const say = (figure, value, remark = '') => console.log([figure, value, remark].join('\t'));
const clock = () => Number(process.hrtime.bigint()) / 1e6;
const sleep = (time) => new Promise((wake) => setTimeout(wake, time));
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const check = (holds) => {
  if (!holds) throw Error('a wrong result');
};

// "advanced" sends bytes as bytes; without it they would travel as JSON.
const newPool = (workers) =>
  workerpool.pool(path.join(__dirname, 'jobs.cjs'), {
    workerType: 'process',
    minWorkers: workers,
    maxWorkers: workers,
    forkOpts: { serialization: 'advanced' },
  });

// The sorted times of calls one after the other, in microseconds.
async function calls(pool, count, pause) {
  for (let seed = 0; seed < 500; seed++) await pool.exec('add', [seed]);
  const times = [];
  const begin = clock();
  for (let seed = 0; seed < amount(count) && clock() - begin < ENOUGH; seed++) {
    if (pause) await sleep(pause);
    const start = clock();
    check((await pool.exec('add', [seed])) === seed + 7);
    times.push((clock() - start) * 1e3);
  }
  return times.sort((a, b) => a - b);
}

const all = (pool, job, count, ...more) => Promise.all(Array.from({ length: count }, (_, seed) => pool.exec(job, [seed, ...more])));

async function oneByOne(pool) {
  const count = amount(20000);
  const start = clock();
  const sums = await all(pool, 'add', count);
  const took = clock() - start;
  check(sums.reduce((a, b) => a + b, 0) === (count * (count - 1)) / 2 + 7 * count);
  say('one-by-one', count / (took / 1e3), `${count} jobs`);
}

async function payload(figure, size, job, right) {
  const pool = newPool(1);
  const data = new Uint8Array(size).map((_, i) => (i * 31) % 251);
  const rates = [];
  const begin = clock();
  for (let call = 0; call < 20 && (call < 2 || clock() - begin < ENOUGH); call++) {
    const start = clock();
    const result = await pool.exec(job, [data]);
    rates.push(size / ((clock() - start) / 1e3) / 1e6);
    check(right(result, data));
  }
  say(figure, median(rates.slice(1)));
  await pool.terminate(true);
}

async function firstResult() {
  const start = clock();
  const pool = newPool(2);
  check((await pool.exec('add', [1])) === 8);
  const took = clock() - start;
  await pool.terminate(true);
  return took;
}

// Steps of `burn` that take a millisecond where nobody disturbs.
function millisecond() {
  let fastest = Infinity;
  for (let seed = 0; seed < 20; seed++) {
    const start = clock();
    jobs.burn(seed, 400000);
    fastest = Math.min(fastest, clock() - start);
  }
  return Math.round(400000 / fastest);
}

async function efficiency(pool) {
  const count = amount(2000);
  const steps = millisecond();
  const serial = () => {
    const start = clock();
    for (let seed = 0; seed < count / 8; seed++) jobs.burn(seed, steps);
    return (clock() - start) / (count / 8);
  };
  const before = serial();
  const start = clock();
  const results = await all(pool, 'burn', count, steps);
  const took = clock() - start;
  say('cpu', (count * (before + serial())) / 2 / 2 / took);
  for (let seed = 0; seed < count; seed += 50) check(results[seed] === jobs.burn(seed, steps));
}

async function idle(pool) {
  const pids = [...new Set(await all(pool, 'pid', 8))];
  await sleep(200);
  let kib = 0;
  for (const pid of pids) {
    for (const line of fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').split('\n')) {
      if (line.startsWith('Private_Clean:') || line.startsWith('Private_Dirty:')) kib += Number(line.split(/\s+/)[1]);
    }
  }
  say('idle', kib / pids.length);
}

async function killUnderLoad(pool) {
  const count = 200;
  const steps = 3 * millisecond();
  const worker = await pool.exec('burn_here', [0, 1]);
  let [done, failed, killed, next] = [0, 0, 0, 0];
  const kill = () => {
    killed = clock();
    process.kill(worker, 'SIGKILL');
  };
  const ended = (pid) => {
    done++;
    if (pid !== worker && !next) next = clock();
    if (done === 20) setTimeout(kill, 1);
  };
  const jobs = Array.from({ length: count }, (_, seed) => pool.exec('burn_here', [seed, steps]).then(ended, () => failed++));
  await Promise.race([Promise.all(jobs), sleep(5000)]);
  say('kill-next', next ? next - killed : 'nan', next ? '' : 'no further result');
  say('kill-failed', failed);
  say('kill-lost', count - done - failed);
}

async function main(measure) {
  if (measure === 'first-pool') return say(measure, await firstResult());
  if (measure === 'later-pool') {
    const times = [];
    for (let i = 0; i < 4; i++) times.push(await firstResult());
    return say(measure, median(times.slice(1)));
  }
  const [figure, mib] = measure.split('-');
  if (figure === 'echo') return payload(measure, mib * MIB, 'echo', (result, data) => Buffer.compare(Buffer.from(result), data) === 0);
  if (figure === 'borrowed') return payload(measure, mib * MIB, 'look_at', (result, data) => result === jobs.look_at(data));
  const pool = newPool(['one-by-one', 'cpu', 'idle'].includes(measure) ? 2 : 1);
  for (let i = 0; i < 8; i++) check((await pool.exec('add', [1])) === 8);
  if (measure === 'round-trip') {
    const times = await calls(pool, 20000, 0);
    say('round-trip-p50', times[times.length >> 1]);
    say('round-trip-p99', times[Math.floor(times.length * 0.99)]);
  } else if (measure === 'asleep') {
    const times = await calls(pool, 500, 1);
    say('asleep-p50', times[times.length >> 1]);
  } else if (measure === 'one-by-one') await oneByOne(pool);
  else if (measure === 'cpu') await efficiency(pool);
  else if (measure === 'idle') await idle(pool);
  else if (measure === 'kill') await killUnderLoad(pool);
  else throw Error(`no measure ${measure}`);
}

main(process.argv[3]).then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
