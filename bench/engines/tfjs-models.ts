/** The models of work.ts in TensorFlow.js' core operations: its wasm backend lacks gradients that its layers want. */
import * as tf from "@tensorflow/tfjs-core";
import type { Model } from "../work.ts";

interface Built {
  variables: tf.Variable[];
  data: tf.Tensor;
  loss(x: tf.Tensor): tf.Scalar;
}

export function createModel(model: Model, batch: number): Built {
  const variables: tf.Variable[] = [];
  const variable = (shape: number[], fanIn: number): tf.Variable => {
    const bound = 1 / Math.sqrt(fanIn);
    const made = tf.variable(tf.randomUniform(shape, -bound, bound));
    variables.push(made);
    return made;
  };
  const linear = (inputs: number, outputs: number) => {
    const [w, b] = [variable([inputs, outputs], inputs), variable([outputs], inputs)];
    return (x: tf.Tensor): tf.Tensor => {
      const rows = tf.reshape(x, [-1, inputs]) as tf.Tensor2D;
      const y = tf.add(tf.matMul(rows, w as tf.Tensor2D), b);
      return tf.reshape(y, [...x.shape.slice(0, -1), outputs]);
    };
  };
  const norm = (width: number, axes: number[], eps = 1e-5) => {
    const weight = tf.variable(tf.ones([width]));
    const bias = tf.variable(tf.zeros([width]));
    variables.push(weight, bias);
    return (x: tf.Tensor): tf.Tensor => {
      const { mean, variance } = tf.moments(x, axes, true);
      const unit = tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, eps)));
      return tf.add(tf.mul(unit, weight), bias);
    };
  };
  const conv = (c: number, o: number, bias: boolean) => {
    const w = variable([3, 3, c, o], 9 * c) as tf.Variable<tf.Rank.R4>;
    const b = bias ? variable([o], 9 * c) : undefined;
    return (x: tf.Tensor): tf.Tensor => {
      const y = tf.conv2d(x as tf.Tensor4D, w, 1, "valid");
      return b ? tf.add(y, b) : y;
    };
  };
  const pool = (x: tf.Tensor): tf.Tensor => tf.maxPool(x as tf.Tensor4D, 2, 2, "valid");
  const crossEntropy = (rows: number, classes: number) => {
    const labels = tf.randomUniform([rows], 0, classes, "int32") as tf.Tensor1D;
    const target = tf.oneHot(labels, classes);
    return (logits: tf.Tensor): tf.Scalar =>
      tf.losses.softmaxCrossEntropy(target, tf.reshape(logits, [rows, classes])) as tf.Scalar;
  };

  switch (model.name) {
    case "layers": {
      const { sizes } = model;
      const layers = sizes.slice(1).map((size, i) => linear(sizes[i], size));
      const forward = (x: tf.Tensor): tf.Tensor =>
        layers.reduce((y, f, i) => (i + 1 < layers.length ? tf.relu(f(y)) : f(y)), x);
      const data = tf.randomUniform([batch, sizes[0]]);
      const outputs = sizes.at(-1)!;
      if (model.loss === "cross") {
        const lossOf = crossEntropy(batch, outputs);
        return { variables, data, loss: (x) => lossOf(forward(x)) };
      }
      const target = tf.randomUniform([batch, outputs]);
      return {
        variables,
        data,
        loss: (x) => tf.losses.meanSquaredError(target, forward(x)) as tf.Scalar,
      };
    }
    case "cnn": {
      const [conv1, conv2] = [conv(1, 32, true), conv(32, 64, true)];
      const [fc1, fc2] = [linear(9216, 128), linear(128, 10)];
      const lossOf = crossEntropy(batch, 10);
      const data = tf.randomUniform([batch, 28, 28, 1]);
      const loss = (x: tf.Tensor): tf.Scalar => {
        const y = tf.dropout(pool(tf.relu(conv2(tf.relu(conv1(x))))), 0.25);
        return lossOf(fc2(tf.dropout(tf.relu(fc1(tf.reshape(y, [batch, 9216]))), 0.5)));
      };
      return { variables, data, loss };
    }
    case "bncnn": {
      const block = (c: number, o: number) => {
        const [f, g] = [conv(c, o, false), norm(o, [0, 1, 2])];
        return (x: tf.Tensor): tf.Tensor => tf.relu(g(f(x)));
      };
      const [block1, block2, block3] = [block(1, 32), block(32, 64), block(64, 64)];
      const head = linear(1024, 10);
      const lossOf = crossEntropy(batch, 10);
      const data = tf.randomUniform([batch, 28, 28, 1]);
      const loss = (x: tf.Tensor): tf.Scalar =>
        lossOf(head(tf.reshape(pool(block3(block2(pool(block1(x))))), [batch, 1024])));
      return { variables, data, loss };
    }
    case "lstm": {
      const { inputs, hidden, time } = model;
      const kernel = variable([inputs + hidden, 4 * hidden], hidden) as tf.Tensor2D;
      const bias = variable([4 * hidden], hidden) as tf.Tensor1D;
      const head = linear(hidden, 10);
      const lossOf = crossEntropy(batch, 10);
      const data = tf.randomUniform([batch, time, inputs]);
      const loss = (x: tf.Tensor): tf.Scalar => {
        let c = tf.zeros([batch, hidden]) as tf.Tensor2D;
        let h = c;
        for (const step of tf.unstack(x, 1)) {
          [c, h] = tf.basicLSTMCell(0, kernel, bias, step as tf.Tensor2D, c, h);
        }
        return lossOf(head(h));
      };
      return { variables, data, loss };
    }
    case "transformer": {
      const { width, layers, heads, time, vocabulary } = model;
      const [characters, positions] = [
        variable([vocabulary, width], 1),
        variable([time, width], 1),
      ];
      const mask = tf.mul(tf.sub(tf.linalg.bandPart(tf.ones([time, time]), -1, 0), 1), 1e9);
      const block = () => {
        const [norm1, norm2] = [norm(width, [2]), norm(width, [2])];
        const [qkv, out] = [linear(width, 3 * width), linear(width, width)];
        const [up, down] = [linear(width, 4 * width), linear(4 * width, width)];
        return (x: tf.Tensor): tf.Tensor => {
          const split = tf.reshape(qkv(norm1(x)), [batch, time, 3, heads, width / heads]);
          const [q, k, v] = tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4]));
          const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(width / heads));
          const y = tf.transpose(tf.matMul(tf.softmax(tf.add(scores, mask)), v), [0, 2, 1, 3]);
          const z = tf.add(x, out(tf.reshape(y, [batch, time, width])));
          const u = up(norm2(z));
          const gelu = tf.mul(tf.mul(u, 0.5), tf.add(tf.erf(tf.mul(u, Math.SQRT1_2)), 1));
          return tf.add(z, down(gelu));
        };
      };
      const blocks = Array.from({ length: layers }, block);
      const [last, head] = [norm(width, [2]), linear(width, vocabulary)];
      const lossOf = crossEntropy(batch * time, vocabulary);
      // Its backend has no gradient of gather: rows are chosen by a product instead.
      const tokens = tf.randomUniform([batch * time], 0, vocabulary, "int32") as tf.Tensor1D;
      const data = tf.oneHot(tokens, vocabulary);
      const loss = (x: tf.Tensor): tf.Scalar => {
        const rows = tf.matMul(tf.cast(x, "float32") as tf.Tensor2D, characters as tf.Tensor2D);
        const y = tf.add(tf.reshape(rows, [batch, time, width]), positions);
        return lossOf(head(last(blocks.reduce((z, f) => f(z), y))));
      };
      return { variables, data, loss };
    }
  }
}
