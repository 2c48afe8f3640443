/**
 * Is a gradient right? Compares `backward()` with difference quotients, in float64. Every operation
 * here is held to it by the tests; for an operation of your own it is one call.
 */
import { backward } from "./autograd.ts";
import { RoadlessError, ValueError } from "./errors.ts";
import { fillUniform, Generator } from "./random.ts";
import { runScoped } from "./scope.ts";
import { formatShape } from "./shape.ts";
import { withRecording } from "./tape.ts";
import { fromData, isFloat, type Tensor } from "./tensor.ts";

export interface GradcheckOptions {
  /** The step h of (f(x + h) - f(x - h)) / 2h. Default 1e-6. */
  eps?: number;
  /** A gradient may differ from the quotient q by atol + rtol * |q|. Default 1e-5. */
  atol?: number;
  /** Default 1e-3. */
  rtol?: number;
  /** Inputs of up to this many elements are checked element by element. Default 64. */
  elements?: number;
  /** Every input is checked along this many random directions. Default 2. */
  directions?: number;
  /** Of the directions and of the outputs' weights. Default 0. */
  seed?: number;
}

type Values = Float64Array;
type Differentiable = (...inputs: Tensor[]) => Tensor | readonly Tensor[];

/**
 * Checks the gradient of sum(w * fn(inputs)) with random weights w in [0.5, 1.5] against central
 * differences, for every input that requires a gradient: along random directions and, where the
 * input is small, for every element. Away from kinks the quotient's error is about eps² f'''/6 +
 * 1e-16 |f| / eps. The inputs and their gradients stay as they were.
 *
 * `backward()` sees the inputs in the layout they have; quotients are taken on dense copies.
 *
 * @param fn from tensors to one or several, deterministic; integer and bool outputs are left out
 * @param inputs on the reference device; those with `requiresGrad` (float64) are checked
 * @returns true
 * @throws RoadlessError naming input, element, gradient found and quotient expected; ValueError for
 *   inputs that cannot be checked and for a `fn` that is not deterministic
 */
export function gradcheck(
  fn: Differentiable,
  inputs: readonly Tensor[],
  options: GradcheckOptions = {},
): true {
  const { eps = 1e-6, atol = 1e-5, rtol = 1e-3 } = options;
  const { elements = 64, directions = 2, seed = 0 } = options;
  checkInputs(inputs);
  return runScoped("gradcheck", () => {
    const generator = new Generator(seed);
    const { outputs, weights, grads } = differentiate(fn, inputs, generator);
    const at = inputs.map((x) => (x.requiresGrad ? Float64Array.from(x.dataSync()) : null));
    checkDeterministic(outputs, evaluate(fn, inputs, at));

    const compare = (i: number, direction: Values, where: string): void => {
      const moved = (step: number): Values[] =>
        evaluate(fn, inputs, at, { input: i, direction, step });
      const expected = quotient(moved(eps), moved(-eps), weights, eps);
      const found = dot(grads[i] as Values, direction);
      const allowed = atol + rtol * Math.abs(expected);
      if (Math.abs(found - expected) <= allowed) return;
      throw new RoadlessError(
        `gradcheck: input ${i} ${formatShape(inputs[i].shape)}, ${where}: backward() gives ${found}, ` +
          `the difference quotient is ${expected} (allowed difference ${allowed}); ` +
          "expected the gradient's formula to agree, away from kinks",
      );
    };

    for (const [i, x] of inputs.entries()) {
      if (!x.requiresGrad || x.size === 0) continue;
      for (let k = 0; k < x.size && x.size <= elements; k++) {
        const direction = new Float64Array(x.size);
        direction[k] = 1;
        compare(i, direction, `element ${formatShape(placeOf(k, x.shape))}`);
      }
      for (let d = 0; d < directions; d++) {
        compare(i, uniform(x.size, -1, 1, generator), `along random direction ${d}`);
      }
    }
    return true;
  });
}

