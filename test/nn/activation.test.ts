/** Activation modules are the functions of their names; maximum pooling and back; images in another size. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { nn, scope, tensor } from "../../src/index.ts";

const activation = suite("activation modules");

const pairs: readonly [nn.Layer, (x: Tensor) => Tensor][] = [
  [new nn.ELU(0.5), (x) => rl.elu(x, 0.5)],
  [new nn.SELU(), rl.selu],
  [new nn.CELU(2), (x) => rl.celu(x, 2)],
  [new nn.Softplus({ beta: 2, threshold: 3 }), (x) => rl.softplus(x, { beta: 2, threshold: 3 })],
  [new nn.Softsign(), rl.softsign],
  [new nn.Mish(), rl.mish],
  [new nn.Hardtanh({ min: -2, max: 0.5 }), (x) => rl.hardtanh(x, { min: -2, max: 0.5 })],
  [new nn.ReLU6(), rl.relu6],
  [new nn.Hardsigmoid(), rl.hardsigmoid],
  [new nn.Hardswish(), rl.hardswish],
  [new nn.LogSigmoid(), rl.logSigmoid],
  [new nn.Tanhshrink(), rl.tanhshrink],
  [new nn.Softshrink(0.2), (x) => rl.softshrink(x, 0.2)],
  [new nn.Hardshrink(0.2), (x) => rl.hardshrink(x, 0.2)],
  [new nn.Threshold(0.3, 5), (x) => rl.threshold(x, 0.3, 5)],
  [new nn.GLU(0), (x) => rl.glu(x, 0)],
  [new nn.Softmax(1), (x) => rl.softmax(x, 1)],
  [new nn.LogSoftmax(0), (x) => rl.logSoftmax(x, 0)],
];

for (const [module, f] of pairs) {
  activation(`${module.constructor.name} is its function`, () => {
    scope(() => {
      const x = tensor([
        [-3.5, -0.25, 7],
        [0.25, 0.4, 1],
      ]);
      assert.equal([...module.forward(x).dataSync()], [...f(x).dataSync()]);
    });
  });
}

activation("PReLU learns its slopes", () => {
  scope(() => {
    const module = new nn.PReLU(2, { init: 0.5 });
    assert.equal(
      module.namedParameters().map(([name, x]) => `${name} [${x.shape}]`),
      ["weight [2]"],
    );
    const y = module.forward(tensor([[-2, -4]]));
    assert.equal([...y.dataSync()], [-1, -2]);
    rl.sum(y).backward();
    assert.equal([...module.weight.grad!.dataSync()], [-2, -4]);
    assert.equal([...new nn.PReLU().weight.dataSync()], [0.25]);
  });
});

for (const device of ["reference", "cpu"] as const) {
  activation(`${device}: what was pooled goes back to where it was`, () => {
    scope(() => {
      const values = [1, 9, 2, 3, 5, 4, 8, 6, 7, 0, 3, 11];
      const x = tensor(values, { device, requiresGrad: true }).reshape([1, 2, 2, 3]);
      const pooled = rl.maxPool2dWithIndices(x, 2, { stride: 1 });
      assert.equal([...pooled.values.dataSync()], [9, 9, 8, 11]);
      assert.equal([...pooled.indices.dataSync()], [1, 1, 0, 5]);
      assert.equal(
        [...pooled.values.dataSync()],
        [...rl.maxPool2d(x, 2, { stride: 1 }).dataSync()],
      );
      const back = rl.maxUnpool2d(pooled.values, pooled.indices, 2, { stride: 1 });
      assert.equal([...back.dataSync()], [0, 18, 0, 0, 0, 0, 8, 0, 0, 0, 0, 11]);
      const wide = rl.maxUnpool2d(pooled.values, pooled.indices, 2, { outputSize: [2, 4] });
      assert.equal(wide.shape, [1, 2, 2, 4]);
      const one = (y: Tensor): Tensor => rl.squeeze(y, 0);
      const single = rl.maxUnpool2d(one(pooled.values), one(pooled.indices), 2, { stride: 1 });
      assert.equal([single.shape, single.dataSync()], [[2, 2, 3], back.dataSync()]);
    });
  });
}

activation("upsample: linear is bilinear of one row, area is adaptive pooling", () => {
  scope(() => {
    const x = tensor([[1, 2, 4]], { device: "reference" });
    const stretched = rl.upsample(x, { scaleFactor: 2, mode: "linear" });
    assert.equal([...stretched.dataSync()], [1, 1.25, 1.75, 2.5, 3.5, 4]);
    const corners = rl.upsample(x, { size: 5, mode: "linear", alignCorners: true });
    assert.equal([...corners.dataSync()], [1, 1.5, 2, 3, 4]);
    const image = rl.arange(12, undefined, 1, { dtype: "float64", device: "reference" });
    const area = new nn.Upsample({ size: [2, 3], mode: "area" });
    assert.equal(
      [...area.forward(image.reshape([1, 2, 6])).dataSync()],
      [0.5, 2.5, 4.5, 6.5, 8.5, 10.5],
    );
  });
});

activation("pooling with indices, and unpooling, have gradients", () => {
  scope(() => {
    const data = Array.from({ length: 50 }, (_, i) => ((i * 37) % 50) / 10);
    const x = tensor(data, { device: "reference" }).reshape([1, 2, 5, 5]).detach();
    x.requiresGrad = true;
    rl.gradcheck(
      (x) => {
        const { values, indices } = rl.maxPool2dWithIndices(x, 3, { stride: 2, padding: 1 });
        const options = { stride: 2, padding: 1 };
        return [rl.square(values), rl.square(rl.maxUnpool2d(values, indices, 3, options))];
      },
      [x],
    );
  });
});

activation.run();
