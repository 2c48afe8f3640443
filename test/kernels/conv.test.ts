import { suite } from "uvu";
import * as assert from "uvu/assert";
import { convLaunchers } from "../../src/backend/wasm/launch/conv.ts";
import { sizeOf } from "../../src/shape.ts";
import { Numbers, sameBits, TestRuntime, worstError } from "./runtime.ts";

interface Case {
  n: number;
  c: number;
  h: number;
  w: number;
  o: number;
  kernel: [number, number];
  stride?: [number, number];
  padding?: [number, number];
  dilation?: [number, number];
  groups?: number;
  bias?: boolean;
}

interface Sums {
  expected: Float64Array;
  scale: Float64Array;
}

const sums = (size: number): Sums => ({
  expected: new Float64Array(size),
  scale: new Float64Array(size),
});

function add(to: Sums, i: number, term: number): void {
  to.expected[i] += term;
  to.scale[i] += Math.abs(term);
}

for (const precision of ["strict", "fast"] as const) {
  const test = suite(`conv2d, ${precision}`);
  const rt = new TestRuntime(precision);

  /** Forward and both gradients against float64, whole and cut. */
  const check = (seed: number, shape: Case): void => {
    rt.reset();
    const { n, c, h, w, o, kernel, groups = 1, bias = false } = shape;
    const { stride = [1, 1], padding = [0, 0], dilation = [1, 1] } = shape;
    const extent = (size: number, i: 0 | 1): number =>
      Math.floor((size + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) / stride[i]) + 1;
    const [oh, ow] = [extent(h, 0), extent(w, 1)];
    if (oh < 1 || ow < 1) return;
    const numbers = new Numbers(seed);
    const inGroup = c / groups;
    const shapes = { x: [n, c, h, w], w: [o, inGroup, ...kernel], y: [n, o, oh, ow] };
    const x = numbers.array(sizeOf(shapes.x));
    const wt = numbers.array(sizeOf(shapes.w));
    const b = numbers.array(o);
    const dy = numbers.array(sizeOf(shapes.y));
    const y = sums(dy.length);
    const dx = sums(x.length);
    const dw = sums(wt.length);
    const db = sums(o);
    // As after a relu: dy counts where this is not ≤ 0.
    const after = numbers.array(dy.length).map((v) => Math.max(v, 0));
    const masked = { dw: sums(wt.length), db: sums(o) };
    for (let i = 0; i < dy.length; i++) {
      const f = Math.floor(i / (oh * ow)) % o;
      add(db, f, dy[i]);
      if (after[i] > 0) add(masked.db, f, dy[i]);
    }
    if (bias) for (let i = 0; i < dy.length; i++) add(y, i, b[Math.floor(i / (oh * ow)) % o]);
    for (let i = 0, yi = 0; i < n; i++) {
      for (let f = 0; f < o; f++) {
        const first = Math.floor(f / (o / groups)) * inGroup;
        for (let py = 0; py < oh; py++) {
          for (let px = 0; px < ow; px++, yi++) {
            for (let ch = 0; ch < inGroup; ch++) {
              for (let r = 0; r < kernel[0]; r++) {
                for (let s = 0; s < kernel[1]; s++) {
                  const iy = py * stride[0] - padding[0] + r * dilation[0];
                  const ix = px * stride[1] - padding[1] + s * dilation[1];
                  if (iy < 0 || iy >= h || ix < 0 || ix >= w) continue;
                  const xi = ((i * c + first + ch) * h + iy) * w + ix;
                  const wi = ((f * inGroup + ch) * kernel[0] + r) * kernel[1] + s;
                  add(y, yi, x[xi] * wt[wi]);
                  add(dx, xi, dy[yi] * wt[wi]);
                  add(dw, wi, dy[yi] * x[xi]);
                  if (after[yi] > 0) add(masked.dw, wi, dy[yi] * x[xi]);
                }
              }
            }
          }
        }
      }
    }
    const attrs = { stride, padding, dilation, groups };
    const [xv, wv] = [rt.array(x, shapes.x), rt.array(wt, shapes.w)];
    const [bv, dyv] = [rt.array(b, [o]), rt.array(dy, shapes.y)];
    const afterv = rt.array(after, shapes.y);
    const calls = [
      { kind: "conv2d", inputs: bias ? [xv, wv, bv] : [xv, wv], to: [shapes.y], is: [y] },
      { kind: "conv2dGradInput", inputs: [dyv, wv], to: [shapes.x], is: [dx] },
      { kind: "conv2dGradWeight", inputs: [xv, dyv], to: [shapes.w], is: [dw] },
      { kind: "conv2dGradWeight", inputs: [xv, dyv], to: [shapes.w, [o]], is: [dw, db] },
      {
        kind: "conv2dGradWeight",
        inputs: [xv, dyv, afterv],
        to: [shapes.w, [o]],
        is: [masked.dw, masked.db],
      },
    ];
    for (const { kind, inputs, to, is } of calls) {
      const name = `${kind}, seed ${seed}, ${inputs.length} → ${to.length}: ${JSON.stringify(shape)}`;
      [rt.threads, rt.cut] = [1, false];
      const found = rt.launchAll(convLaunchers[kind], inputs, to, attrs);
      found.forEach((result, i) => {
        const error = worstError(result, is[i].expected, is[i].scale);
        assert.ok(error < 1e-6, `${name}: error ${error} of result ${i}`);
      });
      for (const threads of [1, 5]) {
        [rt.threads, rt.cut] = [threads, true];
        const cut = rt.launchAll(convLaunchers[kind], inputs, to, attrs);
        const same = found.every((result, i) => sameBits(result, cut[i]));
        assert.ok(same, `${name}: other bits when cut for ${threads} threads`);
      }
    }
  };

  test("agrees with float64 on the shapes of common networks", () => {
    check(1, { n: 2, c: 1, h: 28, w: 28, o: 32, kernel: [3, 3], bias: true });
    check(2, { n: 2, c: 32, h: 26, w: 26, o: 13, kernel: [3, 3], bias: true });
    check(3, { n: 1, c: 8, h: 28, w: 28, o: 16, kernel: [3, 3], padding: [1, 1] });
    check(4, { n: 1, c: 3, h: 32, w: 32, o: 8, kernel: [7, 7], stride: [2, 2], padding: [3, 3] });
    check(5, { n: 2, c: 40, h: 8, w: 8, o: 20, kernel: [1, 1], bias: true });
    check(6, { n: 1, c: 16, h: 14, w: 14, o: 16, kernel: [3, 3], padding: [1, 1], groups: 16 });
    check(7, { n: 9, c: 40, h: 4, w: 4, o: 12, kernel: [3, 3], padding: [1, 1], stride: [2, 2] });
  });

  test("agrees with float64 for random geometries", () => {
    const numbers = new Numbers(11);
    for (let seed = 100; seed < 220; seed++) {
      const groups = numbers.pick([1, 1, 1, 2, 3]);
      const pair = (low: number, high: number): [number, number] => [
        numbers.between(low, high),
        numbers.between(low, high),
      ];
      check(seed, {
        n: numbers.between(1, 5),
        c: groups * numbers.between(1, 7),
        h: numbers.between(1, 17),
        w: numbers.between(1, 17),
        o: groups * numbers.between(1, 8),
        kernel: pair(1, 5),
        stride: pair(1, 3),
        padding: pair(0, 4),
        dilation: pair(1, 3),
        groups,
        bias: seed % 2 === 0,
      });
    }
  });

  test("crosses the borders of blocks", () => {
    check(1, { n: 1, c: 50, h: 6, w: 6, o: 7, kernel: [3, 3] }); // 450 taps
    check(2, { n: 1, c: 2, h: 5, w: 5, o: 350, kernel: [2, 2] }); // 350 filters
    check(3, { n: 1, c: 1, h: 24, w: 25, o: 2, kernel: [20, 19], padding: [1, 2] }); // 380 taps
    check(4, { n: 3, c: 1, h: 3, w: 700, o: 2, kernel: [2, 3], padding: [0, 1] });
    check(5, { n: 2, c: 30, h: 5, w: 5, o: 4, kernel: [2, 2], groups: 1, stride: [3, 1] });
  });

  test("agrees with float64 where Winograd's transforms are used", () => {
    check(1, { n: 4, c: 32, h: 26, w: 26, o: 24, kernel: [3, 3], bias: true });
    check(2, { n: 3, c: 17, h: 15, w: 18, o: 21, kernel: [3, 3], padding: [1, 1], bias: true });
    check(3, { n: 1, c: 40, h: 33, w: 30, o: 19, kernel: [3, 3], padding: [2, 0] });
    check(4, { n: 60, c: 16, h: 5, w: 6, o: 16, kernel: [3, 3], padding: [0, 1] });
    check(5, { n: 7, c: 34, h: 13, w: 12, o: 36, kernel: [3, 3], padding: [1, 1], groups: 2 });
    check(6, { n: 5, c: 70, h: 14, w: 14, o: 66, kernel: [3, 3], padding: [1, 1], bias: true });
  });

  test("agrees with float64 where groups of one or two filters are summed directly", () => {
    const numbers = new Numbers(12);
    const pair = (low: number, high: number): [number, number] => [
      numbers.between(low, high),
      numbers.between(low, high),
    ];
    for (let seed = 300; seed < 420; seed++) {
      const groups = numbers.between(1, 5);
      const strides = numbers.pick([1, 2, 2, 4]);
      check(seed, {
        n: numbers.between(1, 3),
        c: groups * numbers.pick([1, 1, 1, 3]),
        h: numbers.between(1, 20),
        w: numbers.between(1, 40),
        o: groups * numbers.pick([1, 1, 2]),
        kernel: pair(1, numbers.pick([3, 7])),
        stride: seed % 3 === 0 ? pair(1, strides) : [strides, strides],
        padding: pair(0, numbers.pick([1, 3, 9])),
        dilation: seed % 4 === 0 ? pair(1, 4) : [1, 1],
        groups,
        bias: seed % 2 === 0,
      });
    }
  });

  test("agrees with float64 where groups have few channels", () => {
    const numbers = new Numbers(13);
    const pair = (low: number, high: number): [number, number] => [
      numbers.between(low, high),
      numbers.between(low, high),
    ];
    for (let seed = 500; seed < 580; seed++) {
      const groups = numbers.pick([1, 1, 1, 3]);
      check(seed, {
        n: numbers.between(1, 3),
        c: groups * numbers.pick([1, 2, 3, 4, 8]),
        h: numbers.between(1, 20),
        w: numbers.between(4, 40),
        o: groups * numbers.between(3, 14),
        kernel: pair(1, numbers.pick([3, 5])),
        stride: seed % 3 === 0 ? pair(1, 3) : [1, 1],
        padding: pair(0, 2),
        dilation: seed % 4 === 0 ? pair(1, 3) : [1, 1],
        groups,
        bias: seed % 2 === 0,
      });
    }
  });

  test("has few channels over the borders of bands and parts, and not where there is no room", () => {
    const first = { n: 1, c: 1, o: 5, bias: true, kernel: [3, 3] };
    const of = (shape: object): Case => ({ ...first, ...shape }) as Case;
    check(1, of({ n: 19, h: 12, w: 13, o: 8 })); // more images than parts
    check(2, of({ c: 3, h: 61, w: 66, kernel: [7, 7], stride: [2, 2], padding: [3, 3] }));
    check(3, of({ c: 2, h: 100, w: 90, padding: [1, 1] }));
    check(4, of({ h: 4, w: 60000, o: 3 })); // a row is more than a band has
    check(5, of({ h: 3, w: 90000, o: 3 })); // three rows of x alone are too many
    check(6, of({ h: 3, w: 10, o: 27000 })); // too many filters
  });

  test("sums directly over the borders of bands, and not where a row has no room", () => {
    const depthwise = { n: 1, c: 2, o: 2, groups: 2, bias: true, kernel: [3, 3], padding: [1, 1] };
    const of = (shape: object): Case => ({ ...depthwise, ...shape }) as Case;
    check(1, of({ h: 113, w: 111 }));
    check(2, of({ h: 112, w: 113, stride: [2, 2] }));
    check(3, of({ h: 9, w: 4000, kernel: [5, 3], dilation: [1, 7] }));
    check(4, of({ h: 70, w: 90, o: 4, kernel: [5, 5], stride: [3, 2], padding: [2, 2] }));
    check(5, of({ h: 1, w: 1 }));
    check(6, of({ h: 1, w: 1, stride: [2, 2], padding: [4, 5], n: 3 }));
    check(7, of({ h: 6, w: 5, stride: [5, 6], kernel: [1, 1], padding: [0, 0] }));
    check(8, of({ h: 2, w: 150000, c: 1, o: 1, groups: 1 })); // three rows alone are too many
    check(9, of({ h: 6, w: 6, c: 2000, o: 1, groups: 1 })); // too many kernel elements
    const many = { c: 90, o: 90, groups: 90, kernel: [7, 7], padding: [3, 3], n: 2 };
    check(10, of({ ...many, h: 5, w: 4 })); // more kernel elements than are summed at a time
  });

  test("has images without channels, or no images", () => {
    check(4, { n: 0, c: 3, h: 5, w: 5, o: 3, kernel: [3, 3], groups: 3, bias: true });
    check(5, { n: 2, c: 3, h: 5, w: 0, o: 3, kernel: [3, 3], groups: 3, padding: [1, 2] });
    check(1, { n: 0, c: 3, h: 5, w: 5, o: 4, kernel: [3, 3], bias: true });
    check(2, { n: 2, c: 0, h: 5, w: 5, o: 4, kernel: [3, 3], bias: true });
    check(3, { n: 2, c: 3, h: 5, w: 5, o: 0, kernel: [3, 3] });
  });

  test("is adjoint to its gradients: NaN in the padding's place never shows", () => {
    rt.reset();
    const x = rt.array(new Float32Array(2 * 16).fill(1), [1, 2, 4, 4]);
    const w = rt.array(new Float32Array(2 * 9).fill(1), [1, 2, 3, 3]);
    const attrs = { stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 };
    const y = rt.launch(convLaunchers.conv2d, [x, w], [1, 1, 4, 4], attrs);
    assert.equal([...y], [8, 12, 12, 8, 12, 18, 18, 12, 12, 18, 18, 12, 8, 12, 12, 8]);
  });

  test.run();
}
