import { suite } from "uvu";
import * as assert from "uvu/assert";
import { grainOf, JOB } from "../../src/backend/wasm/launch/cut.ts";

const test = suite("cut");

/** The most units that one of `threads` gets, each taking the next chunk when it is free. */
function busiest(units: number, grain: number, threads: number): number {
  const busy = Array.from({ length: threads }, () => 0);
  for (let begin = 0; begin < units; begin += grain) {
    const free = busy.indexOf(Math.min(...busy));
    busy[free] += Math.min(grain, units - begin);
  }
  return Math.max(...busy);
}

test("threads of one speed finish together, whatever there is to do", () => {
  for (const threads of [1, 2, 3, 4, 8]) {
    for (let units = 1; units <= 400; units++) {
      const grain = grainOf(units, JOB * units, threads);
      const most = busiest(units, grain, threads);
      const name = `${units} units by ${grain} for ${threads} threads: ${most}`;
      assert.ok(most <= 1.03 * Math.ceil(units / threads), name);
    }
  }
});

test("there are several chunks per thread where many units allow it", () => {
  for (const threads of [2, 4, 8]) {
    for (let units = 100 * threads; units <= 110 * threads; units++) {
      const chunks = units / grainOf(units, JOB * units, threads);
      assert.ok(chunks > 3 * threads && chunks < 6 * threads, `${units}: ${chunks} chunks`);
    }
  }
});

test("a chunk is worth a thread's attention", () => {
  assert.is(grainOf(43, JOB, 2), 43);
  assert.is(grainOf(43, 2 * JOB, 2), 22);
  assert.is(grainOf(43, 8 * JOB, 2), 7);
  assert.is(grainOf(8, 0, 2), 8 * JOB);
  assert.ok(grainOf(100, 4 * JOB, 8) >= 25);
});

test.run();
