import { suite } from "uvu";
import * as assert from "uvu/assert";
import { batchNormLaunchers } from "../../src/backend/wasm/launch/batch-norm.ts";
import { layerNorm, layerNormGrad } from "../../src/backend/wasm/launch/layer-norm.ts";
import { resample } from "../../src/backend/wasm/launch/resample.ts";
import type { Precision } from "./runtime.ts";
import { sizeOf } from "../../src/shape.ts";
import { Numbers, sameBits, testKernel, TestRuntime } from "./runtime.ts";

/** Whole and in pieces: the same bits. */
function both(rt: TestRuntime, launch: () => Float32Array, what: string): Float32Array {
  const whole = launch();
  rt.cut = true;
  const pieces = launch();
  rt.cut = false;
  assert.ok(sameBits(whole, pieces), `${what}: the bits depend on how the work is cut`);
  return whole;
}

function near(found: Float32Array, expected: Float64Array, tolerance: number, what: string): void {
  const scale = expected.reduce((top, v) => Math.max(top, Math.abs(v)), 1);
  expected.forEach((value, i) => {
    const error = Math.abs(found[i] - value) / scale;
    assert.ok(error <= tolerance, `${what}[${i}]: ${found[i]}, expected ${value}`);
  });
}

interface Normal {
  mean: number;
  scale: number;
}

function moments(x: Float32Array, at: number, n: number, centre: boolean, eps: number): Normal {
  const row = Float64Array.from(x.subarray(at, at + n));
  const mean = centre ? row.reduce((sum, v) => sum + v, 0) / n : 0;
  const squares = row.reduce((sum, v) => sum + (v - mean) ** 2, 0);
  return { mean, scale: 1 / Math.sqrt(squares / n + eps) };
}

