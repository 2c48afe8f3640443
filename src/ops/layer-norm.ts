/** Normalisation of each sample by its own statistics: layer, RMS and group normalisation. */
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
  reference: (inputs: readonly NdArray[], [y]: readonly NdArray[], attrs: RowAttrs) => {
    const [x, weight, bias] = inputs;
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
  vjp: (dy, { saved: [x] }, attrs) => [run(layerNormGradOp, [x, dy], attrs)],
});

/** The same with a weight, and perhaps a bias. */
const affineOp = defineOp<RowAttrs>({
  ...kernel,
  name: "layerNormAffine",
  shape: inputShape,
  saves: [0, 1],
  vjp: (dy, { saved: [x, weight], inputs }, attrs) => {
    const [dx, dweight, dbias] = runAll(layerNormGradOp, [x, dy, weight], attrs);
    const grads = [dx, reshape(dweight, weight.shape)];
    return inputs.length > 2 ? [...grads, reshape(dbias, weight.shape)] : grads;
  },
});

/**
 * x, dy, weight? → dx, and with a weight those of weight and bias, [n]: with g = dy·weight
 * dx = scale·(g − mean(g) − normal·mean(g·normal)), dweight = Σ dy·normal and dbias = Σ dy.
 */
const layerNormGradOp = defineOp<RowAttrs>({
  name: "layerNormGrad",
  kind: "layerNormGrad",
  wasm: "layer_norm_grad",
  reference: (
    [x, dy, weight]: readonly NdArray[],
    [dx, dweight, dbias]: readonly NdArray[],
    attrs: RowAttrs,
  ) => {
    const { n, centre } = attrs;
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
        dx.data[at + k] = scale * (g(k) - shift - normal(k) * slope);
        if (weight === undefined) continue;
        dweight.data[k] += dy.data[at + k] * normal(k);
        dbias.data[k] += dy.data[at + k];
      }
    }
  },
  shape: inputShape,
  extra: (inputs, { n }) => {
    const row = { shape: [n], dtype: inputs[0].dtype };
    return inputs.length > 2 ? [row, row] : [];
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

/** Runs the record with what parameters there are. */
function normalizeRows(
  x: Tensor,
  weight: Tensor | null,
  bias: Tensor | null,
  attrs: RowAttrs,
): Tensor {
  if (weight !== null) return run(affineOp, bias ? [x, weight, bias] : [x, weight], attrs);
  const y = run(layerNormOp, [x], attrs);
  return bias === null ? y : add(y, bias);
}

export interface LayerNormOptions {
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
  const { weight = null, bias = null, eps = 1e-5 } = options;
  const shape = checkNormalized("layerNorm", x, normalizedShape, { weight, bias });
  checkEps("layerNorm", eps);
  return normalizeRows(x, weight, bias, { n: sizeOf(shape), eps, centre: true });
}

export interface RmsNormOptions {
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
  const { weight = null } = options;
  const shape = checkNormalized("rmsNorm", x, normalizedShape, { weight });
  const eps = options.eps ?? (x.dtype === "float64" ? Number.EPSILON : 2 ** -23);
  checkEps("rmsNorm", eps);
  return normalizeRows(x, weight, null, { n: sizeOf(shape), eps, centre: false });
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
  let y = normalizeRows(x, null, null, { n, eps, centre: true });
  if (weight !== null) y = mul(y, reshape(weight, perChannel));
  return bias === null ? y : add(y, reshape(bias, perChannel));
}
