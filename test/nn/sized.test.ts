/** Conv1d, ConvTranspose2d, LayerNorm, RMSNorm, GroupNorm, resizing layers, losses as modules. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { manualSeed, memory, nn, scope, tensor } from "../../src/index.ts";

const layers = suite("layers: convolutions, norms, sizes, losses");

const shapes = (module: nn.Module): string[] =>
  module.namedParameters().map(([name, x]) => `${name} [${x.shape}]`);

function close(found: Tensor, expected: readonly number[], tolerance = 1e-6): void {
  const values = found.dataSync();
  assert.is(values.length, expected.length);
  expected.forEach((value, i) => {
    assert.ok(Math.abs(values[i] - value) <= tolerance, `[${i}]: ${values[i]}, expected ${value}`);
  });
}

layers("parameters have PyTorch's names and shapes", () => {
  const modules = [
    new nn.Conv1d(4, 6, 3, { groups: 2 }),
    new nn.ConvTranspose2d(4, 6, [3, 2], { groups: 2 }),
    new nn.LayerNorm([3, 4]),
    new nn.LayerNorm(4, { bias: false }),
    new nn.RMSNorm(4),
    new nn.GroupNorm(2, 6),
    new nn.GroupNorm(2, 6, { affine: false }),
  ];
  assert.equal(modules.map(shapes), [
    ["weight [6,2,3]", "bias [6]"],
    ["weight [4,3,3,2]", "bias [6]"],
    ["weight [3,4]", "bias [3,4]"],
    ["weight [4]"],
    ["weight [4]"],
    ["weight [6]", "bias [6]"],
    [],
  ]);
  for (const module of modules) module.dispose();
});

layers("initial weights lie within ±1/√fanIn, PyTorch's fan-in", () => {
  manualSeed(3);
  const conv = new nn.Conv1d(8, 50, 5);
  const transposed = new nn.ConvTranspose2d(50, 8, 5);
  for (const [weight, fanIn] of [
    [conv.weight, 40],
    [conv.bias!, 40],
    [transposed.weight, 200],
    [transposed.bias!, 200],
  ] as const) {
    const largest = Math.max(...weight.dataSync().map(Math.abs));
    const bound = 1 / Math.sqrt(fanIn);
    assert.ok(largest <= bound && largest > 0.6 * bound, `${largest} of ${bound}`);
  }
  conv.dispose();
  transposed.dispose();
});

layers("Conv1d sums neighbours; ConvTranspose2d spreads a pixel", () => {
  const before = memory();
  const conv = new nn.Conv1d(1, 1, 2, { stride: 2, padding: 1 });
  const spread = new nn.ConvTranspose2d(1, 1, 2, { stride: 2, outputPadding: 1, bias: false });
  conv.weight.copyFrom([1, 10]);
  conv.bias!.copyFrom([100]);
  spread.weight.copyFrom([1, 2, 3, 4]);
  scope(() => {
    close(conv.forward(tensor([[[1, 2, 3, 4]]])), [110, 132, 104]);
    const y = spread.forward(tensor([[[[1, 10]]]]));
    assert.equal(y.shape, [1, 1, 3, 5]);
    close(y, [1, 2, 10, 20, 0, 3, 4, 30, 40, 0, 0, 0, 0, 0, 0]);
  });
  conv.dispose();
  spread.dispose();
  assert.is(memory().storages, before.storages);
});

layers("norms give mean 0 and square 1, also far from 0", () => {
  const norm = new nn.LayerNorm(4, { eps: 0 });
  const rms = new nn.RMSNorm(2, { eps: 0 });
  const group = new nn.GroupNorm(1, 2, { eps: 0 });
  norm.weight!.copyFrom([1, 1, 1, 2]);
  norm.bias!.copyFrom([0, 0, 0, 5]);
  group.bias!.copyFrom([0, 7]);
  scope(() => {
    const expected = [-1, 1, -1, 7];
    close(norm.forward(tensor([[1, 3, 1, 3]])), expected);
    close(norm.forward(tensor([[1e6, 1e6 + 1, 1e6, 1e6 + 1]])), expected);
    close(rms.forward(tensor([[3, 3]])), [1, 1]);
    close(group.forward(tensor([[1, 3]])), [-1, 8]);
  });
  for (const module of [norm, rms, group]) module.dispose();
});

layers("AdaptiveAvgPool2d and Upsample", () => {
  scope(() => {
    const x = tensor([
      [
        [
          [1, 2, 3],
          [4, 5, 6],
        ],
      ],
    ]);
    close(new nn.AdaptiveAvgPool2d(1).forward(x), [3.5]);
    close(new nn.AdaptiveAvgPool2d([null, 2]).forward(x), [1.5, 2.5, 4.5, 5.5]);
    const doubled = new nn.Upsample({ scaleFactor: [1, 2] }).forward(x);
    close(doubled, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]);
    const between = new nn.Upsample({ size: [2, 5], mode: "bilinear", alignCorners: true });
    close(between.forward(x), [1, 1.5, 2, 2.5, 3, 4, 4.5, 5, 5.5, 6]);
  });
});

layers("nearest keeps what is infinite to itself", () => {
  scope(() => {
    const x = tensor([[[[1, Infinity, NaN, 2]]]]);
    const y = rl.upsample(x, { size: [2, 4] });
    assert.equal([...y.dataSync()], [1, Infinity, NaN, 2, 1, Infinity, NaN, 2]);
  });
});

layers("nearest-exact takes the pixel whose centre is nearest", () => {
  scope(() => {
    const x = tensor([[[1, 2, 3, 4, 5]]]);
    const take = (mode: "nearest" | "nearest-exact") => [
      ...rl.upsample(x, { size: [1, 3], mode }).dataSync(),
    ];
    assert.equal(take("nearest"), [1, 2, 4]);
    assert.equal(take("nearest-exact"), [1, 3, 5]);
  });
});

layers("losses as modules are the functions", () => {
  scope(() => {
    const x = tensor([0.2, 0.7]);
    const target = tensor([0.5, 0.1]);
    const pairs: [Tensor, Tensor][] = [
      [new nn.MSELoss().forward(x, target), rl.mseLoss(x, target)],
      [
        new nn.L1Loss({ reduction: "sum" }).forward(x, target),
        rl.l1Loss(x, target, { reduction: "sum" }),
      ],
      [
        new nn.SmoothL1Loss({ beta: 0.4 }).forward(x, target),
        rl.smoothL1Loss(x, target, { beta: 0.4 }),
      ],
      [
        new nn.HuberLoss({ delta: 0.4 }).forward(x, target),
        rl.huberLoss(x, target, { delta: 0.4 }),
      ],
      [
        new nn.CrossEntropyLoss().forward(x, rl.tensor(1, { dtype: "int32" })),
        rl.crossEntropy(x, rl.tensor(1, { dtype: "int32" })),
      ],
      [new nn.NLLLoss().forward(x, rl.tensor(1, { dtype: "int32" })), tensor([-0.7])],
      [new nn.BCELoss().forward(x, target), rl.bceLoss(x, target)],
      [new nn.BCEWithLogitsLoss().forward(x, target), rl.bceWithLogitsLoss(x, target)],
      [
        new nn.KLDivLoss({ reduction: "batchmean" }).forward(x, target),
        rl.klDivLoss(x, target, { reduction: "batchmean" }),
      ],
    ];
    for (const [found, expected] of pairs) close(found, [...expected.dataSync()]);
  });
});

layers("bce is bounded at 0 and 1, and so is its gradient", () => {
  scope(() => {
    const x = tensor([0, 1, 0, 1], { requiresGrad: true });
    const losses = rl.bceLoss(x, tensor([0, 1, 1, 0]), { reduction: "none" });
    close(losses, [0, 0, 100, 100]);
    losses.sum().backward();
    const gradient = x.grad!.dataSync();
    assert.equal([...gradient], [0, 0, -1e12, 1e12].map(Math.fround));
    x.grad!.dispose();
  });
});

layers("losses of infinite distance have finite gradients", () => {
  scope(() => {
    const x = tensor([Infinity, -Infinity, 3], { requiresGrad: true });
    rl.huberLoss(x, tensor([0, 0, 3]), { reduction: "sum", delta: 2 }).backward();
    assert.equal([...x.grad!.dataSync()], [2, -2, 0]);
    x.grad!.dispose();
  });
});

layers.run();
