/** exportVectors: what it writes, our own player plays; and the player notices what is wrong. */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as rl from "../../src/index.ts";
import { operations as records } from "../../src/op.ts";
import { operationFiles } from "../../src/vectors/cases/index.ts";
import { optimizerFiles } from "../../src/vectors/cases/optimizers.ts";
import { encode, encodeFile } from "../../src/vectors/format.ts";
import type { GoldenArray, OperationCase, RunSpec } from "../../src/vectors/index.ts";
import {
  exportVectors,
  hashOf,
  operations,
  recordOptimizer,
  recordVectors,
} from "../../src/vectors/index.ts";
import { version } from "../../src/vectors/version.ts";
import { playOpCase } from "../golden/ops.ts";
import type { PlayedCase } from "../golden/play.ts";
import { goldenFiles, playAll, playFile, readGolden } from "../golden/play.ts";
import type { TraceFile } from "../golden/traces.ts";
import { playTrace } from "../golden/traces.ts";

const exporting = suite("vectors");
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "roadless-vectors-"));
exporting.after(() => fs.rmSync(folder, { recursive: true }));

/** What does not pass, and how many did. */
async function played(text: string): Promise<{ failures: string[]; passed: number }> {
  const failures: string[] = [];
  let passed = 0;
  for await (const { name, outcome } of playFile(JSON.parse(text))) {
    if (outcome.status === "passed") passed++;
    else failures.push(`${name}: ${outcome.status}, ${outcome.message}`);
  }
  return { failures, passed };
}

for (const only of ["ops", "optim"] as const) {
  exporting(`everything in ${only} passes on cpu and reference`, async () => {
    const files = await exportVectors({ only });
    const failures: string[] = [];
    for (const [file, text] of files) {
      if (!file.startsWith(`${only}/`)) continue;
      const result = await played(text);
      failures.push(...result.failures);
      assert.ok(result.passed >= 8, `${file}: ${result.passed}`);
    }
    assert.equal(failures, []);
  });
}

exporting("every operation and every class of optimizer has cases", () => {
  const written = new Set(
    Object.values(operationFiles).flatMap((rows) => rows.map(({ op }) => op)),
  );
  assert.equal(
    Object.keys(operations).filter((op) => !written.has(op)),
    [],
  );
  const stepped = new Set([...optimizerFiles().keys()].map((name) => name.replace("torch_", "")));
  const { Optimizer, BaseOptimizer: _abstract, ...classes } = rl.optim;
  const missing = Object.entries(classes).filter(
    ([name, value]) =>
      typeof value === "function" && value.prototype instanceof Optimizer && !stepped.has(name),
  );
  assert.equal(
    missing.map(([name]) => name),
    [],
  );
});

const run: RunSpec = {
  name: "small",
  layers: [
    {
      type: "conv2d",
      name: "conv",
      in: 1,
      out: 2,
      kernel: [2, 2],
      stride: [1, 1],
      padding: [0, 0],
      groups: 1,
      bias: false,
    },
    { type: "batch_norm2d", name: "bn", features: 2, eps: 1e-5, momentum: 0.1 },
    { type: "relu" },
    { type: "flatten" },
    { type: "linear", name: "fc", in: 18, out: 3, bias: true },
  ],
  data: { input: [1, 4, 4], classes: 3, rows: 16, batch_size: 4 },
  optimizers: [
    { class: "AdamWScheduleFree", options: { lr: 0.02 } },
    { class: "Adam", options: { lr: 0.02 } },
  ],
  steps: 6,
};

exporting("runs pass, and their hashes come again", async () => {
  const files = await exportVectors({ only: "traces", runs: [run], seed: 5 });
  const text = files.get("traces/small.json")!;
  assert.is((await played(text)).passed, 4);
  const file = JSON.parse(text) as TraceFile;
  for (const one of file.cases) {
    for (const dtype of ["float64", "float32"] as const) {
      const found = one.step_hashes![dtype];
      assert.is(found.length, 6);
      assert.ok(found.every((row) => row.length === file.model.parameters.length));
      assert.is(new Set(found.flat()).size > 20, true, "parameters move at every step");
      const again = await playTrace(file, one, dtype, { device: "reference", hashes: true });
      assert.is(again.message, undefined);
    }
  }
  const [{ step_hashes }] = file.cases;
  step_hashes!.float64[3][1] = "00000000";
  const wrong = await playTrace(file, file.cases[0], "float64", {
    device: "reference",
    hashes: true,
  });
  assert.match(wrong.message!, "step 4: hashes");
});

