/** jax-js on its WebAssembly device, as an engine; everything under jit. In Node it has one thread. */
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import path from "node:path";
import { defaultDevice, init, jit, lax, numpy as np, random, valueAndGrad, vjp } from "@jax-js/jax";
import { underflowScale } from "../work.ts";
import type { ConvShape, TrainWork, Work } from "../work.ts";
import { createModel, uniform } from "./jax-models.ts";
import { serve } from "./serve.ts";
import type { Prepared } from "./serve.ts";

await init("wasm");
defaultDevice("wasm");
const library = createRequire(import.meta.url).resolve("@jax-js/jax");
const { version } = JSON.parse(
  readFileSync(path.join(path.dirname(library), "../package.json"), "utf8"),
) as { version: string };

/** Arrays are lazy: reading a result makes all that came with it. */
const finish = (...arrays: np.Array[]): void => arrays.forEach((x) => void x.dataSync());

function prepare(work: Work): Prepared {
  switch (work.kind) {
    case "gemm": {
      const { form, m, n, k } = work;
      const a = uniform(form === "tn" ? [k, m] : [m, k]);
      const b = uniform(form === "nt" ? [n, k] : [k, n]);
      const product = jit((x: np.Array, y: np.Array) =>
        np.matmul(form === "tn" ? x.transpose() : x, form === "nt" ? y.transpose() : y),
      );
      return {
        run: () => finish(product(a.ref, b.ref)),
        release: () => [a, b].forEach((x) => x.dispose()),
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

function conv(pass: "forward" | "data" | "weights", shape: ConvShape): Prepared {
  const { n, c, h, o, k, stride, padding, groups } = shape;
  const x = uniform([n, c, h, h]);
  const w = uniform([o, c / groups, k, k]);
  const pads: [number, number][] = [
    [padding, padding],
    [padding, padding],
  ];
  const f = (image: np.Array, weight: np.Array): np.Array =>
    lax.convGeneralDilated(image, weight, [stride, stride], pads, { featureGroupCount: groups });
  if (pass === "forward") {
    const forward = jit(f);
    return {
      run: () => finish(forward(x.ref, w.ref)),
      release: () => [x, w].forEach((array) => array.dispose()),
    };
  }
  const dy = jit(f)(x.ref, w.ref);
  // The forward pass that vjp makes has no use, and jit leaves it out.
  const backward = jit((image: np.Array, weight: np.Array, cotangent: np.Array) => {
    const [y, pull] =
      pass === "data"
        ? vjp((array: np.Array) => f(array, weight), [image])
        : vjp((array: np.Array) => f(image, array), [weight]);
    y.dispose();
    return pull(cotangent)[0] as np.Array;
  });
  return {
    run: () => finish(backward(x.ref, w.ref, dy.ref)),
    release: () => [x, w, dy].forEach((array) => array.dispose()),
  };
}

/** With Adam, the nearest of what its users have. One jitted function from parameters to parameters. */
function trainingStep({ model, batch, underflow }: TrainWork): Prepared {
  const { loss, parameters, x, y } = createModel(model, batch);
  const input = underflow === "input" ? x.mul(underflowScale) : x;
  const scale = underflow === "loss" ? underflowScale : 1;
  const zeros = (): np.Array[] => parameters.map((p) => np.zeros(p.shape));

  type Arrays = np.Array[];
  const step = jit(
    (
      ps: Arrays,
      ms: Arrays,
      vs: Arrays,
      rate: np.Array,
      seed: np.Array,
      a: np.Array,
      b: np.Array,
    ) => {
      const total = (q: Arrays): np.Array => loss(q, a, b, random.key(seed)).mul(scale);
      const [value, gradients] = valueAndGrad(total)(ps.map((p) => p.ref));
      const grads = gradients as Arrays;
      const means = ms.map((m, i) => m.mul(0.9).add(grads[i].ref.mul(0.1)));
      const squares = vs.map((v, i) => v.mul(0.999).add(np.square(grads[i]).mul(0.001)));
      const next = ps.map((p, i) => {
        const direction = means[i].ref.div(np.sqrt(squares[i].ref).add(1e-8));
        return p.sub(direction.mul(rate.ref));
      });
      rate.dispose();
      return [next, means, squares, value] as [Arrays, Arrays, Arrays, np.Array];
    },
  );
  let [ps, ms, vs] = [parameters, zeros(), zeros()];
  let t = 0;
  return {
    run() {
      t++;
      const rate = (0.0025 * Math.sqrt(1 - 0.999 ** t)) / (1 - 0.9 ** t);
      let value: np.Array;
      const seed = np.array(t, { dtype: np.uint32 });
      [ps, ms, vs, value] = step(ps, ms, vs, np.array(rate), seed, input.ref, y.ref) as [
        Arrays,
        Arrays,
        Arrays,
        np.Array,
      ];
      finish(value);
    },
    release: () => [...ps, ...ms, ...vs, input, y].forEach((array) => array.dispose()),
    settings: "Adam, jit",
  };
}

await serve({ about: () => ({ "jax-js": `${version} wasm` }), prepare });
