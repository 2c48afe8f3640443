/** Convolutions of few channels and filters a group, and their gradients of the input: conv-window.ts says why. */
import type { View } from "../../backend.ts";
import type { Runtime } from "../runtime.ts";
import type { Geometry } from "./conv-geometry.ts";
import type { Window } from "./conv-window.ts";
import { keyOf, load, loads, met, outputWindow, pixelWindow, range } from "./conv-window.ts";
import { finishOf } from "./product-code.ts";
import type { Activation } from "./product.ts";

/** Planes of a group, each from all planes of the same group of another array. */
interface Slide {
  readonly key: string;
  readonly x: View;
  readonly weight: View;
  readonly y: View;
  readonly window: Window;
  /** Planes of a group there and here. */
  readonly from: number;
  readonly to: number;
  /** Where the weights of target plane `to` and source plane `from` begin, in kernels. */
  readonly kernelAt: (to: string, from: string) => string;
  /** Statements that declare `at`, the source's row for `row` and `tap_row`, or continue where there is none. */
  readonly rowOf: string;
  readonly bias?: View;
  readonly activation?: Activation | null;
}

function slide(rt: Runtime, geometry: Geometry, work: Slide): void {
  const { x, weight, y, window, from, to, bias, activation = null } = work;
  const [kh, kw] = geometry.kernel;
  const { block, step, meetings } = window;
  const [images, , rows, columns] = y.shape;
  const [, , height, width] = x.shape;
  const blocks = Math.ceil(columns / block);
  const wide = block === 4 && columns % 4 === 0 && y.offset % 4 === 0;
  const value = (plane: number, k: number): string =>
    `finish(sum${plane}_${k}, number % p.groups, ${plane}u, 0u)`;
  rt.run({
    key: `${work.key} ${keyOf(geometry)} ${activation?.activation ?? ""}`,
    reads: { x, weight, ...(bias === undefined ? {} : { bias }) },
    writes: { y },
    wide: wide ? ["y"] : [],
    u32: { groups: geometry.groups, height, width, rows, columns, blocks },
    ...(activation === null ? {} : { f32: { slope: activation.slope } }),
    items: images * geometry.groups * rows * blocks,
    code: () => ({
      outside: `${load}
${finishOf({
  ...(bias === undefined ? {} : { bias: `bias[p.bias_at + batch * ${to}u + row]` }),
  activation,
})}`,
      body: `  let block = i % p.blocks;
  let row = i / p.blocks % p.rows;
  let number = i / p.blocks / p.rows;
  let kernels = number % p.groups * ${geometry.filters * geometry.channels}u;
  let column = block * ${step}u;
${range(to)
  .flatMap((plane) => range(block).map((k) => `  var sum${plane}_${k} = 0.0;`))
  .join("\n")}
  for (var plane = 0u; plane < ${from}u; plane++) {
    for (var tap_row = 0u; tap_row < ${kh}u; tap_row++) {
      ${work.rowOf}
      let line = p.x_at + ((number * ${from}u + plane) * p.height + at) * p.width;
${loads(window)}
${range(to)
  .map((plane) => {
    const begin = `(kernels + ${work.kernelAt(`${plane}u`, "plane")}) * ${kh * kw}u`;
    return `      let taps${plane} = p.weight_at + ${begin} + tap_row * ${kw}u;
${range(kw)
  .map((tap) => {
    const own = meetings.filter((meeting) => meeting.tap === tap);
    const sums = own.map(({ to, offset }) => {
      const name = `sum${plane}_${to}`;
      return `      ${name} = fma(weight${plane}_${tap}, ${met(offset)}, ${name});`;
    });
    return `      let weight${plane}_${tap} = weight[taps${plane} + ${tap}u];\n${sums.join("\n")}`;
  })
  .join("\n")}`;
  })
  .join("\n")}
    }
  }
${range(to)
  .map((plane) => {
    const line = `((number * ${to}u + ${plane}u) * p.rows + row) * p.columns`;
    const begin = `p.y_at + ${line} + block * ${block}u`;
    if (wide) {
      const values = range(4).map((k) => value(plane, k));
      return `  y[p.y_at + (${line}) / 4u + block] = vec4f(${values.join(", ")});`;
    }
    return range(block)
      .map(
        (k) =>
          `  if (block * ${block}u + ${k}u < p.columns) { y[${begin} + ${k}u] = ${value(plane, k)}; }`,
      )
      .join("\n");
  })
  .join("\n")}`,
    }),
  });
}

/** x, weight, bias? → y */
export function directForward(
  rt: Runtime,
  geometry: Geometry,
  { x, weight, bias }: { x: View; weight: View; bias?: View },
  y: View,
  activation: Activation | null,
): void {
  const { channels, filters, stride, padding, dilation } = geometry;
  slide(rt, geometry, {
    key: "conv2d direct",
    x,
    weight,
    y,
    window: outputWindow(geometry),
    from: channels,
    to: filters,
    kernelAt: (filter, channel) => `${filter} * ${channels}u + ${channel}`,
    rowOf: `let at = row * ${stride[0]}u + tap_row * ${dilation[0]}u - ${padding[0]}u;
      if (at >= p.height) { continue; }`,
    bias,
    activation,
  });
}

/** dy, weight → dx */
export function directGradInput(
  rt: Runtime,
  geometry: Geometry,
  dy: View,
  weight: View,
  dx: View,
): void {
  const { channels, filters, stride, padding, dilation } = geometry;
  slide(rt, geometry, {
    key: "conv2dGradInput direct",
    x: dy,
    weight,
    y: dx,
    window: pixelWindow(geometry),
    from: filters,
    to: channels,
    kernelAt: (channel, filter) => `${filter} * ${channels}u + ${channel}`,
    rowOf: `let reach = row + ${padding[0]}u - tap_row * ${dilation[0]}u;
      let at = reach / ${stride[0]}u;
      if (reach % ${stride[0]}u != 0u || at >= p.height) { continue; }`,
  });
}
