/** The models of work.ts in jax-js. Every use of an array consumes it; `.ref` keeps it for another one. */
import { lax, nn, numpy as np, random } from "@jax-js/jax";
import type { Model } from "../work.ts";

interface Built {
  parameters: np.Array[];
  x: np.Array;
  y: np.Array;
  /** Takes a random key for dropout. */
  loss(parameters: np.Array[], x: np.Array, y: np.Array, key: np.Array): np.Array;
}

let seed = 0;

/** In [-bound, bound). */
export function uniform(shape: number[], bound = 1): np.Array {
  return random.uniform(random.key(seed++), shape, { minval: -bound, maxval: bound });
}

function labels(rows: number, classes: number): np.Array {
  const index = random.randint(random.key(seed++), { shape: [rows], minval: 0, maxval: classes });
  return nn.oneHot(index, classes);
}

const weights = (shape: number[], fanIn: number): np.Array => uniform(shape, 1 / Math.sqrt(fanIn));

const linearOf = (inputs: number, outputs: number): np.Array[] => [
  weights([inputs, outputs], inputs),
  weights([outputs], inputs),
];

const linear = (x: np.Array, w: np.Array, b: np.Array): np.Array => np.matmul(x, w).add(b);

/** logits, target [rows, classes] → []. */
function crossEntropy(logits: np.Array, target: np.Array): np.Array {
  const rows = logits.shape[0];
  return nn
    .logSoftmax(logits, -1)
    .mul(target)
    .sum()
    .mul(-1 / rows);
}

function dropout(x: np.Array, key: np.Array, p: number): np.Array {
  const mask = random.bernoulli(key, 1 - p, x.shape);
  return x.mul(mask.astype(np.float32)).mul(1 / (1 - p));
}

/** [n, c, h, h] → [n, c, h / 2, h / 2]. */
function pool(x: np.Array): np.Array {
  const [n, c, h] = x.shape;
  const half = h >> 1;
  const even = h % 2 === 0 ? x : x.slice([], [], [0, 2 * half], [0, 2 * half]);
  return np.max(even.reshape([n, c, half, 2, half, 2]), [3, 5]);
}

const conv = (x: np.Array, w: np.Array): np.Array => lax.conv(x, w, [1, 1], "VALID");

/** Over `axes`, with weight and bias in a shape that broadcasts. */
function norm(x: np.Array, axes: number[], weight: np.Array, bias: np.Array): np.Array {
  const centred = x.ref.sub(np.mean(x, axes, { keepdims: true }));
  const variance = np.mean(np.square(centred.ref), axes, { keepdims: true });
  return centred
    .div(np.sqrt(variance.add(1e-5)))
    .mul(weight)
    .add(bias);
}

const image = (batch: number): np.Array => uniform([batch, 1, 28, 28]);

