/** The benchmark of a GPU: what it takes for one, how it samples, counts and compares, and that every row runs. */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { formatChanges } from "../../bench/compare.ts";
import { findGpu, isSoftware } from "../../bench/gpu/adapter.ts";
import { copyOf, peakOf } from "../../bench/gpu/limits.ts";
import { gpuRows } from "../../bench/gpu/rows.ts";
import { record, samples, shareOf, withoutFigures } from "../../bench/gpu/run.ts";
import { parseOptions } from "../../bench/options.ts";
import type { Cell, Result } from "../../bench/row.ts";
import { figure } from "../../bench/row.ts";
import { load } from "../../bench/save.ts";
import { optim, scope, square, tensor } from "../../src/index.ts";
import { adapter as adapterName, unavailable } from "../webgpu/gpu.ts";

const bench = suite("bench of a GPU");

bench("renderers on the CPU are not taken for GPUs", () => {
  for (const name of [
    "SwiftShader Device (Subzero)",
    "llvmpipe (LLVM 15.0.6, 256 bits)",
    "Microsoft Basic Render Driver",
    "Microsoft WARP",
  ]) {
    assert.ok(isSoftware(name, undefined), name);
  }
  for (const name of ["NVIDIA H100 80GB HBM3", "apple metal-3", "AMD Radeon 780M (RADV)"]) {
    assert.not.ok(isSoftware(name, false), name);
  }
  assert.ok(isSoftware("a name nobody knows", true));
});

bench("samples are seconds a call, of as many calls as fill a turn", async () => {
  const asked: number[] = [];
  const wait = (times: number): Promise<void> => {
    asked.push(times);
    return new Promise((resolve) => setTimeout(resolve, 4 * times));
  };
  const found = await samples(wait, { seconds: 0.04, samples: 3 });
  assert.is(found.length, 3);
  for (const seconds of found) assert.ok(seconds > 0.003 && seconds < 0.2, String(seconds));
  const [times] = asked.slice(-1);
  assert.ok(times > 1 && times <= 11, String(times));
  assert.equal(asked.slice(-3), [times, times, times]);
});

bench("rates are held against the limit in their unit", () => {
  const cell = (best: number): Cell => ({ best, median: best, samples: 1 });
  const limit = (unit: "GFLOP/s" | "GB/s", best: number): Result => {
    return { section: "adapter", name: unit, unit, cells: { webgpu: cell(best) }, ratios: [] };
  };
  const limits = [limit("GFLOP/s", 1000), limit("GB/s", 200)];
  const share = (section: string, name: string, best: number) => {
    const row = gpuRows.find((each) => each.section === section && each.name === name)!;
    return shareOf(row, cell(best), limits);
  };
  assert.equal(share("gemm", "nn 4096x4096x4096", 600), [
    { label: "of the peak", values: { webgpu: 0.6 } },
  ]);
  assert.equal(share("fused steps", "AdamWScheduleFree 10 M", 150), [
    { label: "of the copy", values: { webgpu: 0.75 } },
  ]);
  assert.equal(share("training steps", "mlp 784-128-10, batch 64", 500), []);
});