exporting("the built-in runs learn, and pass", async () => {
  const files = await exportVectors({ only: "traces", filter: "AdamWScheduleFree" });
  for (const [file, text] of files) {
    if (!file.startsWith("traces/")) continue;
    assert.equal((await played(text)).failures, []);
    for (const one of (JSON.parse(text) as TraceFile).cases) {
      assert.ok(one.float64_loss.at(-1)! < one.float64_loss[0], one.name);
    }
  }
});

exporting("the same options give the same bytes; another seed gives others", async () => {
  const options = { filter: "linear" };
  const first = await exportVectors(options);
  assert.equal([...(await exportVectors(options))], [...first]);
  const other = await exportVectors({ ...options, seed: 1 });
  assert.is.not(other.get("ops/matmul.json"), first.get("ops/matmul.json"));
  assert.equal((await played(other.get("ops/matmul.json")!)).failures, []);
  // What is chosen does not change what is in it.
  const whole = JSON.parse((await exportVectors({ only: "ops" })).get("ops/matmul.json")!);
  const part = JSON.parse(first.get("ops/matmul.json")!);
  const names = new Set(part.cases.map(({ name }: { name: string }) => name));
  assert.equal(
    whole.cases.filter(({ name }: { name: string }) => names.has(name)),
    part.cases,
  );
});

exporting("a wrong operation is noticed, forward and backward", async () => {
  const files = await exportVectors({ only: "ops", filter: "tanh_37" });
  const text = files.get("ops/elementwise.json")!;
  assert.equal((await played(text)).failures, []);
  for (const [name, what] of [
    ["tanh", "output 0"],
    ["tanhGrad", "gradient 0"],
  ]) {
    const record = records.get(name) as unknown as { reference: (...args: number[]) => number };
    const right = record.reference;
    record.reference = (...args) => right(...args) * (1 + 1e-9);
    try {
      const [failure] = (await played(text)).failures;
      assert.match(failure, `tanh_37/float64: failed, ${what}`);
    } finally {
      record.reference = right;
    }
  }
});

exporting(
  "PyTorch's inputs through the recording path give PyTorch's outputs and gradients",
  async () => {
    let compared = 0;
    for (const name of ["matmul", "norm", "conv", "loss"]) {
      const { cases } = await readGolden(`test/golden/vectors/ops/${name}.json`);
      for (const golden of cases as OperationCase[]) {
        if (golden.dtype !== "float64" || golden.edge || golden.quirk) continue;
        const inputs = Object.fromEntries(
          golden.inputs.map(({ name: key, shape, dtype, data }, i) => [
            key ?? `input${i}`,
            {
              shape,
              data: data.map(Number),
              integers: dtype === "int64",
              booleans: dtype === "bool",
              differentiated: golden.grads?.[i] !== null,
            },
          ]),
        );
        const operation = operations[golden.op];
        const [recorded] = recordVectors(golden.op, operation, inputs, { attrs: golden.attrs });
        // Ours has gradients for weights of its own: the outputs are compared here, ...
        const outcome = await playOpCase(
          name,
          { ...golden, grads: undefined, output: recorded.output },
          "reference",
        );
        assert.is(outcome.status, "passed");
        const against = await playOpCase(
          name,
          { ...recorded, name: golden.name, output: golden.output },
          "reference",
        );
        assert.is(against.message, undefined, golden.name);
        // ... and PyTorch's gradients by the same run with PyTorch's weights.
        assert.is((await playOpCase(name, golden, "reference")).message, undefined);
        compared++;
      }
    }
    assert.ok(compared > 80, String(compared));
  },
);

