/** gridSample: places worked out by hand, and gradients of image and grid. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { scope, tensor } from "../../src/index.ts";

const grids = suite("gridSample");

const list = (x: Tensor): number[] => Array.from(x.dataSync());

/** One row of four pixels, read at columns given from -1 to 1. */
function row(columns: readonly number[], options: rl.GridSampleOptions): number[] {
  const image = tensor([[[[10, 20, 30, 40]]]]);
  const grid = tensor([[columns.map((column) => [column, 0])]]);
  return list(rl.gridSample(image, grid, options));
}

grids("-1 and 1 are the outer edges, or the centres of the corner pixels", () => {
  scope(() => {
    assert.equal(row([-0.75, -0.25, 0, 0.75], {}), [10, 20, 25, 40]);
    assert.equal(row([-1, 0, 1], { alignCorners: true }), [10, 25, 40]);
    assert.equal(row([-1, 1], {}), [5, 20]); // half of it is outside
  });
});

grids("outside are zeros, the outermost pixel, or the image mirrored", () => {
  scope(() => {
    const beyond = [-1.25, 1.25, 1.75, 3.25];
    assert.equal(row(beyond, {}), [0, 0, 0, 0]);
    assert.equal(row(beyond, { paddingMode: "border" }), [10, 40, 40, 40]);
    assert.equal(row(beyond, { paddingMode: "reflection" }), [10, 40, 30, 10]);
    const centres = { paddingMode: "reflection", alignCorners: true } as const;
    assert.equal(row([5 / 3, -5 / 3], centres).map(Math.round), [30, 20]);
    assert.equal(row([Infinity, -Infinity], { mode: "nearest" }), [0, 0]);
  });
});

grids("nearest rounds halves to the even pixel, as PyTorch", () => {
  scope(() => assert.equal(row([-0.5, 0, 0.3], { mode: "nearest" }), [10, 30, 30]));
});

grids("bicubic at the pixels is the pixels", () => {
  scope(() => assert.equal(row([-0.75, -0.25, 0.25, 0.75], { mode: "bicubic" }), [10, 20, 30, 40]));
});

grids("the identity gives the image back", () => {
  scope(() => {
    const image = rl.rand([2, 3, 4, 5], { generator: new rl.Generator(1) });
    const places = (n: number): Tensor => rl.linspace(-1, 1, n);
    const columns = rl.expand(places(5), [2, 4, 5]);
    const rows = rl.expand(rl.reshape(places(4), [4, 1]), [2, 4, 5]);
    const grid = rl.stack([columns, rows], 3);
    const y = rl.gridSample(image, grid, { alignCorners: true });
    const error = rl.amax(rl.abs(rl.sub(y, image))).itemSync();
    assert.ok(error < 1e-6, `error ${error}`);
  });
});

for (const mode of ["bilinear", "nearest", "bicubic"] as const) {
  for (const paddingMode of ["zeros", "border", "reflection"] as const) {
    for (const alignCorners of [false, true]) {
      const options = { mode, paddingMode, alignCorners };
      grids(`${mode}, ${paddingMode}, ${alignCorners}: gradient, and cpu as reference`, () => {
        scope(() => {
          const generator = () => new rl.Generator(7);
          const make = (device: rl.DeviceName): [Tensor, Tensor] => {
            const at = { device, generator: generator() };
            return [
              rl.rand([2, 2, 4, 3], { ...at, requiresGrad: true }),
              rl.rand([2, 3, 2, 2], { ...at, low: -1.9, high: 1.9, requiresGrad: true }),
            ];
          };
          const [x, grid] = make("reference");
          if (mode === "nearest")
            rl.gradcheck((x) => rl.gridSample(x, grid.detach(), options), [x]);
          else rl.gradcheck((x, grid) => rl.gridSample(x, grid, options), [x, grid]);
          const expected = list(rl.gridSample(x, grid, options));
          list(rl.gridSample(...make("cpu"), options)).forEach((value, i) => {
            assert.ok(Math.abs(value - expected[i]) < 1e-5, `${value}, expected ${expected[i]}`);
          });
        });
      });
    }
  }
}

grids.run();
