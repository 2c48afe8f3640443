/** Convolution and pooling layers: padding by name and of other kinds, single examples, sizes asked for. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { manualSeed, memory, nn, rand, scope, tensor } from "../../src/index.ts";

const layers = suite("layers: convolution and pooling");

function using<M extends nn.Module>(module: M, f: (module: M) => void): void {
  const before = memory().storages;
  try {
    scope(() => f(module));
  } finally {
    module.dispose();
  }
  assert.ok(memory().storages < before);
}

const numbers = (x: Tensor): number[] => [...x.dataSync()];

layers('"same" has an odd element of padding at the end, as PyTorch does', () => {
  using(new nn.Conv1d(1, 1, 2, { padding: "same", bias: false }), (layer) => {
    layer.weight.copyFrom([1, 10]);
    assert.equal(numbers(layer.forward(tensor([[[1, 2, 3]]]))), [21, 32, 3]);
  });
  using(new nn.Conv1d(1, 1, 4, { padding: "same", bias: false }), (layer) => {
    layer.weight.copyFrom([1, 10, 100, 1000]);
    assert.equal(numbers(layer.forward(tensor([[[1, 2, 3]]]))), [3210, 321, 32]);
  });
  using(new nn.Conv2d(1, 1, [2, 3], { padding: "same", bias: false }), (layer) => {
    layer.weight.copyFrom([1, 2, 3, 40, 50, 60]);
    const y = layer.forward(
      tensor([
        [
          [
            [1, 0],
            [0, 0],
          ],
        ],
      ]),
    );
    assert.equal(y.toArray(), [
      [
        [
          [2, 1],
          [0, 0],
        ],
      ],
    ]);
    const z = layer.forward(
      tensor([
        [
          [
            [0, 0],
            [0, 1],
          ],
        ],
      ]),
    );
    assert.equal(z.toArray(), [
      [
        [
          [60, 50],
          [3, 2],
        ],
      ],
    ]);
  });
});

layers('"valid" is no padding; "same" with dilation keeps the extents', () => {
  using(new nn.Conv2d(2, 3, [3, 4], { padding: "valid" }), (layer) => {
    assert.equal(layer.forward(rand([1, 2, 5, 6])).shape, [1, 3, 3, 3]);
  });
  using(new nn.Conv2d(2, 3, [3, 4], { padding: "same", dilation: [2, 3] }), (layer) => {
    assert.equal(layer.forward(rand([1, 2, 5, 6])).shape, [1, 3, 5, 6]);
  });
});

layers("paddingMode takes the border from the image", () => {
  for (const [paddingMode, expected] of [
    ["zeros", [0, 1, 2, 3, 0]],
    ["reflect", [2, 1, 2, 3, 2]],
    ["replicate", [1, 1, 2, 3, 3]],
    ["circular", [3, 1, 2, 3, 1]],
  ] as const) {
    using(new nn.Conv1d(1, 1, 1, { padding: 1, paddingMode, bias: false }), (layer) => {
      layer.weight.copyFrom([1]);
      assert.equal(numbers(layer.forward(tensor([[[1, 2, 3]]]))), expected);
      assert.equal(numbers(layer.forward(tensor([[1, 2, 3]]))), expected);
    });
  }
  const options = { padding: "same", paddingMode: "circular", bias: false } as const;
  using(new nn.Conv1d(1, 1, 2, options), (layer) => {
    layer.weight.copyFrom([1, 10]);
    assert.equal(numbers(layer.forward(tensor([[[1, 2, 3]]]))), [21, 32, 13]);
  });
  using(new nn.Conv2d(1, 1, [1, 3], { padding: [1, 0], paddingMode: "reflect" }), (layer) => {
    layer.weight.copyFrom([0, 1, 0]);
    layer.bias!.copyFrom([0.5]);
    const y = layer.forward(
      tensor([
        [
          [
            [1, 2, 3],
            [4, 5, 6],
          ],
        ],
      ]),
    );
    assert.equal(y.toArray(), [[[[5.5], [2.5], [5.5], [2.5]]]]);
  });
});

layers("a single example gives what a batch of one gives", () => {
  manualSeed(4);
  const modules: [nn.Layer, number[]][] = [
    [new nn.Conv1d(3, 4, 3), [3, 7]],
    [new nn.Conv2d(3, 4, 3, { padding: "same" }), [3, 7, 6]],
    [new nn.ConvTranspose1d(3, 4, 3, { stride: 2 }), [3, 7]],
    [new nn.ConvTranspose2d(3, 4, 3, { stride: 2 }), [3, 5, 4]],
    [new nn.MaxPool1d(2), [3, 7]],
    [new nn.AvgPool1d(2), [3, 7]],
    [new nn.AdaptiveAvgPool1d(3), [3, 7]],
    [new nn.MaxPool2d(2), [3, 7, 6]],
    [new nn.AvgPool2d(2), [3, 7, 6]],
    [new nn.AdaptiveMaxPool2d([2, 3]), [3, 7, 6]],
    [new nn.AdaptiveAvgPool2d(2), [3, 7, 6]],
  ];
  for (const [module, shape] of modules) {
    scope(() => {
      const x = rand(shape);
      const single = module.forward(x);
      const batch = module.forward(x.unsqueeze(0));
      assert.equal(batch.shape, [1, ...single.shape], module.constructor.name);
      assert.equal(single.dataSync(), batch.dataSync(), module.constructor.name);
    });
    module.dispose();
  }
});

layers("places of maxima are those of a batch of one", () => {
  scope(() => {
    const x = rand([3, 7, 6]);
    const single = rl.maxPool2dWithIndices(x, 2);
    const batch = rl.maxPool2dWithIndices(x.unsqueeze(0), 2);
    assert.equal(single.indices.shape, [3, 3, 3]);
    assert.equal(single.indices.dataSync(), batch.indices.dataSync());
    assert.equal(single.values.dataSync(), rl.maxPool2d(x, 2).dataSync());
  });
});

layers("transposed convolutions give the size that is asked for", () => {
  using(new nn.ConvTranspose2d(1, 1, 3, { stride: [2, 3], padding: 1, bias: false }), (layer) => {
    const x = rand([1, 1, 4, 5]);
    assert.equal(layer.forward(x).shape, [1, 1, 7, 13]);
    for (const size of [
      [7, 13],
      [8, 15],
      [7, 14],
    ] as const) {
      const y = layer.forward(x, size);
      assert.equal(y.shape, [1, 1, ...size]);
      const { stride } = layer.options;
      const outputPadding = [size[0] - 7, size[1] - 13] as const;
      const same = rl.convTranspose2d(x, layer.weight, null, { stride, padding: 1, outputPadding });
      assert.equal(y.dataSync(), same.dataSync());
    }
  });
  using(new nn.ConvTranspose1d(1, 1, 2, { stride: 2, bias: false }), (layer) => {
    layer.weight.copyFrom([1, 10]);
    assert.equal(numbers(layer.forward(tensor([[[1, 2]]]))), [1, 10, 2, 20]);
    assert.equal(numbers(layer.forward(tensor([[[1, 2]]]), 5)), [1, 10, 2, 20, 0]);
  });
});

layers("adaptive maxima are those of PyTorch's windows; NaN wins", () => {
  scope(() => {
    const x = tensor([[[3, 1, 4, 1, 5]]]);
    // Windows [0, 2), [1, 4), [3, 5).
    assert.equal(numbers(rl.adaptiveMaxPool2d(x, [1, 3])), [3, 4, 5]);
    assert.equal(numbers(rl.adaptiveMaxPool2d(x, [1, 7])), [3, 3, 4, 4, 4, 5, 5]);
    const y = rl.adaptiveMaxPool2d(tensor([[[3, NaN, 4, 1, 5]]]), [1, 3]);
    assert.equal(numbers(y), [NaN, NaN, 5]);
    const tied = tensor([[[2, 2, 2, 2, 2]]], { requiresGrad: true });
    rl.adaptiveMaxPool2d(tied, [1, 3]).sum().backward();
    assert.equal(numbers(tied.grad!), [1, 1, 0, 1, 0], "to the first maximum of each window");
  });
});

layers.run();
