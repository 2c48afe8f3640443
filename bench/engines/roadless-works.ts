/** Work as roadless does it, on the default device. */
import * as roadless from "roadless";
import { keep, matmul, optim, rand, scope } from "roadless";
import type { Tensor } from "roadless";
import { outputSize } from "../work.ts";
import type { ConvShape, OptimizerName, Work } from "../work.ts";
import { trainingStep } from "./roadless-models.ts";
import type { Prepared } from "./serve.ts";

export function preparedOf(work: Work): Prepared {
  switch (work.kind) {
    case "gemm":
      return gemm(work);
    case "conv":
      return conv(work.pass, work.shape);
    case "step":
      return step(work.optimizer, work.parameters);
    case "train":
      return trainingStep(work);
    default:
      throw new Error(`no ${work.kind}`);
  }
}

const dispose = (...tensors: Tensor[]): void => tensors.forEach((x) => x.dispose());

function gemm({ form, m, n, k }: { form: string; m: number; n: number; k: number }): Prepared {
  const a = form === "tn" ? rand([k, m]) : rand([m, k]);
  const b = form === "nt" ? rand([n, k]) : rand([k, n]);
  const left = form === "tn" ? a.transpose(0, 1) : a;
  const right = form === "nt" ? b.transpose(0, 1) : b;
  return {
    run: () => scope(() => void matmul(left, right)),
    release: () => dispose(left, right, a, b),
  };
}

/** Backward passes are alone in the timed function: the graph is kept, and one leaf asks for its gradient. */
function conv(pass: string, shape: ConvShape): Prepared {
  const { n, c, h, o, k, stride, padding, groups } = shape;
  const x = rand([n, c, h, h], { low: -1, high: 1, requiresGrad: pass === "data" });
  const weight = rand([o, c / groups, k, k], {
    low: -1,
    high: 1,
    requiresGrad: pass === "weights",
  });
  const forward = (): Tensor => roadless.conv2d(x, weight, null, { stride, padding, groups });
  if (pass === "forward") {
    return { run: () => scope(() => void forward()), release: () => dispose(x, weight) };
  }
  const y = forward();
  const dy = rand([n, o, outputSize(shape), outputSize(shape)], { low: -1, high: 1 });
  const leaf = pass === "data" ? x : weight;
  return {
    run() {
      scope(() => y.backward(dy, { retainGraph: true }));
      leaf.grad!.dispose();
      leaf.grad = null;
    },
    release: () => dispose(y, dy, x, weight),
  };
}

function step(name: OptimizerName, parameters: number): Prepared {
  const x = keep(rand([parameters], { low: -1, high: 1, requiresGrad: true }));
  const optimizer = new optim[name]([x], { lr: 0.001 });
  optimizer.train();
  scope(() => x.mul(0.1).sum().backward());
  return {
    run: () => void optimizer.step(),
    release() {
      optimizer.dispose();
      x.dispose();
    },
  };
}
