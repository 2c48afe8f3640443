/** Convolutions, pools and images in other sizes. */
import * as rl from "../../../src/index.ts";
import type { Tensor } from "../../../src/index.ts";
import type { Node, Operators } from "../node.ts";
import { NotApplicable } from "../node.ts";
import type { Pair } from "./window.ts";
import { asImage, bordered, explicit, pairs, symmetric, windowsOf } from "./window.ts";

/** A result over rows and columns has the rank of the node's input again. */
function like(node: Node, y: Tensor): Tensor {
  return node.x().ndim === 3 ? rl.squeeze(y, 2) : y;
}

/** Borders that differ from side to side are added before. */
function conv(node: Node): Tensor {
  const [x, weight] = [asImage(node, node.x()), asImage(node, node.x(1))];
  const windows = windowsOf(node, x, weight.shape.slice(2) as Pair);
  const even = symmetric(windows, false);
  const input = even ? x : bordered(x, windows, 0);
  const { stride, dilation, before } = windows;
  const groups = node.number("group", 1);
  const padding: Pair = even ? before : [0, 0];
  return like(node, rl.conv2d(input, weight, node.given(2), { stride, dilation, padding, groups }));
}

/**
 * The whole transposed convolution, of which pads cut off and output_padding adds; output_shape asks for
 * an extent instead.
 */
function convTranspose(node: Node): Tensor {
  const [x, weight] = [asImage(node, node.x()), asImage(node, node.x(1))];
  const stride = pairs(node, "strides", 1) ?? [1, 1];
  const dilation = pairs(node, "dilations", 1) ?? [1, 1];
  const outputPadding = pairs(node, "output_padding", 0) ?? [0, 0];
  const groups = node.number("group", 1);
  const options = { stride, dilation, outputPadding, groups };
  const whole = rl.convTranspose2d(x, weight, node.given(2), options);
  const mode = node.text("auto_pad", "NOTSET");
  const wanted = mode.startsWith("SAME")
    ? ([x.shape[2] * stride[0], x.shape[3] * stride[1]] as Pair)
    : pairs(node, "output_shape", 1);
  const [before, after] = wanted === null ? explicit(node) : shares(whole, wanted, mode);
  return like(node, rl.pad(whole, [-before[1], -after[1], -before[0], -after[0]]));
}

/** What to cut off at the beginnings and the ends, so that an extent is left; odd at the end, or not. */
function shares(whole: Tensor, wanted: Pair, mode: string): [Pair, Pair] {
  const totals = wanted.map((n, d) => whole.shape[d + 2] - n);
  const less = totals.map((total) => Math.floor(total / 2)) as Pair;
  const more = totals.map((total) => Math.ceil(total / 2)) as Pair;
  return mode === "SAME_UPPER" ? [less, more] : [more, less];
}

function maxPool(node: Node): Tensor | Tensor[] {
  const x = asImage(node, node.x());
  const windows = windowsOf(node, x, [1, 1]);
  const even = symmetric(windows, true);
  const input = even ? x : bordered(x, windows, -Infinity);
  const { kernel, stride, dilation, before } = windows;
  const padding: Pair = even ? before : [0, 0];
  const ceilMode = node.number("ceil_mode", 0) === 1;
  const options = { stride, dilation, padding, ceilMode };
  if (node.outputCount === 1) return like(node, rl.maxPool2d(input, kernel, options));
  if (!even || node.x().ndim !== 4) throw new NotApplicable("indices of a border added before");
  const { values, indices } = rl.maxPool2dWithIndices(input, kernel, options);
  return [values, places(indices, x, node.number("storage_order", 0) === 1)];
}

/** Of each channel: from places row by row to places in the whole tensor, by columns if so asked. */
function places(indices: Tensor, x: Tensor, byColumns: boolean): Tensor {
  const [n, c, h, w] = x.shape;
  const column = rl.remainder(indices, w);
  const row = rl.trunc(rl.div(indices, w)).to("int32");
  const inside = byColumns ? rl.add(rl.mul(column, h), row) : indices;
  return rl.add(inside, rl.mul(rl.reshape(rl.arange(n * c), [n, c, 1, 1]), h * w));
}

/** Places are in the whole tensor, of the standard size; a larger one asked for has zeros behind. */
function maxUnpool(node: Node): Tensor {
  const [x, indices] = [node.x(), node.x(1)];
  const [n, c, oh, ow] = x.shape;
  const kernel = pairs(node, "kernel_shape", 1)!;
  const stride = pairs(node, "strides", 1) ?? [1, 1];
  const [h, w] = [(oh - 1) * stride[0] + kernel[0], (ow - 1) * stride[1] + kernel[1]];
  const first = rl.mul(rl.reshape(rl.arange(n * c), [n, c, 1, 1]), h * w);
  const y = rl.maxUnpool2d(x, rl.sub(indices, first), kernel, { stride });
  const wanted = node.values(2)?.slice(2) ?? [h, w];
  return rl.pad(y, [0, wanted[1] - w, 0, wanted[0] - h]);
}

/** Where avgPool2d cannot have the border: means of x and of ones with it, divided. */
function averagePool(node: Node): Tensor {
  const x = asImage(node, node.x());
  const windows = windowsOf(node, x, [1, 1]);
  const { kernel, stride, before } = windows;
  const ceilMode = node.number("ceil_mode", 0) === 1;
  const countIncludePad = node.number("count_include_pad", 0) === 1;
  if (symmetric(windows, true)) {
    const options = { stride, padding: before, ceilMode, countIncludePad };
    return like(node, rl.avgPool2d(x, kernel, options));
  }
  const means = (input: Tensor): Tensor =>
    rl.avgPool2d(bordered(input, windows, 0), kernel, { stride, ceilMode });
  return like(node, countIncludePad ? means(x) : rl.div(means(x), means(rl.onesLike(x))));
}