for (const precision of ["strict", "fast"] as Precision[]) {
  const test = suite(`layer norm and resample, ${precision}`);
  const rt = new TestRuntime(precision);

  test("rows of any length, far from 0 too", () => {
    for (const n of [1, 2, 3, 4, 5, 7, 8, 33, 1031]) {
      for (const [centre, offset] of [
        [true, 0],
        [true, 1000],
        [false, 0],
      ] as const) {
        rt.reset();
        const numbers = new Numbers(n);
        const rows = 9000 / n > 40 ? 40 : 17;
        const [x, dy] = [numbers.array(rows * n), numbers.array(rows * n)];
        for (let i = 0; i < x.length; i++) x[i] += offset;
        const [weight, bias] = [numbers.array(n), numbers.array(n)];
        const attrs = { n, eps: 1e-3, centre };
        const what = `n ${n}, centre ${centre}, offset ${offset}`;
        const y = new Float64Array(x.length);
        const dx = new Float64Array(x.length);
        for (let at = 0; at < x.length; at += n) {
          const { mean, scale } = moments(x, at, n, centre, attrs.eps);
          let shift = 0;
          let slope = 0;
          for (let k = at; k < at + n; k++) {
            const normal = (x[k] - mean) * scale;
            y[k] = normal * weight[k - at] + bias[k - at];
            shift += centre ? dy[k] / n : 0;
            slope += (dy[k] * normal) / n;
          }
          for (let k = at; k < at + n; k++) {
            dx[k] = scale * (dy[k] - shift - (x[k] - mean) * scale * slope);
          }
        }
        const views = [rt.array(x, [rows, n]), rt.array(weight, [n]), rt.array(bias, [n])];
        const given = rt.array(dy, [rows, n]);
        const forward = () => rt.launch(layerNorm, views, [rows, n], attrs);
        const backward = () => rt.launch(layerNormGrad, [views[0], given], [rows, n], attrs);
        near(both(rt, forward, what), y, 1e-6, what);
        near(both(rt, backward, what), dx, 1e-6, `${what}: gradient`);
      }
    }
  });

  test("gradients of weight and bias, and per channel, do not depend on how the work is cut", () => {
    for (const shape of [
      [1, 5],
      [33, 7],
      [200, 37],
      [9, 6, 5],
      [3, 13, 4, 9],
      [130, 11, 1],
    ]) {
      rt.reset();
      const [, channels, ...rest] = shape;
      const size = sizeOf(shape);
      const numbers = new Numbers(size);
      const [x, dy, weight] = [numbers.array(size), numbers.array(size), numbers.array(channels)];
      const [mean, variance] = [numbers.array(channels), numbers.array(channels).map(Math.abs)];
      const views = [x, dy].map((data) => rt.array(data, shape));
      const [w, m, v] = [weight, mean, variance].map((data) => rt.array(data, [channels]));
      const inner = sizeOf(rest);
      const rows = size / channels;
      const run = (perChannel: boolean): Float32Array[] => {
        const outputs = [shape, [channels], [channels]].map((extents) => rt.result(extents));
        const inputs = perChannel ? [...views, m, v, w] : [...views, w];
        const launcher = perChannel ? batchNormLaunchers.batchNormGrad : layerNormGrad;
        const attrs = { n: channels, eps: 1e-3, centre: true, fixed: false };
        launcher(rt, testKernel, inputs, outputs, attrs);
        for (const output of outputs) rt.checkBorder(output);
        return outputs.map((output) => rt.read(output));
      };
      for (const perChannel of inner === 1 ? [true, false] : [true]) {
        const what = `${JSON.stringify(shape)}, ${perChannel ? "channels" : "rows"}`;
        const whole = run(perChannel);
        rt.cut = true;
        const pieces = run(perChannel);
        rt.cut = false;
        whole.forEach((values, i) => assert.ok(sameBits(values, pieces[i]), `${what}: ${i}`));
        const dweight = new Float64Array(channels);
        const dbias = new Float64Array(channels);
        for (let i = 0; i < size; i++) {
          const c = Math.floor(i / inner) % channels;
          const normal = perChannel
            ? { mean: mean[c], scale: 1 / Math.sqrt(variance[c] + 1e-3) }
            : moments(x, i - (i % channels), channels, true, 1e-3);
          dweight[c] += dy[i] * (x[i] - normal.mean) * normal.scale;
          dbias[c] += dy[i];
        }
        near(whole[1], dweight, 2e-6, `${what}: dweight over ${rows}`);
        near(whole[2], dbias, 2e-6, `${what}: dbias over ${rows}`);
      }
    }
  });

  test("a banded matrix along any dimension", () => {
    for (const inner of [1, 3, 4, 17]) {
      for (const [n, m] of [
        [1, 1],
        [5, 3],
        [4, 9],
        [60, 31],
      ]) {
        rt.reset();
        const numbers = new Numbers(n * inner);
        const x = numbers.array(7 * n * inner);
        const starts = Int32Array.from({ length: m }, () => numbers.between(0, n - 1));
        const counts = Array.from(starts, (start) => numbers.between(0, Math.min(4, n - start)));
        const offsets = new Int32Array(m + 1);
        counts.forEach((count, j) => {
          offsets[j + 1] = offsets[j] + count;
        });
        const weights = numbers.array(offsets[m]);
        const expected = new Float64Array(7 * m * inner);
        for (let i = 0; i < expected.length; i++) {
          const row = Math.floor(i / inner);
          const j = row % m;
          const from = Math.floor(row / m) * n + starts[j];
          for (let k = 0; k < counts[j]; k++) {
            expected[i] += weights[offsets[j] + k] * x[(from + k) * inner + (i % inner)];
          }
        }
        const views = [
          rt.array(x, [7, n, inner]),
          rt.array(new Float32Array(starts.buffer), [m]),
          rt.array(new Float32Array(offsets.buffer), [m + 1]),
          rt.array(weights, [weights.length]),
        ];
        const what = `${n} to ${m}, inner ${inner}`;
        const launch = () => rt.launch(resample, views, [7, m, inner], { dim: 1 });
        near(both(rt, launch, what), expected, 1e-6, what);
      }
    }
  });

  test.run();
}
