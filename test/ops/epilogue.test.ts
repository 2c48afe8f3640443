/** Activations inside products and convolutions: the numbers of one operation after the other. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DeviceName, FusedActivation, Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { nn, scope } from "../../src/index.ts";

const epilogue = suite("epilogue");

const slope = 0.3;
const apart: Record<FusedActivation, (x: Tensor) => Tensor> = {
  relu: rl.relu,
  leakyRelu: (x) => rl.leakyRelu(x, slope),
  sigmoid: rl.sigmoid,
  tanh: rl.tanh,
};
const activations = Object.keys(apart) as FusedActivation[];

/** The result and the gradients of f on drawn inputs, those from `from` on. */
function play(
  f: (...inputs: Tensor[]) => Tensor,
  shapes: readonly (readonly number[])[],
  device: DeviceName,
  from: number,
): ArrayLike<number>[] {
  return scope(() => {
    const generator = new rl.Generator(1);
    const inputs = shapes.map((shape, i) => {
      const x = rl.randn(shape, { generator, device });
      x.requiresGrad = i >= from;
      return x;
    });
    const y = f(...inputs);
    y.backward(rl.randn(y.shape, { generator, device }));
    return [y, ...inputs.slice(from).map((x) => x.grad!)].map((x) => x.dataSync());
  });
}

function same(
  what: string,
  fused: (...inputs: Tensor[]) => Tensor,
  unfused: (...inputs: Tensor[]) => Tensor,
  shapes: readonly (readonly number[])[],
  from = 0,
): void {
  for (const device of ["cpu", "reference"] as const) {
    const expected = play(unfused, shapes, device, from);
    play(fused, shapes, device, from).forEach((found, i) => {
      assert.equal(found, expected[i], `${what} ${JSON.stringify(shapes)}, ${device}: ${i}`);
    });
  }
}

epilogue("products: bit for bit, forward and backward", () => {
  for (const activation of activations) {
    for (const [m, k, n] of [
      [3, 4, 5],
      [1, 300, 7], // dot products
      [700, 90, 3],
      [3, 90, 700],
      [130, 400, 120], // panels packed for all threads
      [20, 330, 300],
      [40, 9, 1],
      [0, 3, 4],
    ]) {
      same(
        `linear, ${activation}`,
        (x, w, b) => rl.linear(x, w, b, { activation, negativeSlope: slope }),
        (x, w, b) => apart[activation](rl.linear(x, w, b)),
        [[m, k], [n, k], [n]],
      );
    }
  }
});

epilogue("convolutions: bit for bit, forward and backward", () => {
  for (const activation of activations) {
    for (const [shapes, options] of [
      [[[2, 3, 9, 8], [6, 3, 3, 3], [6]], { padding: 1 }],
      [[[2, 4, 9, 8], [4, 1, 3, 3], [4]], { groups: 4 }], // sums, not products
      [[[2, 4, 19, 18], [6, 2, 5, 3], [6]], { groups: 2, stride: 2 }],
      [[[2, 5, 9, 8], [6, 5, 3, 3], [6]], { padding: 1 }], // a product
      [[[3, 16, 16, 16], [20, 16, 3, 3], [20]], { padding: 1 }], // Winograd
    ] as const) {
      // Where x needs no gradient, that of relu is part of the parameters'.
      for (const from of [0, 1]) {
        same(
          `conv2d, ${activation}, gradients from input ${from} on`,
          (x, w, b) => rl.conv2d(x, w, b, { ...options, activation, negativeSlope: slope }),
          (x, w, b) => apart[activation](rl.conv2d(x, w, b, options)),
          shapes,
          from,
        );
      }
    }
  }
});

epilogue("NaN and infinities pass as through the activation", () => {
  scope(() => {
    const x = rl.tensor([NaN, Infinity, -Infinity, 0, -0, 1], { shape: [6, 1] });
    const one = rl.ones([1, 1]);
    for (const activation of activations) {
      const found = rl.linear(x, one, null, { activation, negativeSlope: slope }).dataSync();
      const expected = apart[activation](rl.linear(x, one)).dataSync();
      assert.is(found.join(), expected.join(), activation);
    }
  });
});