exporting("an operation and an optimizer of one's own", async () => {
  const swish = recordVectors(
    "swish",
    ([x], { beta }: { beta: number }) => rl.mul(x, rl.sigmoid(rl.mul(x, beta))),
    { x: { data: [-1, 0, 0.1, NaN] } },
    { attrs: { beta: 2 }, edge: true },
  );
  assert.equal(
    swish.map(({ name }) => name),
    ["swish/float64", "swish/float32"],
  );
  const [{ output, grads, grad_output }, single] = swish;
  const data = (output as GoldenArray).data as number[];
  const sigmoid = 1 / (1 + Math.exp(0.2));
  assert.ok(Math.abs(data[2] - 0.1 * (1 - sigmoid)) < 1e-15);
  assert.is(grads![0]![1], 0.5 * (grad_output as number[])[1]);
  assert.is(single.inputs[0].data[2], Math.fround(0.1));
  const [, , rounded] = (single.output as GoldenArray).data as number[];
  assert.is(rounded, Math.fround(rounded));

  class Halving {
    readonly paramGroups: { params: rl.Tensor[] }[];
    constructor(paramGroups: { params: rl.Tensor[] }[]) {
      this.paramGroups = paramGroups;
    }
    zeroGrad(): void {
      for (const { params } of this.paramGroups) for (const x of params) x.grad = null;
    }
    step(): void {
      for (const { params } of this.paramGroups) {
        for (const x of params) x.copyFrom(Array.from(x.dataSync(), (value) => value / 2));
      }
    }
    stateDict(): object {
      return { state: {}, param_groups: [{ lr: 3, name: "ignored" }] };
    }
    dispose(): void {}
  }
  const own = recordOptimizer(
    {
      name: "own/float64",
      class: "Halving",
      dtype: "float64",
      options: {},
      groups: [{ options: {}, params: [{ shape: [2], data: [8, -4] }] }],
      events: [
        { op: "step", grads: [[[1, 1]]] },
        { op: "step", grads: [[null]] },
      ],
    },
    (_, groups) => new Halving(groups as { params: rl.Tensor[] }[]),
  );
  assert.equal(
    own.events.map(({ expect }) => expect.params),
    [[[[4, -2]]], [[[2, -1]]]],
  );
  assert.equal(own.events[0].expect.groups, [{ lr: 3 }]);

  const files = await exportVectors({ operations: swish, optimizers: [own], filter: "own" });
  assert.ok(files.has("ops/own.json") && files.has("optim/own.json"));
  assert.match(files.get("ops/own.json")!, '"data":[-1,0,0.1,"NaN"]');
});

exporting("numbers survive the strict format", () => {
  const values = [
    NaN,
    Infinity,
    -Infinity,
    -0,
    0,
    0.1,
    5e-324,
    1.7976931348623157e308,
    1e21,
    -1.5e-7,
  ];
  const text = encode({ a: values, b: Float32Array.of(0.1, -0), c: undefined, d: null, e: [true] });
  assert.match(text, '"a":["NaN","Infinity","-Infinity",-0.0,0,');
  const back = JSON.parse(text) as { a: (number | string)[]; b: number[] };
  assert.equal(back.a.map(Number), values);
  assert.ok(Object.is(back.a[3], -0) && Object.is(back.b[1], -0));
  assert.is(back.b[0], Math.fround(0.1));
  assert.equal(Object.keys(back), ["a", "b", "d", "e"]);
  const file = encodeFile({ format: "golden/1", file: "ops/x", cases: [{ n: 1 }, { n: 2 }] });
  assert.is(file, '{"format":"golden/1","file":"ops/x","cases":[\n{"n":1},\n{"n":2}\n]}\n');
});

exporting("FNV-1a has its published values", () => {
  const text = (s: string): Uint8Array => new TextEncoder().encode(s);
  assert.is(hashOf(text("")), "811c9dc5");
  assert.is(hashOf(text("a")), "e40c292c");
  assert.is(hashOf(text("foobar")), "bf9cf968");
  assert.is(hashOf(Float32Array.of(1)), hashOf(Uint8Array.of(0, 0, 0x80, 0x3f)));
});

exporting("files carry the package's version and are listed in the manifest", async () => {
  const manifest = new URL("../../package.json", import.meta.url);
  assert.is(
    version,
    (JSON.parse(fs.readFileSync(manifest, "utf8")) as { version: string }).version,
  );
  const files = await exportVectors({ filter: "outer", directory: path.join(folder, "a/b") });
  assert.equal([...files.keys()], ["ops/matmul.json", "manifest.json", "README.md"]);
  const written = JSON.parse(fs.readFileSync(path.join(folder, "a/b/manifest.json"), "utf8"));
  const hash = hashOf(fs.readFileSync(path.join(folder, "a/b/ops/matmul.json")));
  assert.equal(written.files, [{ path: "ops/matmul.json", cases: 2, fnv1a: hash }]);
  assert.match(files.get("README.md")!, `roadless ${version}`);
  // The folder as it is can be handed to a player.
  const found: PlayedCase[][] = [];
  for (const file of await goldenFiles(path.join(folder, "a")))
    found.push(await playAll(await readGolden(file)));
  assert.equal(
    found.map((cases) => cases.map(({ outcome }) => outcome.status)),
    [[], ["passed", "passed"]],
  );
});