export function createModel(model: Model, batch: number): Built {
  switch (model.name) {
    case "layers": {
      const { sizes } = model;
      const outputs = sizes.at(-1)!;
      const mse = model.loss === "mse";
      return {
        parameters: sizes.slice(1).flatMap((size, i) => linearOf(sizes[i], size)),
        x: uniform([batch, sizes[0]]),
        y: mse ? uniform([batch, outputs]) : labels(batch, outputs),
        loss(p, x, y, key) {
          key.dispose();
          let z = x;
          for (let i = 0; i < p.length; i += 2) {
            z = linear(z, p[i], p[i + 1]);
            if (i + 2 < p.length) z = nn.relu(z);
          }
          return mse ? np.mean(np.square(z.sub(y))) : crossEntropy(z, y);
        },
      };
    }
    case "cnn":
      return {
        parameters: [
          weights([32, 1, 3, 3], 9),
          weights([32, 1, 1], 9),
          weights([64, 32, 3, 3], 288),
          weights([64, 1, 1], 288),
          ...linearOf(9216, 128),
          ...linearOf(128, 10),
        ],
        x: image(batch),
        y: labels(batch, 10),
        loss([w1, b1, w2, b2, w3, b3, w4, b4], x, y, key) {
          const [key1, key2] = np.unstack(random.split(key, 2));
          const a = nn.relu(conv(x, w1).add(b1));
          const b = dropout(pool(nn.relu(conv(a, w2).add(b2))), key1, 0.25);
          const c = nn.relu(linear(b.reshape([batch, 9216]), w3, b3));
          return crossEntropy(linear(dropout(c, key2, 0.5), w4, b4), y);
        },
      };
    case "bncnn": {
      const block = (c: number, o: number): np.Array[] => [
        weights([o, c, 3, 3], 9 * c),
        np.ones([o, 1, 1]),
        np.zeros([o, 1, 1]),
      ];
      const apply = (x: np.Array, [w, weight, bias]: np.Array[]): np.Array =>
        nn.relu(norm(conv(x, w), [0, 2, 3], weight, bias));
      return {
        parameters: [...block(1, 32), ...block(32, 64), ...block(64, 64), ...linearOf(1024, 10)],
        x: image(batch),
        y: labels(batch, 10),
        loss(p, x, y, key) {
          key.dispose();
          const a = pool(apply(x, p.slice(0, 3)));
          const b = pool(apply(apply(a, p.slice(3, 6)), p.slice(6, 9)));
          return crossEntropy(linear(b.reshape([batch, 1024]), p[9], p[10]), y);
        },
      };
    }
    case "lstm": {
      const { inputs, hidden, time } = model;
      return {
        parameters: [
          weights([inputs, 4 * hidden], hidden),
          weights([hidden, 4 * hidden], hidden),
          weights([4 * hidden], hidden),
          ...linearOf(hidden, 10),
        ],
        x: uniform([batch, time, inputs]),
        y: labels(batch, 10),
        loss([wx, wh, bias, w, b], x, y, key) {
          key.dispose();
          let h = np.zeros([batch, hidden]);
          let c = np.zeros([batch, hidden]);
          for (const step of np.unstack(linear(x, wx, bias), 1)) {
            const gates = step.add(np.matmul(h, wh.ref));
            const [i, f, g, o] = np.split(gates, 4, 1);
            c = c.mul(nn.sigmoid(f)).add(nn.sigmoid(i).mul(np.tanh(g)));
            h = nn.sigmoid(o).mul(np.tanh(c.ref));
          }
          wh.dispose();
          c.dispose();
          return crossEntropy(linear(h, w, b), y);
        },
      };
    }
    case "transformer":
      return transformer(model, batch);
  }
}

function transformer(model: Extract<Model, { name: "transformer" }>, batch: number): Built {
  const { width, layers, heads, time, vocabulary } = model;
  const normOf = (): np.Array[] => [np.ones([width]), np.zeros([width])];
  const blockOf = (): np.Array[] => [
    ...normOf(),
    ...linearOf(width, 3 * width),
    ...linearOf(width, width),
    ...normOf(),
    ...linearOf(width, 4 * width),
    ...linearOf(4 * width, width),
  ];
  const perBlock = 12;
  const block = (x: np.Array, p: np.Array[]): np.Array => {
    const qkv = linear(norm(x.ref, [2], p[0], p[1]), p[2], p[3]);
    const split = np.unstack(qkv.reshape([batch, time, 3, heads, width / heads]), 2);
    const [q, k, v] = split;
    const attended = nn.dotProductAttention(q, k, v, { isCausal: true });
    const z = x.add(linear(attended.reshape([batch, time, width]), p[4], p[5]));
    const inner = nn.gelu(linear(norm(z.ref, [2], p[6], p[7]), p[8], p[9]), { approximate: false });
    return z.add(linear(inner, p[10], p[11]));
  };
  return {
    parameters: [
      weights([vocabulary, width], 1),
      weights([time, width], 1),
      ...Array.from({ length: layers }, blockOf).flat(),
      ...normOf(),
      ...linearOf(width, vocabulary),
    ],
    // Rows of the embedding are chosen by a product, which has a fast gradient here.
    x: labels(batch * time, vocabulary).reshape([batch, time, vocabulary]),
    y: labels(batch * time, vocabulary),
    loss(p, x, y, key) {
      key.dispose();
      let z = np.matmul(x.astype(np.float32), p[0]).add(p[1]);
      let at = 2;
      for (; at < 2 + perBlock * layers; at += perBlock) z = block(z, p.slice(at, at + perBlock));
      const logits = linear(norm(z, [2], p[at], p[at + 1]), p[at + 2], p[at + 3]);
      return crossEntropy(logits.reshape([batch * time, vocabulary]), y);
    },
  };
}
