/** TensorFlow.js on its WebAssembly backend, as an engine. In Node it has one thread. */
import { createRequire } from "node:module";
import path from "node:path";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-layers"; // registers the gradients
import { underflowScale } from "../work.ts";
import type { ConvShape, TrainWork, Work } from "../work.ts";
import { serve } from "./serve.ts";
import type { Prepared } from "./serve.ts";
import { createModel } from "./tfjs-models.ts";

const folder = path.dirname(
  createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm"),
);
setWasmPaths(`${folder}/`);
await tf.setBackend("wasm");

function prepare(work: Work): Prepared {
  switch (work.kind) {
    case "gemm": {
      const { form, m, n, k } = work;
      const a = tf.randomUniform(form === "tn" ? [k, m] : [m, k]);
      const b = tf.randomUniform(form === "nt" ? [n, k] : [k, n]);
      return {
        run: () =>
          tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D, form === "tn", form === "nt").dispose(),
        release: () => tf.dispose([a, b]),
      };
    }
    case "conv":
      return conv(work.pass, work.shape);
    case "train":
      return trainingStep(work);
    default:
      throw new Error(`no ${work.kind}`);
  }
}

/** Its kernels alone, without a graph. Images are [n, h, w, c] here. */
function conv(pass: "forward" | "data" | "weights", shape: ConvShape): Prepared {
  const { n, c, h, o, k, stride, padding, groups } = shape;
  if (groups > 1 && pass !== "forward") throw new Error("no gradients of grouped convolutions");
  const x = tf.randomUniform([n, h, h, c], -1, 1) as tf.Tensor4D;
  const filter = tf.randomUniform(groups > 1 ? [k, k, c, 1] : [k, k, c, o], -1, 1) as tf.Tensor4D;
  const forward = (): tf.Tensor4D =>
    groups > 1
      ? tf.depthwiseConv2d(x, filter, stride, padding)
      : tf.conv2d(x, filter, stride, padding);
  if (pass === "forward") {
    return { run: () => forward().dispose(), release: () => tf.dispose([x, filter]) };
  }
  const y = forward();
  const attrs = { strides: stride, pad: padding, dataFormat: "NHWC" };
  const run = (): tf.Tensor =>
    pass === "data"
      ? tf
          .engine()
          .runKernel("Conv2DBackpropInput", { dy: y, filter }, { ...attrs, inputShape: x.shape })
      : tf
          .engine()
          .runKernel("Conv2DBackpropFilter", { x, dy: y }, { ...attrs, filterShape: filter.shape });
  return {
    run: () => (run() as tf.Tensor).dispose(),
    release: () => tf.dispose([x, filter, y]),
  };
}

/** With Adam, the nearest of its optimizers. */
function trainingStep({ model, batch, underflow }: TrainWork): Prepared {
  const { loss, variables, data } = createModel(model, batch);
  const optimizer = tf.train.adam(0.0025);
  const x = underflow === "input" ? tf.mul(data, underflowScale) : data;
  const scale = underflow === "loss" ? underflowScale : 1;
  return {
    run() {
      const value = optimizer.minimize(() => tf.mul(loss(x), scale), true, variables)!;
      value.dataSync();
      value.dispose();
    },
    release() {
      optimizer.dispose();
      tf.dispose([variables, x, data]);
    },
    settings: "Adam",
  };
}

await serve({
  about: () => ({ tfjs: `${tf.version_core} wasm` }),
  prepare,
});