/** The operations that a forward pass runs. */
function traced(f: () => void): string[] {
  const names: string[] = [];
  const before = rl.setTracer(({ op }) => names.push(op));
  try {
    f();
  } finally {
    rl.setTracer(before);
  }
  return names;
}

epilogue("Sequential runs a layer and its activation as one operation", () => {
  scope(() => {
    const model = new nn.Sequential(
      new nn.Conv2d(1, 3, 3),
      new nn.ReLU(),
      new nn.Flatten(),
      new nn.Linear(12, 5),
      new nn.LeakyReLU(slope),
      new nn.Linear(5, 4),
      new nn.LeakyReLU(-1), // its gradient needs the input
      new nn.Linear(4, 4),
      new nn.GELU(),
      new nn.Linear(4, 2),
    );
    const x = rl.randn([6, 1, 4, 4], { generator: new rl.Generator(1) });
    const results: ArrayLike<number>[] = [];
    const names = traced(() => {
      results.push(model.forward(x).dataSync());
    });
    assert.equal(names, [
      "conv2dActivated",
      "linearActivated",
      "linear",
      "leakyRelu",
      "linear",
      "gelu",
      "linear",
    ]);
    const apartResult = model.layers.reduce((y, layer) => layer.forward(y), x);
    assert.equal(apartResult.dataSync(), results[0]);
    for (const parameter of model.parameters()) parameter.dispose();
  });
});

epilogue("relu and maximum pooling commute, gradients too", () => {
  for (const options of [{}, { stride: 1 }, { stride: 3, ceilMode: true }]) {
    for (const kernel of [2, 3]) {
      same(
        `maxPool2d ${kernel} ${JSON.stringify(options)}`,
        (x) => rl.maxPool2d(x, kernel, { ...options, activation: "relu" }),
        (x) => rl.maxPool2d(rl.relu(x), kernel, options),
        [[2, 3, 8, 11]],
      );
    }
  }
});

epilogue("Sequential leaves relu to the pooling after it", () => {
  scope(() => {
    const model = new nn.Sequential(
      new nn.Conv2d(1, 3, 3),
      new nn.ReLU(),
      new nn.MaxPool2d(2),
      new nn.ReLU(),
      new nn.MaxPool2d(3, { padding: 1 }),
      new nn.Tanh(),
      new nn.MaxPool2d(2),
      new nn.ReLU(),
    );
    const x = rl.randn([6, 1, 12, 12], { generator: new rl.Generator(1) });
    const results: ArrayLike<number>[] = [];
    const names = traced(() => {
      results.push(model.forward(x).dataSync());
    });
    assert.equal(names, [
      "conv2d",
      "maxPool2dActivated",
      "relu",
      "maxPool2d",
      "tanh",
      "maxPool2d",
      "relu",
    ]);
    const apartResult = model.layers.reduce((y, layer) => layer.forward(y), x);
    assert.equal(apartResult.dataSync(), results[0]);
    for (const parameter of model.parameters()) parameter.dispose();
  });
});

epilogue("a forward of somebody's own is called, never passed over", () => {
  class Doubled extends nn.Linear {
    override forward(x: Tensor): Tensor {
      return rl.mul(super.forward(x), 2);
    }
  }
  class Shifted extends nn.ReLU {
    override forward(x: Tensor): Tensor {
      return rl.add(super.forward(x), 1);
    }
  }
  scope(() => {
    const x = rl.ones([1, 2]);
    for (const layers of [
      [new Doubled(2, 3), new nn.ReLU()],
      [new nn.Linear(2, 3), new Shifted()],
    ]) {
      const model = new nn.Sequential(...layers);
      const expected = layers.reduce((y, layer) => layer.forward(y), x).dataSync();
      assert.equal(model.forward(x).dataSync(), expected);
      assert.ok(traced(() => model.forward(x)).includes("relu"));
      for (const parameter of model.parameters()) parameter.dispose();
    }
  });
});

epilogue.run();
