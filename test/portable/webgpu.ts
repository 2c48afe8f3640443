/** The suites of device "webgpu", on the platform's own GPU: in a page, or in Deno. */
import { playFiles } from "./play.ts";

await playFiles(
  {
    "webgpu/ops.test.ts": () => import("../webgpu/ops.test.ts"),
    "webgpu/backend.test.ts": () => import("../webgpu/backend.test.ts"),
    "webgpu/errors.test.ts": () => import("../webgpu/errors.test.ts"),
    "webgpu/product.test.ts": () => import("../webgpu/product.test.ts"),
    "webgpu/conv.test.ts": () => import("../webgpu/conv.test.ts"),
    "webgpu/halves.test.ts": () => import("../webgpu/halves.test.ts"),
    "webgpu/random.test.ts": () => import("../webgpu/random.test.ts"),
    "webgpu/sort.test.ts": () => import("../webgpu/sort.test.ts"),
    "webgpu/elementwise.test.ts": () => import("../webgpu/elementwise.test.ts"),
    "webgpu/recurrent.test.ts": () => import("../webgpu/recurrent.test.ts"),
    "webgpu/attention.test.ts": () => import("../webgpu/attention.test.ts"),
    "webgpu/compile.test.ts": () => import("../webgpu/compile.test.ts"),
    "webgpu/chains.test.ts": () => import("../webgpu/chains.test.ts"),
    "webgpu/specials.test.ts": () => import("../webgpu/specials.test.ts"),
    "webgpu/optim.test.ts": () => import("../webgpu/optim.test.ts"),
    "webgpu/asynchronous.test.ts": () => import("../webgpu/asynchronous.test.ts"),
    "webgpu/golden.test.ts": () => import("../webgpu/golden.test.ts"),
    "webgpu/mnist.test.ts": () => import("../webgpu/mnist.test.ts"),
    "webgpu/numerics.test.ts": () => import("../webgpu/numerics.test.ts"),
  },
  async () => {
    const { init } = await import("../../src/index.ts");
    await init({ device: "cpu" }); // pages may not compile synchronously
    const { adapter, unavailable } = await import("../webgpu/gpu.ts");
    if (unavailable !== null) throw new Error(unavailable);
    return `webgpu on ${adapter}`;
  },
);
