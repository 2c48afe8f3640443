/** The suites that need nothing of Node, as one module for pages and other runtimes. */
import { playFiles } from "./play.ts";

await playFiles(
  {
    "ops/ops.test.ts": () => import("../ops/ops.test.ts"),
    "autograd.test.ts": () => import("../autograd.test.ts"),
    "compile/compile.test.ts": () => import("../compile/compile.test.ts"),
    "nn/sequence.test.ts": () => import("../nn/sequence.test.ts"),
    "ops/attention.test.ts": () => import("../ops/attention.test.ts"),
    "memory.test.ts": () => import("../memory.test.ts"),
    "errors.test.ts": () => import("../errors.test.ts"),
    "nn/module.test.ts": () => import("../nn/module.test.ts"),
    "determinism.test.ts": () => import("../determinism.test.ts"),
    "elementary/bits.test.ts": () => import("../elementary/bits.test.ts"),
    "elementary/special.test.ts": () => import("../elementary/special.test.ts"),
    "random.test.ts": () => import("../random.test.ts"),
    "optim/schedule-free.test.ts": () => import("../optim/schedule-free.test.ts"),
  },
  async () => {
    const { backend, init } = await import("../../src/index.ts");
    await init(); // pages may not compile synchronously
    const { threads, precision } = backend().capabilities();
    return `${threads} threads, ${precision}`;
  },
);