/** x / (bias + alpha / size · Σ x² over neighbouring channels)^beta */
function localResponse(node: Node): Tensor {
  const x = node.x();
  const [n, c, ...rest] = x.shape;
  const size = node.number("size", 1);
  const columns = rl.reshape(rl.square(x), [
    n,
    1,
    c,
    rest.reduce((all, extent) => all * extent, 1),
  ]);
  const wide = rl.pad(columns, [0, 0, Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)]);
  const means = rl.reshape(rl.avgPool2d(wide, [size, 1], { stride: 1 }), x.shape);
  const scaled = rl.add(rl.mul(means, node.number("alpha", 0.0001)), node.number("bias", 1));
  return rl.div(x, rl.pow(scaled, node.number("beta", 0.75)));
}

/** Scales (of all dimensions), or sizes; those of batch and channels must leave them alone. */
function resize(node: Node): Tensor {
  const x = node.x();
  const scalesAt = node.op === "Upsample" ? 1 : 2;
  const scales = node.values(scalesAt)?.slice(2) ?? [];
  const sizes = node.values(scalesAt + 1)?.slice(2) ?? [];
  const [h, w] = x.shape.slice(2);
  const given = scales.length > 0;
  const target: Pair = given
    ? [Math.floor(h * scales[0]), Math.floor(w * scales[1])]
    : [sizes[0], sizes[1]];
  const factors: Pair = given ? [scales[0], scales[1]] : [target[0] / h, target[1] / w];
  const mode = node.text("mode", "nearest");
  const standard = node.op === "Upsample" ? "asymmetric" : "half_pixel";
  const transform = node.text("coordinate_transformation_mode", standard);
  if (mode === "nearest") {
    const rounding = node.text(
      "nearest_mode",
      node.op === "Upsample" ? "floor" : "round_prefer_floor",
    );
    const rule = nearestRule([h, w], target, factors, transform, rounding);
    return rl.upsample(x, { ...(given ? { scaleFactor: factors } : { size: target }), mode: rule });
  } else if (!/^(align_corners|(pytorch_)?half_pixel)$/.test(transform)) {
    throw new NotApplicable(`upsample has no ${mode} with ${transform}`);
  }
  const a = node.number("cubic_coeff_a", -0.75);
  if (a !== -0.75) throw new NotApplicable(`upsample's cubic has the coefficient -0.75, not ${a}`);
  const corners = transform === "align_corners";
  if (corners && given && factors.some((factor, d) => target[d] !== factor * x.shape[d + 2])) {
    throw new NotApplicable("align_corners with an extent that is not whole, which ONNX keeps");
  }
  if (transform === "pytorch_half_pixel" && target.includes(1)) {
    throw new NotApplicable("an extent of 1 from the first pixel, as in PyTorch of old");
  }
  const extent = given ? { scaleFactor: factors } : { size: target };
  const smooth = mode === "cubic" ? "bicubic" : "bilinear";
  return rl.upsample(x, { ...extent, mode: smooth, alignCorners: corners });
}

const roundings: Record<string, (at: number) => number> = {
  floor: Math.floor,
  ceil: Math.ceil,
  round_prefer_floor: (at) => Math.ceil(at - 0.5),
  round_prefer_ceil: (at) => Math.floor(at + 0.5),
};

/** Two of upsample's modes take one pixel; ONNX has many rules, which must come to the same ones. */
function nearestRule(
  from: Pair,
  to: Pair,
  factors: Pair,
  transform: string,
  rounding: string,
): "nearest" | "nearest-exact" {
  const pixel = (at: number, n: number): number => Math.min(Math.max(at, 0), n - 1);
  const source = (j: number, d: number): number => {
    if (transform === "asymmetric") return j / factors[d];
    if (transform === "align_corners") return (j * (from[d] - 1)) / (to[d] - 1);
    return (j + 0.5) / factors[d] - (transform === "tf_half_pixel_for_nn" ? 0 : 0.5);
  };
  const agrees = (offset: number): boolean =>
    from.every((n, d) =>
      Array.from({ length: to[d] }, (_, j) => j).every(
        (j) =>
          pixel(roundings[rounding](source(j, d)), n) ===
          pixel(Math.floor((j + offset) / factors[d]), n),
      ),
    );
  if (agrees(0)) return "nearest";
  if (agrees(0.5)) return "nearest-exact";
  throw new NotApplicable(`upsample takes other pixels than ${transform} with ${rounding}`);
}

function gridSample(node: Node): Tensor {
  return rl.gridSample(node.x(), node.x(1), {
    mode: node.text("mode", "bilinear") as "bilinear",
    paddingMode: node.text("padding_mode", "zeros") as "zeros",
    alignCorners: node.number("align_corners", 0) === 1,
  });
}

export const image: Operators = {
  AveragePool: averagePool,
  Conv: conv,
  ConvTranspose: convTranspose,
  GridSample: gridSample,
  LRN: localResponse,
  MaxPool: maxPool,
  MaxUnpool: maxUnpool,
  Resize: resize,
  Upsample: resize,
};
