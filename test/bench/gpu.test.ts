/** The benchmark of a GPU: what it takes for one, how it samples and compares, and that its own kernels are valid. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { findGpu, isSoftware } from "../../bench/gpu/adapter.ts";
import { copyOf, peakOf } from "../../bench/gpu/limits.ts";
import { gpuRows } from "../../bench/gpu/rows.ts";
import { samples, shareOf } from "../../bench/gpu/run.ts";
import type { Cell, Result } from "../../bench/row.ts";
import { unavailable } from "../webgpu/gpu.ts";

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

bench.run();
