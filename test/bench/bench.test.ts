/** What bench/ makes of figures, and that its engines answer; never how long anything takes. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Cannot, Client } from "../../bench/client.ts";
import { changes, formatChanges } from "../../bench/compare.ts";
import { Engine } from "../../bench/engines.ts";
import { parseOptions, UsageError } from "../../bench/options.ts";
import { peakName, ratiosOf } from "../../bench/ratios.ts";
import { formatHeader, formatResult } from "../../bench/report.ts";
import { figure, summarize } from "../../bench/row.ts";
import type { Cell, Result, Row } from "../../bench/row.ts";
import { rows } from "../../bench/rows/index.ts";
import { machineRows } from "../../bench/rows/machine.ts";
import { toyWork } from "../../bench/rows/training.ts";
import { load, save } from "../../bench/save.ts";
import type { Figures } from "../../bench/save.ts";

const bench = suite("bench");
const never = (): string[] => assert.unreachable() as never;

const row: Row = {
  section: "gemm",
  name: "nn 100x100x100",
  work: { kind: "gemm", form: "nn", m: 100, n: 100, k: 100 },
  unit: "GFLOP/s",
  amount: 2e6,
  groups: ["roadless", "pytorch"],
  limit: "peak",
};
const engines = [
  new Engine("strict 1", "roadless", never),
  new Engine("fast 2", "roadless", never, { threads: 2, fused: true }),
  new Engine("pytorch", "pytorch", never),
];
const cell = (best: number, median = best): Cell => ({ best, median, samples: 9 });

bench("a figure is the work of a call by its time, or the time", () => {
  assert.is(figure(row, 1e-3), 2);
  assert.is(figure({ unit: "M/s", amount: 1e6 }, 0.5), 2);
  assert.is(figure({ unit: "ms" }, 0.25), 250);
  assert.is(figure({ unit: "µs" }, 0.25), 250e3);
});

bench("a cell holds the best sample and the median", () => {
  const expected = { best: 4, median: 1.6, samples: 4, settings: undefined };
  assert.equal(summarize(row, [2e-3, 0.5e-3, 1e-3, 1.5e-3]), expected);
  assert.is((summarize({ ...row, unit: "ms" }, [3, 1, 2]) as { median: number }).median, 2000);
});

bench("ratios are speeds: to the peak of the same instructions and threads, and to peers", () => {
  const limits = [peakName(false, 1), peakName(true, 2)].map((name, i): Result => {
    return {
      section: "machine",
      name,
      unit: "GFLOP/s",
      cells: { machine: cell(50 + 50 * i) },
      ratios: [],
    };
  });
  const cells = { "strict 1": cell(25), "fast 2": cell(80), pytorch: cell(40) };
  assert.equal(ratiosOf(row, cells, engines, limits), [
    { label: "of the peak", values: { "strict 1": 0.5, "fast 2": 0.8 } },
    { label: "× PyTorch", values: { "strict 1": 0.625, "fast 2": 2 } },
  ]);
  const times: Row = { ...row, unit: "ms", limit: undefined };
  assert.equal(ratiosOf(times, { "strict 1": cell(20), pytorch: cell(40) }, engines, []), [
    { label: "× PyTorch", values: { "strict 1": 2 } },
  ]);
  const failed = { "strict 1": cell(20), pytorch: { cannot: "no torch" } };
  assert.equal(ratiosOf(times, failed, engines, []), []);
});

bench("bytes a second are held against the triad", () => {
  const step: Row = { ...row, unit: "M/s", amount: 1e7, limit: { bytes: 28e7 } };
  const triad = { section: "machine", name: "triad, 1 thread", unit: "GB/s" as const, ratios: [] };
  const earlier = [{ ...triad, cells: { machine: cell(28) } }];
  // 500 M parameters a second, 28 bytes each: 14 of 28 GB/s.
  const [{ label, values }] = ratiosOf(step, { "strict 1": cell(500) }, engines, earlier);
  assert.is(label, "of the triad");
  assert.is(values["strict 1"], 0.5);
});

bench("a row may be compared with one before it, engine by engine", () => {
  const usual = { section: "denormals", name: "usual", unit: "ms" as const, ratios: [] };
  const earlier = [{ ...usual, cells: { pytorch: cell(4) } }];
  const slow: Row = {
    ...row,
    section: "denormals",
    unit: "ms",
    limit: undefined,
    against: "usual",
  };
  assert.equal(ratiosOf(slow, { pytorch: cell(6) }, engines, earlier), [
    { label: 'times "usual"', values: { pytorch: 1.5 } },
  ]);
});

bench("the table says best and median, ratios, and why an engine cannot", () => {
  const cells = {
    "strict 1": cell(25, 24),
    "fast 2": cell(0.0123),
    pytorch: { cannot: "no torch" },
  };
  const ratios = [{ label: "of the peak", values: { "strict 1": 0.5 } }];
  const result = { section: "gemm", name: row.name, unit: row.unit, cells, ratios };
  assert.equal(
    [formatHeader("gemm", "GFLOP/s", engines), formatResult(result, engines)]
      .join("\n")
      .split("\n"),
    [
      "",
      "gemm, GFLOP/s                   strict 1    fast 2   pytorch",
      "nn 100x100x100                   25.0-4% 0.0123-0%    cannot",
      "    of the peak                  0.50",
      "    pytorch cannot: no torch",
    ],
  );
});

bench("lines keep to 100 columns, however many engines there are", () => {
  const many = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => new Engine(`e ${i}`, "roadless", never));
  const cells = Object.fromEntries(many.map(({ name }) => [name, cell(1234, 1543)]));
  const result = { section: "a", name: "x".repeat(29), unit: "ms" as const, cells, ratios: [] };
  const lines = [formatHeader("a", "ms", many), formatResult(result, many)].join("\n").split("\n");
  for (const line of lines) assert.ok(line.length <= 100, line);
  assert.is(lines.filter((line) => line.includes("1234+")).length, 2);
});

bench("rows have names that fit and differ", () => {
  const names = [...machineRows([1, 2]), ...rows].map(({ section, name }) => `${section}: ${name}`);
  assert.is(new Set(names).size, names.length);
  for (const { name } of rows) assert.ok(name.length <= 29, name);
  for (const { section, against } of rows) {
    assert.ok(!against || names.includes(`${section}: ${against}`), against);
  }
});

const figures = (milliseconds: Record<string, Cell>): Figures => ({
  format: "roadless-bench/1",
  date: "2026-01-01T00:00:00.000Z",
  commit: "c0ffee",
  machine: { cpu: "test", cores: 2, memoryGB: 1, platform: "none", load: 0 },
  versions: {},
  options: { threads: [1], precisions: ["strict"], quick: false, only: [] },
  results: Object.entries(milliseconds).map(([name, figureOf]) => ({
    section: "s",
    name,
    unit: "ms",
    cells: { "fast 1": figureOf, pytorch: { cannot: "no torch" } },
    ratios: [],
  })),
});

bench("--compare sorts by the size of the change and knows the noise", () => {
  const old = figures({ a: cell(10), b: cell(10, 10.5), gone: cell(1) });
  const now = figures({ a: cell(9), b: cell(20, 22), new: cell(1) });
  const found = changes(old, now);
  assert.equal(
    found.map(({ name }) => name),
    ["s: b", "s: a"],
  );
  assert.is(found[0].ratio, 0.5);
  assert.ok(Math.abs(found[0].noise - 0.15) < 1e-12);
  assert.is(found[1].noise, 0.02);
  assert.match(formatChanges(old, now), "2 figures in both, 2 changed by more than their noise");
  const once = (best: number): Cell => ({ best, median: best, samples: 1 });
  assert.is(changes(figures({ a: once(10) }), figures({ a: once(11) }))[0].noise, 0.2);
  const same = formatChanges(old, figures({ a: cell(10.1), b: cell(11, 11) }));
  assert.match(same, "2 figures in both, 1 changed by more than their noise");
});

bench("figures survive a file; other files are refused", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "roadless-bench-test-"));
  try {
    const file = path.join(folder, "figures.json");
    save(file, figures({ a: cell(1) }));
    assert.equal(load(file).results[0].cells["fast 1"], cell(1));
    fs.writeFileSync(file, "{}");
    assert.throws(
      () => load(file),
      (e: Error) => e instanceof UsageError && /format/.test(e.message),
    );
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

bench("options: defaults, lists, and mistakes", () => {
  const { only, quick, json, peers, precisions } = parseOptions(["--only", "a,b", "--no-peers"])!;
  assert.equal(
    { only, quick, json, peers, precisions },
    {
      only: ["a", "b"],
      quick: false,
      json: "",
      peers: false,
      precisions: ["strict", "fast"],
    },
  );
  assert.match(parseOptions([])!.json, /^bench\/results\/.*\.json$/);
  assert.is(parseOptions(["--json", "-"])!.json, "");
  assert.equal(parseOptions(["--compare", "a", "b"])!.compare, ["a", "b"]);
  for (const wrong of [
    ["--threads", "0"],
    ["--precision", "half"],
    ["--compare", "a"],
    ["--what"],
  ]) {
    assert.throws(
      () => parseOptions(wrong),
      (error: Error) => error instanceof UsageError,
    );
  }
});

bench("an engine's process prepares, runs, refuses, and ends", async () => {
  const script = "bench/engines/roadless.ts";
  const client = new Client([process.execPath, "--import", "tsx", script, "strict", "1"]);
  const refused = async (promise: Promise<unknown>, text: string): Promise<void> => {
    const error: unknown = await promise.then(
      () => null,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof Cannot, String(error));
    assert.match(error.message, text);
  };
  try {
    await client.prepare(toyWork, { warm: false, limit: 60 });
    const after = await client.calls([1, 3], 60);
    assert.ok(after.length === 2 && after[0] > 0 && after[1] >= after[0]);
    assert.ok((await client.run(0.001, 60)).every((seconds) => seconds > 0));
    const { rss, wasm } = await client.memory();
    assert.ok(rss > wasm! && wasm! > 0);
    await client.release();
    await refused(
      client.prepare({ kind: "triad", threads: 1, count: 8 }, { limit: 60 }),
      "no triad",
    );
  } finally {
    client.stop();
  }
  await refused(client.memory(), "stopped");
});

bench("an engine that is not there says so", async () => {
  const client = new Client(["no-such-program-as-this"]);
  const error: unknown = await client.memory().then(
    () => null,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Cannot, String(error));
  assert.match(error.message, "ENOENT");
});

bench.run();