function checkInputs(inputs: readonly Tensor[]): void {
  for (const [i, x] of inputs.entries()) {
    x.checkAlive("gradcheck");
    if (!x.requiresGrad || x.dtype === "float64") continue;
    throw new ValueError(
      `gradcheck: input ${i} is ${x.describe()} on device "${x.device}"; expected float64, as difference ` +
        'quotients lose half of the digits (device "reference" has it)',
    );
  }
  if (!inputs.some((x) => x.requiresGrad)) {
    throw new ValueError(
      `gradcheck: none of the ${inputs.length} inputs requires a gradient; expected at least one ` +
        "(make it with { requiresGrad: true })",
    );
  }
}

function listed(result: Tensor | readonly Tensor[]): readonly Tensor[] {
  return Array.isArray(result) ? result : [result as Tensor];
}

const valuesOf = (outputs: readonly Tensor[]): Values[] =>
  outputs.map((y) => (isFloat(y.dtype) ? Float64Array.from(y.dataSync()) : new Float64Array(0)));

function uniform(size: number, low: number, high: number, generator: Generator): Values {
  const values = new Float64Array(size);
  fillUniform(values, generator, low, high);
  return values;
}

/** Values, weights and gradients, by the tape. An input that the outputs do not reach has zeros. */
function differentiate(
  fn: Differentiable,
  inputs: readonly Tensor[],
  generator: Generator,
): { outputs: Values[]; weights: Values[]; grads: (Values | null)[] } {
  return withRecording(true, () => {
    const leaves = inputs.map((x) => {
      const leaf = x.detach();
      leaf.requiresGrad = x.requiresGrad;
      return leaf;
    });
    const results = listed(fn(...leaves));
    const outputs = valuesOf(results);
    const weights = outputs.map((y) => uniform(y.length, 0.5, 1.5, generator));
    for (const [i, y] of results.entries()) {
      if (!y.requiresGrad) continue;
      const weight = fromData(y.backend, weights[i], y.shape, y.dtype, "weights");
      backward(y, weight, { retainGraph: true });
    }
    const grads = leaves.map((x) => {
      if (!x.requiresGrad) return null;
      const values = x.grad === null ? new Float64Array(x.size) : x.grad.dataSync();
      const copy = Float64Array.from(values);
      x.grad?.dispose();
      return copy;
    });
    return { outputs, weights, grads };
  });
}

interface Move {
  input: number;
  direction: Values;
  step: number;
}

/** The outputs at dense copies of the checked inputs, one of them moved. */
function evaluate(
  fn: Differentiable,
  inputs: readonly Tensor[],
  at: readonly (Values | null)[],
  move?: Move,
): Values[] {
  return runScoped("gradcheck", () =>
    withRecording(false, () => {
      const copies = inputs.map((x, i) => {
        const values = at[i];
        if (values === null) return x;
        const here =
          move?.input === i ? values.map((v, k) => v + move.step * move.direction[k]) : values;
        return fromData(x.backend, here, x.shape, "float64", "copy");
      });
      return valuesOf(listed(fn(...copies)));
    }),
  );
}

function checkDeterministic(first: readonly Values[], second: readonly Values[]): void {
  for (const [i, values] of first.entries()) {
    const differs = values.findIndex((value, k) => {
      const again = second[i][k];
      return (
        !Object.is(value, again) &&
        !(Math.abs(value - again) <= 1e-9 * Math.max(1, Math.abs(value)))
      );
    });
    if (differs < 0) continue;
    throw new ValueError(
      `gradcheck: fn gives ${values[differs]} for element ${differs} of output ${i} and, run again on a dense copy ` +
        `of the same input, ${second[i][differs]}; expected the same (draw random numbers from a new Generator inside fn)`,
    );
  }
}

/** The slope of sum(w * y), from differences of the elements: sums would lose digits. */
function quotient(
  above: readonly Values[],
  below: readonly Values[],
  weights: readonly Values[],
  eps: number,
): number {
  let slope = 0;
  for (const [i, weight] of weights.entries()) {
    for (let k = 0; k < weight.length; k++) slope += weight[k] * (above[i][k] - below[i][k]);
  }
  return slope / (2 * eps);
}

function dot(a: Values, b: Values): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** The index of element `k` in row-major order. */
function placeOf(k: number, shape: readonly number[]): number[] {
  const place = [...shape];
  for (let d = shape.length - 1; d >= 0; d--) {
    place[d] = k % shape[d];
    k = Math.floor(k / shape[d]);
  }
  return place;
}
