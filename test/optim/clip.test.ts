import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DeviceName, Tensor } from "../../src/index.ts";
import * as roadless from "../../src/index.ts";
import { nn, optim, ValueError } from "../../src/index.ts";
import { combineNorms } from "../../src/optim/norm.ts";
import {
  assertClose,
  assertThrows,
  devices,
  listOf,
  numbers,
  parameter,
  randomNumbers,
  setGrad,
} from "./helpers.ts";

const clip = suite("optim clip");

const { clipGradNorm, clipGradValue, clipReport } = optim;

/** Parameters with gradients; in an optimizer's block or each by itself. */
function withGradients(
  device: DeviceName,
  gradients: readonly (readonly number[] | null)[],
  flat: boolean,
  fn: (params: Tensor[]) => void,
): void {
  roadless.withDevice(device, () =>
    roadless.scope(() => {
      const params = gradients.map((values) => parameter(values ?? [0, 0], device));
      const optimizer = flat ? new optim.SGDScheduleFree(params) : null;
      gradients.forEach((values, i) => {
        if (values === null) return;
        if (flat) {
          // backward() puts them into the block
          const weights = roadless.tensor(Float64Array.from(values));
          roadless.sum(roadless.mul(params[i], weights)).backward();
        } else setGrad(params[i], values);
      });
      fn(params);
      optimizer?.dispose();
      for (const param of params) param.dispose();
    }),
  );
}

const gradientsOf = (params: readonly Tensor[]) =>
  params.map(({ grad }) => (grad === null ? null : numbers(grad)));

/** What PyTorch's documentation says, in float64. */
function expectedNorm(values: readonly number[], p: number): number {
  const sizes = values.map(Math.abs);
  if (p === Infinity) return Math.max(0, ...sizes);
  return sizes.reduce((sum, value) => sum + value ** p, 0) ** (1 / p);
}

for (const device of devices) {
  for (const flat of [false, true]) {
    const where = `${flat ? "in a block" : "one by one"} (${device})`;
    clip(`gradients ${where} are measured and scaled`, () => {
      const next = randomNumbers(1);
      const lists = [listOf(3, next), null, listOf(20_000, next), listOf(1, next), listOf(6, next)];
      const all = lists.flatMap((list) => list ?? []);
      for (const normType of [0.5, 1, 1.5, 2, 3, 8, Infinity]) {
        const norm = expectedNorm(all, normType);
        for (const maxNorm of [0, norm / 3, norm * 2, Infinity]) {
          withGradients(device, lists, flat, (params) => {
            const found = Number(clipGradNorm(params, maxNorm, { normType }));
            assertClose([found / norm], [1], device === "cpu" ? 1e-6 : 1e-13, `norm ${normType}`);
            const scale = Math.min(1, maxNorm / (norm + 1e-6));
            gradientsOf(params).forEach((values, i) => {
              if (lists[i] === null) assert.is(values, null);
              else {
                const expected = lists[i].map((value) => value * scale);
                assertClose(values!, expected, 1e-6, `gradient ${i}, max ${maxNorm}`);
              }
            });
          });
        }
      }
    });

    clip(`values ${where} are limited`, () => {
      withGradients(
        device,
        [[3, -0.5, Number.NaN], null, [-Infinity, Infinity]],
        flat,
        (params) => {
          assert.ok(Number.isNaN(clipGradValue(params, 1)));
          assert.equal(gradientsOf(params), [[1, -0.5, Number.NaN], null, [-1, 1]]);
          assert.ok(Number.isNaN(clipGradValue(params[0], 0)));
          assert.equal(gradientsOf(params)[0]!.map(Math.abs), [0, 0, Number.NaN]);
        },
      );
    });

    clip(`NaN and infinite norms ${where} do what PyTorch does, or throw`, () => {
      withGradients(device, [[1, 2], [Infinity]], flat, (params) => {
        assertThrows(
          () => clipGradNorm(params, 1, { errorIfNonfinite: true }),
          ValueError,
          "clipGradNorm: the norm of the gradients is Infinity; expected a finite number " +
            "(errorIfNonfinite is true: leave it out to clip all the same)",
        );
        assert.equal(gradientsOf(params), [[1, 2], [Infinity]]);
        assert.is(clipGradNorm(params, 1), Infinity);
        assert.equal(gradientsOf(params), [[0, 0], [Number.NaN]]);
        assert.ok(Number.isNaN(clipGradNorm(params, 1)));
        assert.equal(gradientsOf(params), [[Number.NaN, Number.NaN], [Number.NaN]]);
      });
    });
  }

  clip(`a report counts how often it clipped (${device})`, () => {
    withGradients(device, [[3, 4]], true, (params) => {
      const report = clipReport();
      const optimizer = { paramGroups: [{ params }] };
      assert.is(clipGradNorm(optimizer, 10, { report }), 5);
      assert.equal(report, { calls: 1, clipped: 0, lastNorm: 5, largestNorm: 5 });
      assert.is(clipGradNorm(optimizer, 1, { report }), 5);
      assert.equal(report, { calls: 2, clipped: 1, lastNorm: 5, largestNorm: 5 });
      clipGradNorm(params[0], 2, { report });
      assert.equal([report.calls, report.clipped, report.largestNorm], [3, 1, 5]);
      assert.ok(Math.abs(report.lastNorm - 1) < 1e-6);
      clipGradValue(params, 0.5, { report });
      assert.equal([report.calls, report.clipped], [4, 2]);
      clipGradValue(params, 0.5, { report });
      assert.equal([report.calls, report.clipped, report.lastNorm], [5, 2, 0.5]);
    });
  });

  clip(`gradients that are strided views are clipped too (${device})`, () => {
    roadless.withDevice(device, () =>
      roadless.scope(() => {
        const param = parameter([0, 0, 0, 0], device, [2, 2]);
        const source = roadless.tensor(Float64Array.from([1, 2, 3, 4]), { shape: [2, 2] });
        param.grad = roadless.transpose(source, 0, 1);
        clipGradValue(param, 2.5);
        assert.equal(source.toArray(), [
          [1, 2],
          [2.5, 2.5],
        ]);
        param.grad = null;
      }),
    );
  });

  clip(`clipping is seen by the step, and by graphs that saved the gradient (${device})`, () => {
    withGradients(device, [[3, 4], [12]], true, (params) => {
      const squares = params.map((param) => {
        const grad = param.grad!.detach();
        grad.requiresGrad = true;
        return roadless.sum(roadless.mul(grad, grad));
      });
      assert.is(clipGradNorm(params, 1), 13);
      for (const square of squares) {
        assertThrows(() => square.backward(), roadless.LifetimeError, /changed in place/);
      }
    });
  });
}

