/** Linear layers: one operation forward, and one that gives all gradients. */
import type { Kernel, NdArray } from "../backend/backend.ts";
import { gradientOf } from "../autograd.ts";
import { ShapeError } from "../errors.ts";
import { defineOp, run, runInPlace } from "../op.ts";
import { formatShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { checkDType } from "../tensor.ts";
import { reshape } from "./broadcast.ts";
import { none } from "./common.ts";
import type { EpilogueOptions } from "./epilogue.ts";
import { epilogueOf, withEpilogue } from "./epilogue.ts";

type Data = NdArray["data"];
/** Between rows, between columns. */
type Steps = readonly [number, number];

/** y [m, n] = Σ_p a[i, p] · b[p, j] for p = 0 … k − 1, in this order. */
function product(y: Data, a: Data, aSteps: Steps, b: Data, bSteps: Steps, k: number, n: number) {
  for (let row = 0; row * n < y.length; row++) {
    const total = y.subarray(row * n, (row + 1) * n);
    total.fill(0);
    for (let p = 0; p < k; p++) {
      const factor = a[row * aSteps[0] + p * aSteps[1]];
      for (let j = 0; j < n; j++) total[j] += factor * b[p * bSteps[0] + j * bSteps[1]];
    }
  }
}

/** Which gradients are asked for: the outputs, in this order. */
interface GradAttrs {
  dx: boolean;
  dweight: boolean;
  dbias: boolean;
}

/** x [m, k], weight [n, k], dy [m, n] → dx = dy · weight, dweight = dyᵀ · x, dbias = dy's columns summed. */
const linearGradKernel: Kernel = {
  name: "linearGrad",
  kind: "linearGrad",
  wasm: "gemm",
  reference: (
    [x, weight, dy]: readonly NdArray[],
    outputs: readonly NdArray[],
    { dx, dweight, dbias }: GradAttrs,
  ) => {
    const [n, k] = weight.shape;
    const [m] = x.shape;
    let next = 0;
    if (dx) product(outputs[next++].data, dy.data, [n, 1], weight.data, [k, 1], n, k);
    if (dweight) product(outputs[next++].data, dy.data, [1, n], x.data, [k, 1], m, k);
    if (!dbias) return;
    const total = outputs[next].data.fill(0);
    for (let i = 0; i < m * n; i++) total[i % n] += dy.data[i];
  },
};

/** x [m, k] · weightᵀ + bias: weight [n, k], bias [n] → [m, n]. */
const linearOp = defineOp({
  name: "linear",
  kind: "linear",
  wasm: "gemm",
  reference: ([x, weight, bias]: readonly NdArray[], [y]: readonly NdArray[]) => {
    const [n, k] = weight.shape;
    product(y.data, x.data, [k, 1], weight.data, [1, k], k, n);
    if (bias === undefined) return;
    for (let i = 0; i < y.data.length; i++) y.data[i] += bias.data[i % n];
  },
  shape: ([x, weight]) => [x.shape[0], weight.shape[0]],
  saves: [0, 1],
  vjp: (dy, context) => {
    const [x, weight] = context.saved;
    const dx = context.needs(0) ? gradientOf(context, 0) : null;
    const dweight = context.needs(1) ? gradientOf(context, 1) : null;
    const hasBias = context.inputs.length > 2 && context.needs(2);
    const dbias = hasBias ? gradientOf(context, 2) : null;
    const outputs: Tensor[] = [];
    if (dx !== null) outputs.push(dx);
    if (dweight !== null) outputs.push(dweight);
    if (dbias !== null) outputs.push(dbias);
    runInPlace(linearGradKernel, [x, weight, dy], outputs, {
      dx: dx !== null,
      dweight: dweight !== null,
      dbias: dbias !== null,
    });
    return [dx, dweight, dbias];
  },
});

/** As above, and an activation. */
const activatedOp = withEpilogue(linearOp);

/**
 * x · weightᵀ + bias: [..., in] → [..., out] with weight [out, in] and bias [out], as
 * torch.nn.functional.linear. Bias and `options.activation` are applied inside the product.
 */
export function linear(
  x: Tensor,
  weight: Tensor,
  bias?: Tensor | null,
  options: EpilogueOptions = {},
): Tensor {
  if (weight.ndim !== 2 || x.ndim === 0 || x.shape[x.ndim - 1] !== weight.shape[1]) {
    throw new ShapeError(
      `linear: input ${formatShape(x.shape)} and weight ${formatShape(weight.shape)}; expected [..., in] and [out, in]`,
    );
  }
  if (bias && !(bias.ndim === 1 && bias.shape[0] === weight.shape[0])) {
    throw new ShapeError(
      `linear: bias has the shape ${formatShape(bias.shape)}; expected [${weight.shape[0]}], one number per output`,
    );
  }
  checkDType("linear", x, ["float32", "float64"]);
  const epilogue = epilogueOf("linear", options);
  if (x.ndim !== 2) {
    const lead = x.shape.slice(0, -1);
    const rows = lead.reduce((product, extent) => product * extent, 1);
    const y = apply(reshape(x, [rows, weight.shape[1]]), weight, bias, epilogue);
    return reshape(y, [...lead, weight.shape[0]]);
  }
  return apply(x, weight, bias, epilogue);
}

/** `linear` of checked inputs, x with two dimensions. */
function apply(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null | undefined,
  epilogue: ReturnType<typeof epilogueOf>,
): Tensor {
  const inputs = bias ? [x, weight, bias] : [x, weight];
  return epilogue === null ? run(linearOp, inputs, none) : run(activatedOp, inputs, epilogue);
}
