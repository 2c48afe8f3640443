/** Layers of common nets; forward, gradient of the input, gradient of the weights, each alone. */
import type { Row } from "../row.ts";
import { outputSize } from "../work.ts";
import type { ConvShape } from "../work.ts";

const plain = { stride: 1, padding: 0, groups: 1 };

/** Names say channels, kernel, size of the image, and what is unusual. */
const layers: [name: string, shape: ConvShape][] = [
  ["1-32 3x3 28²", { ...plain, n: 64, c: 1, h: 28, o: 32, k: 3 }],
  ["32-64 3x3 26²", { ...plain, n: 64, c: 32, h: 26, o: 64, k: 3 }],
  ["3-64 7x7 /2 112²", { ...plain, n: 4, c: 3, h: 112, o: 64, k: 7, stride: 2, padding: 3 }],
  ["64-64 3x3 28² pad", { ...plain, n: 8, c: 64, h: 28, o: 64, k: 3, padding: 1 }],
  ["128-128 3x3 14² pad", { ...plain, n: 8, c: 128, h: 14, o: 128, k: 3, padding: 1 }],
  ["64-128 3x3 /2 28²", { ...plain, n: 8, c: 64, h: 28, o: 128, k: 3, stride: 2, padding: 1 }],
  ["64-256 1x1 28²", { ...plain, n: 8, c: 64, h: 28, o: 256, k: 1 }],
  ["96 depthwise 3x3 28²", { ...plain, n: 8, c: 96, h: 28, o: 96, k: 3, padding: 1, groups: 96 }],
];

const passes = { forward: "fwd", data: "dx", weights: "dw" } as const;

function conv(name: string, shape: ConvShape, pass: keyof typeof passes): Row {
  const { n, c, o, k, groups } = shape;
  return {
    section: "conv",
    name: `${name} ${passes[pass]}`,
    work: { kind: "conv", pass, shape },
    unit: "GFLOP/s",
    // Of the direct algorithm, whatever algorithm an engine chooses: Winograd's can pass the peak.
    amount: 2 * n * o * outputSize(shape) ** 2 * (c / groups) * k * k,
    // jax-js needs seconds for each of these: its figures are in the training steps.
    groups: ["roadless", "pytorch", "tfjs"],
    limit: "peak",
  };
}

export const convRows: readonly Row[] = layers.flatMap(([name, shape]) =>
  (["forward", "data", "weights"] as const).map((pass) => conv(name, shape, pass)),
);
