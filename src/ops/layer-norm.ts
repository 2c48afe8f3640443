/** Normalisation of each sample by its own statistics: layer, RMS and group normalisation. */
import { pendingOf } from "../autograd.ts";
import type { Kernel, NdArray } from "../backend/backend.ts";
import { ShapeError, ValueError } from "../errors.ts";
import type { Op } from "../op.ts";
import { defineOp, run, runAll } from "../op.ts";
import type { Shape } from "../shape.ts";
import { formatShape, sameShape, sizeOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { checkDType } from "../tensor.ts";
import { add, mul } from "./arithmetic.ts";
import { reshape } from "./broadcast.ts";
import { inputShape } from "./common.ts";

interface RowAttrs {
  /** Neighbours that are normalised together. */
  n: number;
  eps: number;
  /** Subtract the mean? */
  centre: boolean;
  /** There is a residual; in the gradient, a gradient of x from elsewhere that is added. Default false. */
  added?: boolean;
}

/** Mean (0 without centring) and 1 / √(variance + eps) of n neighbours from `at` on. */
function moments(x: NdArray, at: number, { n, eps, centre }: RowAttrs): [number, number] {
  let mean = 0;
  if (centre) for (let k = 0; k < n; k++) mean += x.data[at + k] / n;
  let squares = 0;
  for (let k = 0; k < n; k++) {
    const apart = x.data[at + k] - mean;
    squares += apart * apart;
  }
  return [mean, 1 / Math.sqrt(squares / n + eps)];
}

const kernel: Kernel = {
  name: "layerNorm",
  kind: "layerNorm",
  wasm: "layer_norm",
  reference: (inputs: readonly NdArray[], [y, sum]: readonly NdArray[], attrs: RowAttrs) => {
    let [x, ...others] = inputs;
    if (attrs.added) {
      for (let i = 0; i < x.data.length; i++) sum.data[i] = x.data[i] + others[0].data[i];
      [x, others] = [sum, others.slice(1)];
    }
    const [weight, bias] = others as (NdArray | undefined)[];
    for (let at = 0; at < y.data.length; at += attrs.n) {
      const [mean, scale] = moments(x, at, attrs);
      for (let k = 0; k < attrs.n; k++) {
        const normal = (x.data[at + k] - mean) * scale;
        y.data[at + k] = normal * (weight?.data[k] ?? 1) + (bias?.data[k] ?? 0);
      }
    }
  },
};

const layerNormOp: Op<RowAttrs> = defineOp<RowAttrs>({
  ...kernel,
  shape: inputShape,
  saves: [0],
  vjp: (dy, context, attrs) =>
    gradients(context.saved[0], dy, undefined, pendingOf(context, 0), attrs),
});

/** The same with a weight, and perhaps a bias. */
const affineOp = defineOp<RowAttrs>({
  ...kernel,
  name: "layerNormAffine",
  shape: inputShape,
  saves: [0, 1],
  vjp: (dy, context, attrs) => {
    const [x, weight] = context.saved;
    return gradients(x, dy, weight, pendingOf(context, 0), attrs);
  },
});

/** x, residual, weight?, bias? → the norm of x + residual, and that sum for the gradient. */
const residualOp = defineOp<RowAttrs>({
  ...kernel,
  name: "layerNormResidual",
  shape: inputShape,
  extra: ([x]) => [{ shape: x.shape, dtype: x.dtype }],
  saves: ["extra0", 2],
  vjp: (dy, { saved: [sum, weight] }, { n, eps, centre }) => {
    const [dsum, ...others] = gradients(sum, dy, weight, null, { n, eps, centre });
    return [dsum, dsum, ...others];
  },
});

/** Of what is normalised, `plus` added to it, and of weight and bias, if there is a weight. */
function gradients(
  x: Tensor,
  dy: Tensor,
  weight: Tensor | undefined,
  plus: Tensor | null,
  attrs: RowAttrs,
): Tensor[] {
  const inputs = plus === null ? [x, dy] : [x, dy, plus];
  if (weight !== undefined) inputs.push(weight);
  const given = plus === null ? attrs : { ...attrs, added: true };
  const [dx, ...sums] = runAll(layerNormGradOp, inputs, given);
  return [dx, ...sums.map((sum) => reshape(sum, weight!.shape))];
}

/**
 * x, dy, weight? (with `added` x, dy, plus, weight?) → dx, and with a weight those of weight and bias, [n]: with
 * g = dy·weight, dx = [plus +] scale·(g − mean(g) − normal·mean(g·normal)), dweight = Σ dy·normal and dbias = Σ dy.
 */
const layerNormGradOp = defineOp<RowAttrs>({
  name: "layerNormGrad",
  kind: "layerNormGrad",
  wasm: "layer_norm_grad",
  reference: (
    [x, dy, ...others]: readonly NdArray[],
    [dx, dweight, dbias]: readonly NdArray[],
    attrs: RowAttrs,
  ) => {
    const { n, centre, added = false } = attrs;
    const plus = added ? others[0] : undefined;
    const weight = others[added ? 1 : 0] as NdArray | undefined;
    dweight?.data.fill(0);
    dbias?.data.fill(0);
    for (let at = 0; at < dx.data.length; at += n) {
      const [mean, scale] = moments(x, at, attrs);
      const normal = (k: number): number => (x.data[at + k] - mean) * scale;
      const g = (k: number): number => dy.data[at + k] * (weight?.data[k] ?? 1);
      let shift = 0;
      let slope = 0;
      for (let k = 0; k < n; k++) {
        if (centre) shift += g(k) / n;
        slope += (g(k) * normal(k)) / n;
      }
      for (let k = 0; k < n; k++) {
        dx.data[at + k] = scale * (g(k) - shift - normal(k) * slope) + (plus?.data[at + k] ?? 0);
        if (weight === undefined) continue;
        dweight.data[k] += dy.data[at + k] * normal(k);
        dbias.data[k] += dy.data[at + k];
      }
    }
  },
  shape: inputShape,
  extra: (inputs, { n, added }) => {
    const row = { shape: [n], dtype: inputs[0].dtype };
    return inputs.length > (added ? 3 : 2) ? [row, row] : [];
  },
});

function checkEps(op: string, eps: number): void {
  if (!(eps >= 0)) throw new ValueError(`${op}: eps is ${eps}; expected a number ≥ 0`);
}

/** The dimensions that are normalised together, checked; parameters must have their shape. */
function checkNormalized(
  op: string,
  x: Tensor,
  normalizedShape: number | Shape,
  parameters: Readonly<Record<string, Tensor | null>>,
): Shape {
  checkDType(op, x, ["float32", "float64"]);
  const shape = typeof normalizedShape === "number" ? [normalizedShape] : normalizedShape;
  if (shape.length === 0 || !sameShape(x.shape.slice(-shape.length), shape)) {
    throw new ShapeError(
      `${op}: normalizedShape is ${formatShape(shape)}; expected the last dimensions of ${x.describe()}`,
    );
  }
  for (const [name, parameter] of Object.entries(parameters)) {
    if (parameter === null || sameShape(parameter.shape, shape)) continue;
    throw new ShapeError(
      `${op}: ${name} has the shape ${formatShape(parameter.shape)}; expected normalizedShape, ${formatShape(shape)}`,
    );
  }
  return shape;
}

function checkResidual(op: string, x: Tensor, residual: Tensor): void {
  if (sameShape(x.shape, residual.shape) && x.dtype === residual.dtype) return;
  throw new ShapeError(
    `${op}: residual is ${residual.describe()}; expected the shape and dtype of ${x.describe()}`,
  );
}

/** Runs the record with what parameters there are. */
function normalizeRows(
  x: Tensor,
  residual: Tensor | null,
  weight: Tensor | null,
  bias: Tensor | null,
  attrs: RowAttrs,
): Tensor {
  if (residual !== null) {
    const inputs = [x, residual];
    if (weight !== null) inputs.push(weight);
    if (weight !== null && bias !== null) inputs.push(bias);
    const y = run(residualOp, inputs, { ...attrs, added: true });
    return weight === null && bias !== null ? add(y, bias) : y;
  }
  if (weight !== null) return run(affineOp, bias ? [x, weight, bias] : [x, weight], attrs);
  const y = run(layerNormOp, [x], attrs);
  return bias === null ? y : add(y, bias);
}

export interface LayerNormOptions {
  /** Of x's shape: x + residual is normalised, in one pass. Default: none. */
  residual?: Tensor | null;
  /** γ and β of normalizedShape. Default: 1 and 0. */
  weight?: Tensor | null;
  bias?: Tensor | null;
  /** Added to the variance. Default 1e-5. */
  eps?: number;
}

/**
 * y = (x − mean) / √(variance + eps) · weight + bias, with mean and (biased) variance over the last
 * dimensions, which are `normalizedShape`; any shape (J. L. Ba et al., arXiv 1607.06450;
 * torch.nn.functional.layer_norm). Statistics are computed in two passes, on the cpu in float64.
 */
export function layerNorm(
  x: Tensor,
  normalizedShape: number | Shape,
  options: LayerNormOptions = {},
): Tensor {
  const { residual = null, weight = null, bias = null, eps = 1e-5 } = options;
  const shape = checkNormalized("layerNorm", x, normalizedShape, { weight, bias });
  if (residual !== null) checkResidual("layerNorm", x, residual);
  checkEps("layerNorm", eps);
  return normalizeRows(x, residual, weight, bias, { n: sizeOf(shape), eps, centre: true });
}

export interface RmsNormOptions {
  /** Of x's shape: x + residual is normalised, in one pass. Default: none. */
  residual?: Tensor | null;
  /** γ of normalizedShape. Default: 1. */
  weight?: Tensor | null;
  /** Added to the mean square. Default: the distance from 1 to the next number of x's dtype. */
  eps?: number | null;
}

/**
 * y = x / √(mean(x²) + eps) · weight over the last dimensions, which are `normalizedShape`; any shape
 * (B. Zhang, R. Sennrich, arXiv 1910.07467; torch.nn.functional.rms_norm).
 */
export function rmsNorm(
  x: Tensor,
  normalizedShape: number | Shape,
  options: RmsNormOptions = {},
): Tensor {
  const { residual = null, weight = null } = options;
  const shape = checkNormalized("rmsNorm", x, normalizedShape, { weight });
  if (residual !== null) checkResidual("rmsNorm", x, residual);
  const eps = options.eps ?? (x.dtype === "float64" ? Number.EPSILON : 2 ** -23);
  checkEps("rmsNorm", eps);
  return normalizeRows(x, residual, weight, null, { n: sizeOf(shape), eps, centre: false });
}

export interface GroupNormOptions {
  /** γ and β per channel, [c]. Default: 1 and 0. */
  weight?: Tensor | null;
  bias?: Tensor | null;
  /** Added to the variance. Default 1e-5. */
  eps?: number;
}

/**
 * Layer normalisation of [n, c, ...] over `numGroups` groups of neighbouring channels, then weight and
 * bias per channel (Y. Wu, K. He, arXiv 1803.08494; torch.nn.functional.group_norm). With one group
 * per channel it is instance normalisation.
 */
export function groupNorm(x: Tensor, numGroups: number, options: GroupNormOptions = {}): Tensor {
  const op = "groupNorm";
  const { weight = null, bias = null, eps = 1e-5 } = options;
  checkDType(op, x, ["float32", "float64"]);
  if (x.ndim < 2) throw new ShapeError(`${op}: found ${x.describe()}; expected [n, c, ...]`);
  const c = x.shape[1];
  if (!Number.isInteger(numGroups) || numGroups < 1 || c % numGroups !== 0) {
    throw new ValueError(
      `${op}: numGroups is ${numGroups}; expected a whole number from 1 up that divides the ${c} channels`,
    );
  }
  for (const [name, parameter] of Object.entries({ weight, bias })) {
    if (parameter === null || sameShape(parameter.shape, [c])) continue;
    throw new ShapeError(
      `${op}: ${name} has the shape ${formatShape(parameter.shape)}; expected [${c}], one number per channel`,
    );
  }
  checkEps(op, eps);
  const perChannel = x.shape.slice(1).map((extent, d) => (d === 0 ? extent : 1));
  const n = sizeOf(x.shape.slice(1)) / numGroups;
  let y = normalizeRows(x, null, null, null, { n, eps, centre: true });
  if (weight !== null) y = mul(y, reshape(weight, perChannel));
  return bias === null ? y : add(y, reshape(bias, perChannel));
}
