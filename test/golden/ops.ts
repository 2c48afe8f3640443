/** Plays golden/1 operation cases: forward values and gradients of sum(output * grad_output). */
import type { DeviceName } from "../../src/index.ts";
import type { FloatType, GoldenArray, JsonNumbers } from "../../src/vectors/format.ts";
import { toNumbers } from "../../src/vectors/format.ts";
import type { Differentiation, OperationCase } from "../../src/vectors/operation-run.ts";
import { operationOf, runOperation } from "../../src/vectors/operation-run.ts";
import { runLater, runNow } from "../../src/vectors/reads.ts";
import type { Outcome } from "./compare.ts";
import { attempt, Comparison, deviceFor, largestMagnitude, relativeError } from "./compare.ts";

const exactFamilies = new Set(["shape"]);
/** Cases with wider tolerances, golden README section 5: [forward, gradients]. */
const wider: Record<FloatType, [pattern: RegExp, forward: number | null, grads: number | null][]> =
  {
    float64: [
      [/layer_norm_large_offset/, 1e-11, null],
      [/cross_entropy_extreme_logits|layer_norm_constant_row|logsumexp_large/, null, 1e-10],
    ],
    float32: [
      [/layer_norm_large_offset/, 2e-4, null],
      [/layer_norm_size1|layer_norm_large_offset|logsumexp_large/, null, 3e-4],
    ],
  };

function tolerances(
  family: string,
  { name, dtype }: OperationCase,
): { forward: number; grads: number } {
  const result =
    dtype === "float64" ? { forward: 1e-13, grads: 1e-12 } : { forward: 2e-6, grads: 4e-6 };
  if (exactFamilies.has(family)) result.forward = 0;
  for (const [pattern, forward, grads] of wider[dtype]) {
    if (!pattern.test(name)) continue;
    result.forward = forward ?? result.forward;
    result.grads = grads ?? result.grads;
  }
  return result;
}

/** Plays one case of ops/`family`. */
export function playOpCase(
  family: string,
  golden: OperationCase,
  device: DeviceName = deviceFor[golden.dtype],
): Promise<Outcome> {
  return attempt(() => play(family, golden, device));
}

async function play(family: string, golden: OperationCase, device: DeviceName): Promise<Outcome> {
  const operation = operationOf(golden.op);
  const comparison = new Comparison();
  const limits = tolerances(family, golden);
  const several = Array.isArray(golden.output);
  const expected = [golden.output].flat() as GoldenArray[];
  const weights = (several ? golden.grad_output : [golden.grad_output]) as
    | (JsonNumbers | null | undefined)[]
    | undefined;
  const how: Differentiation = {
    differentiated: (i) => (golden.grads?.[i] ?? null) !== null,
    gradOutput: (k) => {
      const values = weights?.[k] ?? null;
      return values === null ? null : toNumbers(values);
    },
  };
  const found = await runLater(device, runOperation(operation, golden, how));
  if (found.outputs.length !== expected.length) {
    comparison.fail(`${found.outputs.length} outputs; expected ${expected.length}`);
    return comparison.outcome();
  }
  // Where PyTorch's build has a quirk, a result that is what the reference defines is right too.
  const sound = golden.quirk ? runNow("reference", runOperation(operation, golden)).outputs : null;
  expected.forEach(({ shape, data }, k) => {
    const output = found.outputs[k];
    const what = `output ${k}`;
    if (output.shape.join() !== shape.join()) {
      comparison.fail(`${what} has the shape [${output.shape}]; expected [${shape}]`);
      return;
    }
    compareArray(comparison, what, output.data, data, golden, limits.forward, sound?.[k].data);
  });
  golden.grads?.forEach((grad, i) => {
    if (grad === null || golden.grads_informative === true) return;
    const plain = { ...golden, compare: undefined };
    compareArray(comparison, `gradient ${i}`, found.grads[i]!, grad, plain, limits.grads);
  });
  return comparison.outcome();
}

function compareArray(
  comparison: Comparison,
  what: string,
  found: ArrayLike<number>,
  data: JsonNumbers,
  { compare, dtype }: OperationCase,
  tolerance: number,
  sound?: ArrayLike<number>,
): void {
  const expected = toNumbers(data);
  if (found.length !== expected.length) {
    comparison.fail(`${what} has ${found.length} elements; expected ${expected.length}`);
    return;
  }
  const relative = compare === "relative";
  const scale = relative ? 0 : Math.max(1, largestMagnitude(expected));
  expected.forEach((value, i) => {
    if (relative && dtype === "float32" && Math.abs(value) < 1e-37) return;
    if (sound !== undefined && relativeError(found[i], sound[i], 1) <= tolerance) return;
    comparison.check(`${what}[${i}]`, found[i], value, scale, tolerance);
  });
}
