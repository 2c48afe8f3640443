/** Transposed convolution: the adjoint of conv2d, run by the kernels of its gradients. */
import { gradientOf } from "../autograd.ts";
import { ShapeError, ValueError } from "../errors.ts";
import type { Op } from "../op.ts";
import { defineOp, run, runInPlace } from "../op.ts";
import { formatShape, sameShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { checkDType } from "../tensor.ts";
import { add } from "./arithmetic.ts";
import { reshape } from "./broadcast.ts";
import type { ConvAttrs, ConvOptions, Pair } from "./conv.ts";
import { conv2dOp, gradInputOp, gradWeightKernel, pairOf, wholeOf } from "./conv.ts";
import { withBatch } from "./conv-padding.ts";
import { squeeze, unsqueeze } from "./movement.ts";

export interface ConvTransposeOptions extends Omit<ConvOptions, "padding"> {
  /** What a convolution back would pad by: taken away on each side. Default 0. */
  padding?: number | Pair;
  /**
   * Rows and columns added at the bottom and the right of the result; less than stride or dilation.
   * Default 0.
   */
  outputPadding?: number | Pair;
}

type TransposeAttrs = ConvAttrs & { xShape: readonly number[] };

const convTranspose2dOp: Op<TransposeAttrs> = defineOp<TransposeAttrs>({
  ...gradInputOp,
  name: "convTranspose2d",
  saves: [0, 1],
  vjp: (dy, context, attrs) => {
    const [x, w] = context.saved;
    const dx = context.needs(0)
      ? run(transposeGradOp, [dy, w], { ...attrs, xShape: x.shape })
      : null;
    const dw = context.needs(1) ? gradientOf(context, 1) : null;
    if (dw !== null) runInPlace(gradWeightKernel, [dy, x], [dw], attrs);
    return [dx, dw];
  },
});

/** conv2d with the result's extents given: output padding may leave room for more windows. */
const transposeGradOp = defineOp<TransposeAttrs>({
  ...conv2dOp,
  name: "convTranspose2dGrad",
  gradient: true,
  shape: (_inputs, { xShape }) => xShape,
  saves: undefined,
  vjp: undefined,
});

/**
 * Transposed convolution as torch.nn.functional.conv_transpose2d: x [n, c, h, w], weight
 * [c, o/groups, kh, kw], bias [o] → [n, o, oh, ow] with
 * oh = (h - 1)·stride - 2·padding + dilation·(kh - 1) + outputPadding + 1. A single x [c, h, w] gives [o, oh, ow].
 */
export function convTranspose2d(
  x: Tensor,
  weight: Tensor,
  bias?: Tensor | null,
  options: ConvTransposeOptions = {},
): Tensor {
  const op = "convTranspose2d";
  const attrs: ConvAttrs = {
    stride: pairOf(op, "stride", options.stride, 1, 1),
    padding: pairOf(op, "padding", options.padding, 0, 0),
    dilation: pairOf(op, "dilation", options.dilation, 1, 1),
    groups: options.groups ?? 1,
  };
  const extra = pairOf(op, "outputPadding", options.outputPadding, 0, 0);
  checkInputs(op, 2, x, weight, bias ?? null, attrs);
  return withBatch(x, 4, (x) => transposed(op, x, weight, bias, attrs, extra));
}

export interface ConvTranspose1dOptions {
  /** Default 1. */
  stride?: number;
  /** What a convolution back would pad by: taken away on each side. Default 0. */
  padding?: number;
  /** Columns added at the end of the result; less than stride or dilation. Default 0. */
  outputPadding?: number;
  /** Distance between kernel elements. Default 1. */
  dilation?: number;
  /** Input and output channels are split into this many independent groups. Default 1. */
  groups?: number;
}

/**
 * Transposed convolution as torch.nn.functional.conv_transpose1d, by convTranspose2d on one row: x [n, c, l], weight
 * [c, o/groups, k], bias [o] → [n, o, ol]; ol as there. A single x [c, l] gives [o, ol].
 */
export function convTranspose1d(
  x: Tensor,
  weight: Tensor,
  bias?: Tensor | null,
  options: ConvTranspose1dOptions = {},
): Tensor {
  const op = "convTranspose1d";
  const { stride = 1, padding = 0, outputPadding = 0, dilation = 1, groups = 1 } = options;
  const attrs: ConvAttrs = {
    stride: [1, wholeOf(op, "stride", stride, 1)],
    padding: [0, wholeOf(op, "padding", padding, 0)],
    dilation: [1, wholeOf(op, "dilation", dilation, 1)],
    groups,
  };
  const extra: Pair = [0, wholeOf(op, "outputPadding", outputPadding, 0)];
  checkInputs(op, 1, x, weight, bias ?? null, attrs);
  const row = unsqueeze(weight, 2);
  return withBatch(x, 3, (x) =>
    squeeze(transposed(op, unsqueeze(x, 2), row, bias, attrs, extra), 2),
  );
}

/** x [n, c, h, w] and weight [c, o/groups, kh, kw], which fit each other. */
function transposed(
  op: string,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null | undefined,
  attrs: ConvAttrs,
  extra: Pair,
): Tensor {
  const extents = ([0, 1] as const).map((axis) => {
    const [stride, dilation] = [attrs.stride[axis], attrs.dilation[axis]];
    if (extra[axis] >= Math.max(stride, dilation)) {
      throw new ValueError(
        `${op}: outputPadding is [${String(extra)}]; expected less than stride [${String(attrs.stride)}] or dilation [${String(attrs.dilation)}]`,
      );
    }
    const reach = dilation * (weight.shape[axis + 2] - 1) + 1;
    const extent = (x.shape[axis + 2] - 1) * stride - 2 * attrs.padding[axis] + reach + extra[axis];
    if (extent >= 1) return extent;
    throw new ShapeError(
      `${op}: nothing is left of the ${axis === 0 ? "rows" : "columns"} (input ${formatShape(x.shape)}, ` +
        `weight ${formatShape(weight.shape)}, padding [${String(attrs.padding)}]); use less padding`,
    );
  });
  const outputs = weight.shape[1] * attrs.groups;
  const xShape = [x.shape[0], outputs, ...extents];
  const y = run(convTranspose2dOp, [x, weight], { ...attrs, xShape });
  return bias ? add(y, reshape(bias, [outputs, 1, 1])) : y;
}

function checkInputs(
  op: string,
  axes: 1 | 2,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  { groups }: ConvAttrs,
): void {
  if (weight.ndim !== axes + 2 || (x.ndim !== axes + 2 && x.ndim !== axes + 1)) {
    const expected =
      axes === 1
        ? "[n, c, l] or [c, l], and [c, o/groups, k]"
        : "[n, c, h, w] or [c, h, w], and [c, o/groups, kh, kw]";
    throw new ShapeError(
      `${op}: input ${formatShape(x.shape)} and weight ${formatShape(weight.shape)}; expected ${expected}`,
    );
  }
  const channels = x.shape[x.ndim - axes - 1];
  if (channels !== weight.shape[0]) {
    throw new ShapeError(
      `${op}: input ${formatShape(x.shape)} has ${channels} channels; weight ${formatShape(weight.shape)} expects ${weight.shape[0]}`,
    );
  }
  if (!Number.isInteger(groups) || groups < 1 || weight.shape[0] % groups !== 0) {
    throw new ValueError(
      `${op}: groups is ${groups}; expected a whole number from 1 up that divides the ${weight.shape[0]} input channels`,
    );
  }
  const outputs = weight.shape[1] * groups;
  if (bias && !sameShape(bias.shape, [outputs])) {
    throw new ShapeError(
      `${op}: bias has the shape ${formatShape(bias.shape)}; expected [${outputs}], one number per output channel`,
    );
  }
  checkDType(op, x, ["float32", "float64"]);
  checkDType(op, weight, [x.dtype]);
}