exporting("nothing stays in memory, and options without meaning are refused", async () => {
  const { tensors, storages } = rl.memory();
  await exportVectors({ filter: "defaults/float32" });
  await exportVectors({ only: "traces", runs: [run] });
  assert.equal([rl.memory().tensors, rl.memory().storages], [tensors, storages]);
  const refuse = async (options: object, message: string): Promise<void> => {
    const error = await exportVectors(options).then(
      () => new Error("nothing was thrown"),
      (thrown: Error) => thrown,
    );
    assert.match(error.message, message);
  };
  await refuse(
    { only: "all" },
    'exportVectors: only is "all"; expected "ops", "optim" or "traces"',
  );
  await refuse({ seed: 0.5 }, "exportVectors: seed is 0.5; expected a whole number");
  await refuse({ filter: "xyz" }, 'exportVectors: no case contains "xyz"; expected part of a file');
  const layers = [{ type: "convolution" }];
  const data = { input: [2], classes: 2 };
  await refuse(
    { only: "traces", runs: [{ ...run, layers, data }] },
    'vectors: found the layer "convolution"; expected one of flatten, linear',
  );
  await refuse(
    { only: "traces", runs: [{ ...run, layers: [{ type: "linear", name: "fc", in: 3 }], data }] },
    'vectors: the layer {"type":"linear","name":"fc","in":3} has the parameter fc.weight [, 3]; expected',
  );
  const rows = { x: { shape: [2, 1], data: [1, 2] }, y: { shape: [1], data: [0] } };
  await refuse(
    { only: "traces", runs: [{ ...run, data: { ...rows, batch_size: 1, train_rows: 1 } }] },
    "vectors: found 2 rows of x, 1 of y, train_rows 1 and batch_size 1; expected as many of y as of x",
  );
  assert.throws(
    () => recordVectors("f", ([x]) => x, { x: { shape: [3], data: [1, 2] } }),
    /input "x" has shape \[3\] and 2 values; expected a shape, or data that fit it/,
  );
});

exporting("the command line", async () => {
  const cli = new URL("../../dist/cli.js", import.meta.url).pathname;
  const call = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], {
      encoding: "utf8",
    });
    return { status, stdout, stderr };
  };
  const out = path.join(folder, "cli");
  const own = path.join(folder, "runs.json");
  fs.writeFileSync(own, JSON.stringify([run]));
  const nameless = path.join(folder, "nameless.json");
  fs.writeFileSync(nameless, '{ "layers": [] }');
  const done = call("vectors", "--out", out, "--only", "traces", "--runs", own, "--seed", "3");
  assert.is(done.status, 0, done.stderr);
  assert.match(done.stdout, /^2 cases in 3 files below .*\n$/);
  assert.is(done.stderr, "");
  const [trace] = await goldenFiles(path.join(out, "traces"));
  assert.is((await played(fs.readFileSync(trace, "utf8"))).passed, 4);

  assert.match(call().stdout, "usage: roadless COMMAND");
  assert.match(call("vectors", "--help").stdout, "--filter TEXT");
  for (const [args, status, message] of [
    [["vektors"], 2, 'there is no command "vektors"\nroadless --help lists'],
    [["vectors"], 2, "--out is missing; expected a folder\nroadless vectors --help lists"],
    [["vectors", "--oot", "x"], 2, "'--oot'"],
    [["vectors", "--out", out, "--seed", "-1"], 2, "--seed"],
    [
      ["vectors", "--out", out, "--only", "opt"],
      1,
      'only is "opt"; expected "ops", "optim" or "traces"',
    ],
    [["vectors", "--out", out, "--filter", "xyz"], 1, 'no case contains "xyz"'],
    [["vectors", "--out", out, "--runs", out], 1, "vectors: cannot read"],
    [
      ["vectors", "--out", out, "--runs", nameless],
      1,
      "expected a name, layers, data and optimizers",
    ],
    [["vectors", "--out", own, "--filter", "outer"], 1, "exportVectors: cannot make the folder"],
  ] as [string[], number, string][]) {
    const result = call(...args);
    assert.is(result.status, status, result.stderr);
    assert.match(result.stderr, message);
    assert.is(result.stdout, "");
  }
});

exporting.run();
