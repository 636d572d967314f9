// What the workers of Node's pools do; the same as in `src/work.rs`, as far as the language can.
'use strict';
const workerpool = require('../target/peers/node_modules/workerpool');

function burn(seed, steps) {
  let x = (Math.imul(seed, 0x9e3779b1) | 1) | 0;
  for (let i = 0; i < steps; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    x = Math.imul(x, 0x2545f491);
  }
  return x >>> 0;
}

const jobs = {
  add: (seed) => seed + 7,
  echo: (data) => data,
  look_at: (data) => {
    let sum = 0;
    for (let i = 0; i < data.length; i += 4096) sum += data[i];
    return sum;
  },
  burn,
  burn_here: (seed, steps) => (burn(seed, steps), process.pid),
  pid: () => new Promise((tell) => setTimeout(() => tell(process.pid), 50)),
};

module.exports = jobs;
if (require.main === module) workerpool.worker(jobs);