clip("without gradients the norm is 0", () => {
  roadless.scope(() => {
    assert.is(clipGradNorm([parameter([1, 2])], 1), 0);
    assert.is(clipGradNorm([], 1), 0);
    assert.is(clipGradValue([], 1), 0);
  });
});

clip("numbers out of their domain are refused", () => {
  const refused = (fn: () => unknown, message: string) => assertThrows(fn, ValueError, message);
  refused(() => clipGradNorm([], -1), "clipGradNorm: maxNorm is -1; expected a number ≥ 0");
  refused(() => clipGradNorm([], NaN), "clipGradNorm: maxNorm is NaN; expected a number ≥ 0");
  refused(() => clipGradValue([], -1), "clipGradValue: clipValue is -1; expected a number ≥ 0");
  for (const normType of [0, -1, NaN]) {
    refused(
      () => clipGradNorm([], 1, { normType }),
      `clipGradNorm: normType is ${normType}; expected a number above 0, or Infinity`,
    );
  }
});

clip("norms of parts make the norm of the whole, without overflow", () => {
  assert.is(combineNorms([], 2), 0);
  assert.is(combineNorms([0, 0], 2), 0);
  assert.is(combineNorms([3, 4], 2), 5);
  assert.is(combineNorms([3, 4], 1), 7);
  assert.is(combineNorms([3, 4], Infinity), 4);
  assert.is(combineNorms([3e300, 4e300], 2), 5e300);
  assert.ok(Math.abs(combineNorms([1, 1], 8) - 2 ** 0.125) < 1e-15);
  assert.ok(Number.isNaN(combineNorms([Infinity, NaN], 2)));
});

clip("the norm does not depend on threads", () => {
  const data = Float32Array.from(listOf(100_001, randomNumbers(3)));
  roadless.scope(() => {
    const param = nn.parameter(roadless.zeros([data.length]));
    param.grad = roadless.tensor(data);
    for (const normType of [1, 2, 2.5, Infinity]) {
      const once = clipGradNorm(param, Infinity, { normType });
      for (let i = 0; i < 5; i++) assert.is(clipGradNorm(param, Infinity, { normType }), once);
    }
    param.grad = null;
    param.dispose();
  });
});

/** loss = mean over the rows of (x·w − t)² */
function lossOf(w: Tensor, rows: readonly [x: Tensor, t: Tensor]): Tensor {
  return roadless.mseLoss(roadless.matmul(rows[0], w), rows[1]);
}

for (const device of devices) {
  clip(`n micro-batches are one batch, to rounding (${device})`, () => {
    roadless.withDevice(device, () =>
      roadless.scope(() => {
        const next = randomNumbers(9);
        const xs = Array.from({ length: 8 }, () => listOf(3, next));
        const ts = Array.from({ length: 8 }, () => listOf(1, next));
        const rows = (from: number, to: number): [Tensor, Tensor] => [
          roadless.tensor(xs.slice(from, to)),
          roadless.tensor(ts.slice(from, to)),
        ];
        const start = listOf(3, next);
        const whole = parameter(start, device, [3, 1]);
        const parts = parameter(start, device, [3, 1]);
        const [a, b] = [whole, parts].map(
          (p) => new optim.AdamWScheduleFree([p], { lr: 0.1, weightDecay: 0.1 }),
        );
        for (const optimizer of [a, b]) optimizer.train();
        for (let step = 0; step < 5; step++) {
          a.zeroGrad();
          lossOf(whole, rows(0, 8)).backward();
          a.step();
          b.zeroGrad(); // once per step; backward() adds to what is there
          for (let i = 0; i < 8; i += 2)
            lossOf(parts, rows(i, i + 2))
              .div(4)
              .backward();
          b.step();
          assertClose(numbers(parts), numbers(whole), 2e-6, `step ${step}`);
        }
        b.zeroGrad();
        assert.is(parts.grad, null);
        a.dispose();
        b.dispose();
      }),
    );
  });
}

clip.run();
