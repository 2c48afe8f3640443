/** Rows of the table (table.ts): convolution and pooling by name, without a batch, along one axis, adaptive. */
import * as rl from "../../src/index.ts";
import type { Row } from "./table.ts";

const same = { padding: "same" } as const;
const distinct = { distinct: true } as const;

export const imageRows: readonly Row[] = [
  {
    op: "conv2d",
    f: (x, w, b) => rl.conv2d(x, w, b, same),
    shapes: [
      [[2, 3, 5, 6], [4, 3, 3, 3], [4]],
      [[2, 3, 5, 6], [4, 3, 2, 4], [4]],
      [[3, 5, 6], [4, 3, 1, 2], [4]],
      [[0, 3, 5, 6], [4, 3, 2, 2], [4]],
    ],
  },
  {
    op: "conv2d",
    f: (x, w, b) => rl.conv1d(x, w, b, { ...same, dilation: 3 }),
    shapes: [
      [[2, 3, 9], [4, 3, 4], [4]],
      [[3, 2], [4, 3, 2], [4]],
    ],
  },
  {
    op: "conv2d",
    f: (x, w, b) => rl.conv2d(x, w, b, { stride: 2, padding: 1 }),
    shapes: [[[3, 5, 6], [4, 3, 3, 3], [4]]],
  },
  {
    op: "convTranspose2d",
    f: (x, w, b) => rl.convTranspose1d(x, w, b, { stride: 3, padding: 1, outputPadding: 2 }),
    shapes: [
      [[2, 3, 7], [3, 4, 5], [4]],
      [[3, 7], [3, 4, 2], [4]],
      [[0, 3, 7], [3, 4, 2], [4]],
    ],
  },
  {
    op: "convTranspose2d",
    f: (x, w) => rl.convTranspose2d(x, w, null, { groups: 2 }),
    shapes: [
      [
        [4, 3, 5],
        [4, 2, 2, 3],
      ],
    ],
  },
  {
    op: "maxPool2d",
    f: (x) => rl.maxPool2d(x, [2, 3], { stride: 1 }),
    shapes: [[[2, 5, 6]]],
    domain: distinct,
  },
  {
    op: "maxPool2d",
    f: (x) => rl.maxPool1d(x, 3, { stride: 2, padding: 1, ceilMode: true }),
    shapes: [[[2, 3, 8]], [[3, 7]], [[0, 2, 5]]],
    domain: distinct,
  },
  {
    op: "avgPool2d",
    f: (x) => rl.avgPool1d(x, 3, { stride: 2, padding: 1, countIncludePad: false }),
    shapes: [[[2, 3, 8]], [[3, 7]], [[0, 2, 5]]],
  },
  {
    op: "avgPool2d",
    f: (x) => rl.avgPool2d(x, 2),
    shapes: [[[3, 5, 6]]],
  },
  {
    op: "resample",
    f: (x) => rl.adaptiveAvgPool1d(x, 5),
    shapes: [[[2, 3, 12]], [[3, 4]]],
  },
  ...([1, 3, [2, 5], [4, null], [7, 9]] as const).map((size): Row => ({
    op: "maxPool2d",
    f: (x) => rl.adaptiveMaxPool2d(x, size),
    shapes: [[[2, 3, 4, 6]], [[1, 5, 7]], [[0, 2, 4, 4]]],
    domain: distinct,
  })),
];