bench("figures are written with the adapter, and can be compared", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "roadless-bench-"));
  try {
    const files = ["old", "new"].map((name) => path.join(folder, `${name}.json`));
    for (const [k, file] of files.entries()) {
      const options = parseOptions(["--device", "webgpu", "--precision", "fast", "--json", file])!;
      const cells = { webgpu: { best: 100 * (k + 1), median: 99 * (k + 1), samples: 6 } };
      const result: Result = { section: "gemm", name: "nn", unit: "GFLOP/s", cells, ratios: [] };
      await record(options, "a GPU", [result]);
      const { versions, options: kept, results } = load(file);
      assert.equal(versions, { adapter: "a GPU", node: process.versions.node });
      assert.equal(kept.precisions, ["fast"]);
      assert.equal(results, [result]);
    }
    assert.match(formatChanges(load(files[0]), load(files[1])), /nn.*2\.00/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

bench("products count a multiplication and an addition for each term", () => {
  const products = gpuRows.filter(({ section }) => section === "gemm");
  assert.ok(products.length > 20);
  for (const { name, amount, work } of products) {
    const [m, n, k] = name.split(" ")[1].split("x").map(Number);
    assert.is(amount, 2 * m * n * k, name);
    assert.ok(work.kind === "gemm" && work.m === m && work.n === n && work.k === k, name);
  }
  assert.is(figure({ unit: "GFLOP/s", amount: 2 * 1000 ** 3 }, 1e-3), 2000);
});

bench("convolutions count the terms of every window, in every pass", () => {
  const windows = (extent: number, k: number, stride: number, padding: number): number => {
    let count = 0;
    for (let from = -padding; from + k <= extent + padding; from += stride) count++;
    return count;
  };
  const convolutions = gpuRows.filter(({ section }) => section === "conv");
  assert.ok(convolutions.length > 20);
  for (const { name, amount, work } of convolutions) {
    if (work.kind !== "conv") throw new Error(name);
    const { n, c, h, o, k, stride, padding, groups } = work.shape;
    const outputs = n * o * windows(h, k, stride, padding) ** 2;
    assert.is(amount, 2 * outputs * (c / groups) * k ** 2, name);
  }
});

const { AdamWScheduleFree, RAdamScheduleFree, SGDScheduleFree } = optim;
const optimizers = { AdamWScheduleFree, RAdamScheduleFree, SGDScheduleFree };

bench("fused steps move what the optimizer holds: all is read, and written but for the gradient", () => {
  const steps = gpuRows.filter(({ unit, section }) => section === "fused steps" && unit === "GB/s");
  assert.is(steps.length, 3);
  for (const { name, amount, work } of steps) {
    if (work.kind !== "step") throw new Error(name);
    const open = scope();
    const x = tensor([1, 2], { requiresGrad: true });
    const optimizer = new optimizers[work.optimizer]([x], { lr: 0.01 });
    optimizer.train();
    square(x).sum().backward();
    optimizer.step();
    const { state } = optimizer.stateDict();
    const kept = Object.values(state[0]).filter(
      (value) => typeof value === "object" && "shape" in value && String(value.shape) === "2",
    );
    const arrays = 2 + kept.length; // with the parameter and the gradient
    assert.is(amount, 4 * (2 * arrays - 1) * work.parameters, name);
    optimizer.dispose();
    open.end();
  }
  assert.is(figure({ unit: "GB/s", amount: 280e6 }, 1e-3), 280);
});

/** A device that only remembers the code it was given and the workgroups of a dispatch. */
function pretended(): { device: GPUDevice; code: () => string; groups: () => number } {
  let code = "";
  let groups = 0;
  const pass = {
    setPipeline() {},
    setBindGroup() {},
    dispatchWorkgroups: (x: number, y: number) => (groups = x * y),
    end() {},
  };
  const device = {
    createBuffer: () => ({ destroy() {} }),
    createShaderModule: (module: { code: string }) => ({ code } = module),
    createComputePipeline: () => ({ getBindGroupLayout() {} }),
    createBindGroup() {},
    createCommandEncoder: () => ({ beginComputePass: () => pass, finish() {} }),
    queue: { submit() {}, onSubmittedWorkDone: async () => {} },
  };
  return { device: device as unknown as GPUDevice, code: () => code, groups: () => groups };
}

bench("limits count what their kernels do", async () => {
  const { device, code, groups } = pretended();
  const lanes = (): number => Number(/workgroup_size\((\d+)\)/.exec(code())![1]);
  const peak = peakOf(device, 48, 100);
  await peak.run(1);
  const perStep = code().match(/= fma\(c\d+, a, b\);/g)!.length * 4;
  assert.match(code(), "k < 100u");
  assert.is(peak.amount, groups() * lanes() * 100 * perStep * 2);
  for (const byteLength of [2 ** 16, 2 ** 28]) {
    const copy = copyOf(device, byteLength);
    await copy.run(1);
    assert.match(code(), "y[i] = source[i]");
    assert.is(groups() * lanes() * 16, byteLength, "each lane moves a vec4");
    assert.is(copy.amount, 2 * byteLength, "read and written");
  }
});

bench("a table without figures keeps its names and reasons", () => {
  const lines = [
    "gemm, GFLOP/s                  webgpu",
    "nn 4096x4096x4096              1234-5%",
    "    webgpu cannot: 3 arrays at once",
  ];
  assert.is(
    withoutFigures(lines.join("\n")),
    [lines[0], "nn 4096x4096x4096              ····-·%", lines[2]].join("\n"),
  );
});

if (unavailable !== null) bench.skip("the limits' kernels", unavailable);
else {
  bench("the limits' kernels are valid, and run", async () => {
    const { adapter, name } = await findGpu();
    assert.ok(name.length > 0);
    const device = await adapter.requestDevice();
    device.pushErrorScope("validation");
    for (const limit of [peakOf(device, 4, 8), copyOf(device, 2 ** 16)]) {
      await limit.run(2);
      limit.release();
    }
    assert.is(await device.popErrorScope(), null);
    device.destroy();
  });
}

if (isSoftware(adapterName, undefined)) {
  bench("on a software adapter every row runs, without figures and without a file", async () => {
    const results = (): string[] => readdirSync("bench/results").sort();
    const before = results();
    const { code, text } = await play(["--device", "webgpu", "--quick"]);
    assert.is(code, 0, text);
    assert.match(text, adapterName);
    assert.is(text.split("software adapter: no figures").length, 3, text);
    for (const { name, long } of gpuRows) {
      const line = text.split("\n").find((each) => each.startsWith(name));
      if (long) assert.is(line, undefined, name);
      else assert.match(line ?? `${name} is missing`, /^.{30} *[·.e+-]+%?$/);
    }
    assert.match(text, "of the peak");
    assert.match(text, "of the copy");
    assert.equal(results(), before);
  });
}

/** `npm run bench` with these arguments: its exit code and all that it prints. */
function play(args: string[]): Promise<{ code: number | null; text: string }> {
  const child = spawn(process.execPath, ["--import", "tsx", "bench/run.ts", ...args]);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (part: string) => (text += part));
  }
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, text })));
}

bench.run();
