/** Gradients of weights for convolutions of few channels and filters a group. */
import type { View } from "../../backend.ts";
import type { Runtime } from "../runtime.ts";
import type { Geometry } from "./conv-geometry.ts";
import { BLOCK, keyOf, load, loads, met, outputWindow, range } from "./conv-window.ts";
import { reduce, sum } from "./reduce.ts";

/** Workgroups, if there is work for them, and blocks of outputs that each lane of one sums at least. */
const BUSY = 2048;
const SHORTEST = 4;
const LANES = 64;

/**
 * x, dy → dweight. A workgroup sums one row of one kernel, over all outputs of its filter or a part of them; a second
 * dispatch adds the parts.
 */
export function directGradWeight(
  rt: Runtime,
  geometry: Geometry,
  x: View,
  dy: View,
  dweight: View,
): void {
  const { images, groups, channels, filters, kernel, stride, padding, dilation } = geometry;
  const [kh, kw] = kernel;
  const window = outputWindow(geometry);
  const [oh, ow] = geometry.output;
  const blocks = Math.ceil(ow / BLOCK);
  const n = images * oh * blocks;
  const sums = groups * filters * channels * kh;
  const parts = Math.max(1, Math.min(Math.floor(BUSY / sums), Math.floor(n / (SHORTEST * LANES))));
  const y =
    parts === 1
      ? dweight
      : { ...rt.scratch(parts * dweight.size, "float32"), shape: [parts, dweight.size] };
  rt.run({
    key: `conv2dGradWeight direct ${keyOf(geometry)}`,
    reads: { x, dy },
    writes: { y },
    u32: {
      groups,
      height: geometry.image[0],
      width: geometry.image[1],
      rows: oh,
      columns: ow,
      blocks,
      sums,
      n,
      part: Math.ceil(n / parts),
    },
    groups: parts * sums,
    code: () => ({
      outside: load,
      body: `  let tap_row = group % ${kh}u;
  let channel = group / ${kh}u % ${channels}u;
  let filter_number = group % p.sums / ${kh * channels}u;
  let part = group / p.sums;
  let own_group = filter_number / ${filters}u;
${range(kw)
  .map((tap) => `  var own${tap} = 0.0;`)
  .join("\n")}
  for (var k = part * p.part + lane; k < min((part + 1u) * p.part, p.n); k += ${LANES}u) {
    let block = k % p.blocks;
    let row = k / p.blocks % p.rows;
    let image = k / p.blocks / p.rows;
    let at = row * ${stride[0]}u + tap_row * ${dilation[0]}u - ${padding[0]}u;
    if (at < p.height) {
      let plane = (image * p.groups + own_group) * ${channels}u + channel;
      let line = p.x_at + (plane * p.height + at) * p.width;
      let column = block * ${window.step}u;
      let outputs = (image * p.groups * ${filters}u + filter_number) * p.rows + row;
      let first = block * ${BLOCK}u;
      let begin = p.dy_at + outputs * p.columns + first;
${loads(window)}
${range(BLOCK)
  .map(
    (to) => `      var d${to} = 0.0;
      if (first + ${to}u < p.columns) { d${to} = dy[begin + ${to}u]; }`,
  )
  .join("\n")}
${range(kw)
  .map((tap) => {
    const own = window.meetings.filter((meeting) => meeting.tap === tap);
    const total = own.reduce((rest, { to, offset }) => {
      const product = `d${to}, ${met(offset)}`;
      return rest === "" ? product.replace(",", " *") : `fma(${product}, ${rest})`;
    }, "");
    return `      own${tap} += ${total};`;
  })
  .join("\n")}
    }
  }
${range(kw)
  .map((tap) => `  let total${tap} = group_sum(lane, own${tap});`)
  .join("\n")}
  if (lane > 0u) { return; }
  let to = p.y_at + (part * p.sums + group % p.sums) * ${kw}u;
${range(kw)
  .map((tap) => `  y[to + ${tap}u] = total${tap};`)
  .join("\n")}`,
    }),
  });
  if (parts === 1) return;
  const strides = [dweight.size, 1];
  const flat = { ...dweight, shape: [dweight.size], strides: [1] };
  reduce(rt, sum, [{ ...y, strides }], [flat], { dims: [0] });
}
