/** Bad input: the operation, what was found, what was expected, the way out. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../src/index.ts";
import * as rl from "../src/index.ts";
import { memory, nn, ones, scope, tensor, zeros } from "../src/index.ts";

const errors = suite("errors");

type Kind = typeof rl.RoadlessError;

/** Parameters belong to no scope: the module goes when `f` throws. */
function disposing<M extends nn.Module>(module: M, f: (module: M) => unknown): void {
  try {
    f(module);
  } finally {
    module.dispose();
  }
}

/** Forward and backward of an operation on ones([2]) and a number, with parts replaced by wrong ones. */
function misused(parts: Partial<rl.CustomOp<[x: Tensor, factor: number], Tensor>>): void {
  const twice = rl.customOp<[x: Tensor, factor: number], Tensor>({
    name: "twice",
    forward: (_context, x, factor) => x.mul(factor),
    backward: ({ args: [, factor] }, dy) => [dy.mul(factor), null],
    ...parts,
  });
  twice(ones([2], { requiresGrad: true }), 2).backward(ones([2]));
}

const cases: [what: string, kind: Kind, f: () => unknown, message: string][] = [
  [
    "checkpoint of a function that gives an object",
    rl.ValueError,
    () => rl.checkpoint((x) => ({ x }) as never, ones([2], { requiresGrad: true })),
    "checkpoint: fn returned [object Object]; expected a tensor or an array of tensors",
  ],
  [
    "checkpoint of a function that gives nothing",
    rl.ValueError,
    () => rl.checkpoint((_x: Tensor) => [], ones([2], { requiresGrad: true })),
    "checkpoint: fn returned []; expected a tensor or an array of tensors",
  ],
  [
    "checkpoint with a computed tensor that is no input",
    rl.ValueError,
    () => {
      const x = ones([2], { requiresGrad: true });
      const y = x.square();
      rl.checkpoint((x: Tensor) => x.mul(y), x);
    },
    "checkpoint: fn uses square float32 [2], which was computed outside it and has a gradient; pass it as an input: checkpoint(fn, x, y)",
  ],
  [
    "checkpoint of a function that does something else the second time",
    rl.ValueError,
    () => {
      let n = 2;
      const y = rl.checkpoint(
        (x: Tensor) => x.mul(ones([n++, 1])),
        ones([2], { requiresGrad: true }),
      );
      y.sum().backward();
    },
    "checkpoint: run again for backward, fn gave [3, 2]; expected [2, 2] with gradients as the first time; fn must do the same each time",
  ],
  [
    "customOp without a name",
    rl.ValueError,
    () => rl.customOp({ name: "", forward: () => ones([1]), backward: () => [] }),
    'customOp: name is ""; expected some text',
  ],
  [
    "customOp that returns no tensor",
    rl.ValueError,
    () => misused({ forward: () => 3 as never }),
    "twice: forward returned the number 3; expected a tensor or an array of tensors",
  ],
  [
    "customOp that returns something else among tensors",
    rl.ValueError,
    () => misused({ forward: (_context, x) => [x, null] as never }),
    "twice: forward returned null at position 1; expected a tensor",
  ],
  [
    "customOp that saves something else",
    rl.ValueError,
    () =>
      misused({
        forward: (context, x) => {
          context.save(x, 2 as never);
          return x;
        },
      }),
    "twice: save() got the number 2 at position 1; expected a tensor",
  ],
  [
    "customOp whose backward returns a tensor",
    rl.ValueError,
    () => misused({ backward: (_context, dy) => dy as never }),
    "twice: backward returned ones float32 [2]; expected an array with one gradient (or null) for each argument",
  ],
  [
    "customOp with too few gradients",
    rl.ValueError,
    () => misused({ backward: (_context, dy) => [dy] }),
    "twice: backward returned 1 gradients; expected 2, one for each argument of forward (null for those that have none)",
  ],
  [
    "customOp with a gradient of another shape",
    rl.ShapeError,
    () => misused({ backward: (_context, dy) => [dy.sum(), null] }),
    "twice: gradient 0 is sum float32 []; expected the shape of argument 0, [2]",
  ],
  [
    "customOp with a gradient of another dtype",
    rl.ValueError,
    () => misused({ backward: (_context, dy) => [dy.gt(0), null] }),
    "twice: gradient 0 is gt bool [2]; expected dtype float32, as argument 0 (convert with .to(dtype))",
  ],
  [
    "customOp with a gradient that is no tensor",
    rl.ValueError,
    () => misused({ backward: () => [undefined as never, null] }),
    "twice: gradient 0 is undefined; expected a tensor or null",
  ],
  [
    "customOp with a gradient for a number",
    rl.ValueError,
    () => misused({ backward: (_context, dy) => [dy, dy] }),
    "twice: gradient 1 is ones float32 [2], but argument 1 is the number 2; expected null",
  ],
  [
    "matmul",
    rl.ShapeError,
    () => zeros([32, 784]).matmul(zeros([128, 10])),
    "matmul: inner dimensions differ: [32, 784] @ [128, 10] (784 vs 128)",
  ],
  [
    "matmul of scalars",
    rl.ShapeError,
    () => rl.matmul(ones([]), ones([2])),
    "matmul: [] @ [2]: 0-dimensional tensors have no matrix product; use mul",
  ],
  [
    "matmul of integers",
    rl.ValueError,
    () => rl.matmul(rl.arange(3), rl.arange(3)),
    "matmul: reshape int32 [1, 3] has dtype int32; expected float32 or float64 (convert with .to(dtype))",
  ],
  [
    "gradcheck in float32",
    rl.ValueError,
    () => rl.gradcheck(rl.exp, [ones([3], { requiresGrad: true })]),
    'gradcheck: input 0 is ones float32 [3] on device "cpu"; expected float64, as difference quotients lose half of the digits (device "reference" has it)',
  ],
  [
    "gradcheck of nothing",
    rl.ValueError,
    () => rl.gradcheck(rl.exp, [ones([3], { device: "reference" })]),
    "gradcheck: none of the 1 inputs requires a gradient; expected at least one (make it with { requiresGrad: true })",
  ],
  [
    "broadcast",
    rl.ShapeError,
    () => ones([2, 3]).add(ones([2])),
    "add: shapes do not broadcast: [2, 3] and [2] (dimension 1: 3 vs 2; aligned at the right, extents must be equal or 1)",
  ],
  [
    "linear",
    rl.ShapeError,
    () => rl.linear(ones([2, 3]), ones([4, 5])),
    "linear: input [2, 3] and weight [4, 5]; expected [..., in] and [out, in]",
  ],
  [
    "linear bias",
    rl.ShapeError,
    () => rl.linear(ones([2, 5]), ones([4, 5]), ones([5])),
    "linear: bias has the shape [5]; expected [4], one number per output",
  ],
  [
    "linear activation",
    rl.ValueError,
    () => rl.linear(ones([2, 3]), ones([4, 3]), null, { activation: "gelu" as "relu" }),
    'linear: activation is "gelu"; expected one of relu, leakyRelu, sigmoid, tanh ' +
      "(others need what they are applied to: call them on the result)",
  ],
  [
    "conv2d slope",
    rl.ValueError,
    () =>
      rl.conv2d(ones([1, 1, 4, 4]), ones([1, 1, 3, 3]), null, {
        activation: "leakyRelu",
        negativeSlope: 0,
      }),
    "conv2d: negativeSlope is 0; expected a number > 0, or leakyRelu() of the result",
  ],
  [
    "scaledDotProductAttention",
    rl.ShapeError,
    () => rl.scaledDotProductAttention(ones([2, 3]), ones([4, 5]), ones([4, 5])),
    "scaledDotProductAttention: query [2, 3] and key [4, 5]; expected [..., l, e] and [..., s, e]",
  ],
  [
    "scaledDotProductAttention values",
    rl.ShapeError,
    () => rl.scaledDotProductAttention(ones([2, 3]), ones([4, 3]), ones([5, 3])),
    "scaledDotProductAttention: key [4, 3] and value [5, 3]; expected [..., s, e] and [..., s, v]",
  ],
  [
    "scaledDotProductAttention mask",
    rl.ShapeError,
    () =>
      rl.scaledDotProductAttention(ones([2, 3]), ones([4, 3]), ones([4, 3]), {
        mask: ones([4, 2]),
      }),
    "scaledDotProductAttention: mask [4, 2] for 2 queries and 4 keys; expected something that broadcasts to [..., 2, 4]",
  ],
  [
    "scaledDotProductAttention groups",
    rl.ShapeError,
    () => {
      const [q, k] = [ones([4, 2, 3]), ones([3, 2, 3])];
      return rl.scaledDotProductAttention(q, k, k, { enableGqa: true });
    },
    "scaledDotProductAttention: enableGqa with query [4, 2, 3] and [3, 2, 3]; " +
      "expected [..., heads, l, e] and [..., groups, s, e] with heads a multiple of groups",
  ],
  [
    "rotaryEmbedding",
    rl.ShapeError,
    () => rl.rotaryEmbedding(ones([2, 3])),
    "rotaryEmbedding: found [2, 3]; expected [..., t, d] with an even d",
  ],
  [
    "lstm rank",
    rl.ShapeError,
    () => rl.lstm(ones([2, 3]), { weightIh: ones([4, 3]), weightHh: ones([4, 1]) }),
    "lstm: found ones float32 [2, 3]; expected [time, batch, in] with at least one step",
  ],
  [
    "gru weights",
    rl.ShapeError,
    () => rl.gru(ones([1, 2, 3]), { weightIh: ones([4, 3]), weightHh: ones([4, 1]) }),
    "gru: weightIh [4, 3] and weightHh [4, 1] for inputs of width 3; expected [3 · hidden, 3] and [3 · hidden, hidden]",
  ],
  [
    "rnn state",
    rl.ShapeError,
    () =>
      rl.rnn(ones([1, 2, 3]), { weightIh: ones([4, 3]), weightHh: ones([4, 4]) }, { h: ones([4]) }),
    "rnn: h has the shape [4]; expected [2, 4], batch and hidden",
  ],
  [
    "lstm projection rank",
    rl.ShapeError,
    () =>
      rl.lstm(ones([1, 2, 3]), {
        weightIh: ones([4, 3]),
        weightHh: ones([4, 1]),
        weightHr: ones([1]),
      }),
    "lstm: weightHr has the shape [1]; expected [projection, hidden]",
  ],
  [
    "lstm projection",
    rl.ShapeError,
    () =>
      rl.lstm(ones([1, 2, 3]), {
        weightIh: ones([8, 3]),
        weightHh: ones([8, 2]),
        weightHr: ones([1, 2]),
      }),
    "lstm: weightIh [8, 3] and weightHh [8, 2] for inputs of width 3; expected [4 · hidden, 3] and " +
      "[4 · hidden, projection] with weightHr [1, 2], [projection, hidden]",
  ],
  [
    "gru bias",
    rl.ShapeError,
    () =>
      rl.gru(ones([1, 2, 3]), {
        weightIh: ones([3, 3]),
        weightHh: ones([3, 1]),
        biasHh: ones([1]),
      }),
    "gru: biasHh has the shape [1]; expected [3], one number per row of the weights",
  ],
  [
    "rnn of integers",
    rl.ValueError,
    () =>
      rl.rnn(rl.zeros([1, 2, 3], { dtype: "int32" }), {
        weightIh: ones([4, 3]),
        weightHh: ones([4, 4]),
      }),
    "rnn: zeros int32 [1, 2, 3] has dtype int32; expected float32 or float64 (convert with .to(dtype))",
  ],
  [
    "LSTM projSize",
    rl.ValueError,
    () => new nn.LSTM(2, 3, { projSize: 3 }),
    "LSTM: projSize is 3; expected a whole number below hiddenSize, 3, or 0 for no projection",
  ],
  [
    "GRUCell input",
    rl.ShapeError,
    () => disposing(new nn.GRUCell(2, 3), (m) => m.forward(ones([4, 3]))),
    "GRUCell: found ones float32 [4, 3]; expected [batch, 2], or [2] for one sequence",
  ],
  [
    "LSTMCell state",
    rl.ShapeError,
    () => disposing(new nn.LSTMCell(2, 3), (m) => m.forward(ones([4, 2]), { c: ones([3]) })),
    "LSTMCell: c has the shape [3]; expected [4, 3] for ones float32 [4, 2]",
  ],
  [
    "RNNCell nonlinearity",
    rl.ValueError,
    () => new nn.RNNCell(2, 3, { nonlinearity: "gelu" as "relu" }),
    'RNNCell: nonlinearity is "gelu"; expected "tanh" or "relu"',
  ],
  [
    "GRU state without batch",
    rl.ShapeError,
    () => disposing(new nn.GRU(2, 3), (m) => m.forward(ones([4, 2]), { h: ones([1, 1, 3]) })),
    "GRU: h has the shape [1, 1, 3]; expected [1, 3], layers times directions, and hidden, as the input has no batch",
  ],
  [
    "LSTM input",
    rl.ShapeError,
    () => disposing(new nn.LSTM(3, 4, { batchFirst: true }), (m) => m.forward(ones([2, 5, 4]))),
    "LSTM: found ones float32 [2, 5, 4]; expected [batch, time, 3], or [time, 3] for one sequence",
  ],
  [
    "GRU state",
    rl.ShapeError,
    () =>
      disposing(new nn.GRU(3, 4, { numLayers: 2 }), (m) =>
        m.forward(ones([5, 2, 3]), { h: ones([2, 4]) }),
      ),
    "GRU: h has the shape [2, 4]; expected [2, 2, 4], layers times directions, batch and hidden",
  ],
  [
    "RNN nonlinearity",
    rl.ValueError,
    () => new nn.RNN(3, 4, { nonlinearity: "elu" as "relu" }),
    'RNN: nonlinearity is "elu"; expected "tanh" or "relu"',
  ],
  [
    "MultiheadAttention heads",
    rl.ValueError,
    () => new nn.MultiheadAttention(6, 4),
    "MultiheadAttention: numHeads is 4; expected a divisor of embedDim 6",
  ],
  [
    "MultiheadAttention input",
    rl.ShapeError,
    () => disposing(new nn.MultiheadAttention(4, 2), (m) => m.forward(ones([3, 2, 6]))),
    "MultiheadAttention: query [3, 2, 6], key [3, 2, 6], value [3, 2, 6]; " +
      "expected [l, batch, 4], [s, batch, 4], [s, batch, 4], all with or all without batch",
  ],
  [
    "TransformerEncoderLayer",
    rl.ValueError,
    () => new nn.TransformerEncoderLayer(4, 2, { activation: "selu" as "relu" }),
    'TransformerEncoderLayer: activation is "selu"; expected "relu", "gelu" or a function',
  ],
  [
    "TransformerDecoderLayer",
    rl.ValueError,
    () => new nn.TransformerDecoderLayer(4, 2, { activation: "selu" as "relu" }),
    'TransformerDecoderLayer: activation is "selu"; expected "relu", "gelu" or a function',
  ],
  [
    "TransformerDecoder",
    rl.ValueError,
    () => new nn.TransformerDecoder(() => new nn.TransformerDecoderLayer(4, 2), 0),
    "TransformerDecoder: numLayers is 0; expected a whole number from 1 up",
  ],
  [
    "MultiheadAttention mask",
    rl.ShapeError,
    () =>
      disposing(new nn.MultiheadAttention(4, 2), (m) => {
        const x = ones([3, 2, 4]);
        m.forward(x, x, x, { attnMask: ones([2, 3]) });
      }),
    "MultiheadAttention: attnMask has the shape [2, 3]; expected [3, 3] or [4, 3, 3]",
  ],
  [
    "MultiheadAttention padding mask",
    rl.ShapeError,
    () =>
      disposing(new nn.MultiheadAttention(4, 2), (m) => {
        const x = ones([3, 2, 4]);
        m.forward(x, x, x, { keyPaddingMask: ones([3, 2]) });
      }),
    "MultiheadAttention: keyPaddingMask has the shape [3, 2]; expected [2, 3], batch and keys",
  ],
  [
    "MultiheadAttention batch of some",
    rl.ShapeError,
    () =>
      disposing(new nn.MultiheadAttention(4, 2), (m) => m.forward(ones([3, 4]), ones([3, 2, 4]))),
    "MultiheadAttention: query [3, 4], key [3, 2, 4], value [3, 2, 4]; " +
      "expected [l, batch, 4], [s, batch, 4], [s, batch, 4], all with or all without batch",
  ],
  [
    "conv2d rank",
    rl.ShapeError,
    () => rl.conv2d(ones([8, 8]), ones([4, 3, 3, 3])),
    "conv2d: input [8, 8] and weight [4, 3, 3, 3]; expected [n, c, h, w] or [c, h, w], and [o, c/groups, kh, kw]",
  ],
  [
    "conv2d channels",
    rl.ShapeError,
    () => rl.conv2d(ones([1, 2, 8, 8]), ones([4, 3, 3, 3])),
    "conv2d: input [1, 2, 8, 8] has 2 channels; weight [4, 3, 3, 3] with groups 1 expects 3",
  ],
  [
    "conv2d kernel",
    rl.ShapeError,
    () => rl.conv2d(ones([1, 1, 2, 8]), ones([1, 1, 3, 3])),
    "conv2d: the kernel covers 3 rows, the padded input has 2 (input [1, 1, 2, 8], weight [1, 1, 3, 3]); use a smaller kernel or more padding",
  ],
  [
    "conv2d stride",
    rl.ValueError,
    () => rl.conv2d(ones([1, 1, 4, 4]), ones([1, 1, 3, 3]), null, { stride: 0 }),
    "conv2d: stride is 0; expected a whole number from 1 up, or a pair of them",
  ],
  [
    "conv2d groups",
    rl.ValueError,
    () => rl.conv2d(ones([1, 4, 4, 4]), ones([3, 2, 3, 3]), null, { groups: 2 }),
    "conv2d: groups is 2; expected a whole number from 1 up that divides the 3 output channels",
  ],
  [
    "indexSelect index",
    rl.ValueError,
    () => rl.indexSelect(ones([3, 2]), 0, tensor([0, 3], { dtype: "int32" })),
    "indexSelect: index 3 at element 1 is outside [0, 3)",
  ],
  [
    "indexSelect rank",
    rl.ShapeError,
    () => rl.indexSelect(ones([3, 2]), 0, tensor([[0, 1]], { dtype: "int32" })),
    "indexSelect: index [1, 2]; expected one dimension",
  ],
  [
    "indexSelect dtype",
    rl.ValueError,
    () => rl.indexSelect(ones([3, 2]), 0, ones([2])),
    "indexSelect: ones float32 [2] has dtype float32; expected int32 (convert with .to(dtype))",
  ],
  [
    "embedding index",
    rl.ValueError,
    () => rl.embedding(tensor([5], { dtype: "int32" }), ones([3, 2])),
    "embedding: index 5 at element 0 is outside [0, 3)",
  ],
  [
    "embedding weight",
    rl.ShapeError,
    () => rl.embedding(tensor([5], { dtype: "int32" }), ones([3])),
    "embedding: weight [3]; expected [rows, width]",
  ],
  [
    "embedding padding",
    rl.ValueError,
    () => rl.embedding(tensor([1], { dtype: "int32" }), ones([3, 2]), { paddingIdx: 3 }),
    "embedding: paddingIdx is 3; expected a whole number from -3 to 2",
  ],
  [
    "embedding norm",
    rl.ValueError,
    () => rl.embedding(tensor([1], { dtype: "int32" }), ones([3, 2]), { maxNorm: -1 }),
    "embedding: maxNorm is -1; expected a number > 0",
  ],
  [
    "Linear weight",
    rl.ShapeError,
    () => new nn.Linear(3, 2, { weight: ones([3, 2]) }),
    "Linear: weight has the shape [3, 2]; expected [2, 3]",
  ],
  [
    "Embedding weight that is no parameter",
    rl.ValueError,
    () => new nn.Embedding(3, 2, { weight: ones([3, 2]) }),
    "Embedding: weight is ones float32 [3, 2], not a parameter; expected one of another module, or nn.parameter(x)",
  ],
  [
    "Embedding norm",
    rl.ValueError,
    () => new nn.Embedding(3, 2, { maxNorm: 1, normType: 0 }),
    "Embedding: normType is 0; expected a number > 0",
  ],
  [
    "gather index",
    rl.ValueError,
    () => rl.gather(ones([3, 2]), 0, tensor([[0, -1]], { dtype: "int32" })),
    "gather: index -1 at element 1 is outside [0, 3)",
  ],
  [
    "gather shape",
    rl.ShapeError,
    () => rl.gather(ones([3, 2]), 0, tensor([[0, 1, 2]], { dtype: "int32" })),
    "gather: index [1, 3] for [3, 2]; expected as many dimensions, none but 0 longer",
  ],
  [
    "scatterAdd src",
    rl.ShapeError,
    () => rl.scatterAdd(ones([3, 2]), 0, tensor([[0, 1]], { dtype: "int32" }), ones([1, 1])),
    "scatterAdd: src [1, 1]; expected at least the extents of the index [1, 2]",
  ],
  [
    "indexAdd src",
    rl.ShapeError,
    () => rl.indexAdd(ones([3, 2]), 0, tensor([0, 1], { dtype: "int32" }), ones([1, 1])),
    "indexAdd: src [1, 1]; expected [2, 2] for 2 indices into dimension 0 of [3, 2]",
  ],
  [
    "oneHot",
    rl.ValueError,
    () => rl.oneHot(tensor([1, 4], { dtype: "int32" }), 3),
    "oneHot: index 4 at element 1 is outside [0, 3)",
  ],
  [
    "oneHot classes",
    rl.ValueError,
    () => rl.oneHot(tensor([1, 4], { dtype: "int32" }), 0),
    "oneHot: numClasses is 0; expected a whole number from 1 up",
  ],
  [
    "topk",
    rl.ShapeError,
    () => rl.topk(ones([3]), 4),
    "topk: k is 4 for dimension 0 of [3]; expected a whole number from 0 to 3",
  ],
  [
    "pad pairs",
    rl.ValueError,
    () => rl.pad(ones([3]), [1]),
    "pad: padding [1] for [3]; expected up to 1 pairs of whole numbers",
  ],
  [
    "pad mode",
    rl.ValueError,
    () => rl.pad(ones([3]), [1, 1], { mode: "edge" as never }),
    'pad: mode is "edge"; expected constant, reflect, replicate, circular',
  ],
  [
    "pad reflect",
    rl.ShapeError,
    () => rl.pad(ones([3]), [3, 0], { mode: "reflect" }),
    'pad: [3, 0] for dimension 0 of [3]; mode "reflect" needs elements to repeat, expected at most 2',
  ],
  [
    "pad crop",
    rl.ShapeError,
    () => rl.pad(ones([3]), [-2, -2]),
    "pad: [-2, -2] for dimension 0 of [3] crops more than there is",
  ],
  [
    "roll",
    rl.ValueError,
    () => rl.roll(ones([3, 2]), [1, 2], [0]),
    "roll: shifts [1, 2] for dims [0]; expected one whole number for each",
  ],
  [
    "tile",
    rl.ValueError,
    () => rl.tile(ones([3]), [-1]),
    "tile: repeats [-1]; expected whole numbers from 0 up",
  ],
  [
    "chunk",
    rl.ValueError,
    () => rl.chunk(ones([3]), 0),
    "chunk: chunks is 0; expected a whole number from 1 up",
  ],
  [
    "chunk of a scalar",
    rl.ShapeError,
    () => rl.chunk(ones([]), 1),
    "chunk: a 0-dimensional tensor cannot be cut; reshape it to [1]",
  ],
  ["tril", rl.ShapeError, () => rl.tril(ones([3])), "tril: [3]; expected [..., rows, columns]"],
  [
    "triu",
    rl.ValueError,
    () => rl.triu(ones([3, 3]), 0.5),
    "triu: diagonal is 0.5; expected a whole number",
  ],
  [
    "norm",
    rl.ValueError,
    () => rl.norm(ones([3]), NaN),
    "norm: ord is NaN; expected a number, Infinity or -Infinity",
  ],
  [
    "variance",
    rl.ValueError,
    () => rl.variance(ones([3]), 0, { correction: NaN }),
    "variance: correction is NaN; expected a finite number",
  ],
  [
    "Embedding",
    rl.ValueError,
    () => new nn.Embedding(0, 3),
    "Embedding: numEmbeddings is 0; expected a whole number from 1 up",
  ],
  [
    "conv1d rank",
    rl.ShapeError,
    () => rl.conv1d(ones([8]), ones([4, 3, 3])),
    "conv1d: input [8] and weight [4, 3, 3]; expected [n, c, l] or [c, l], and [o, c/groups, k]",
  ],
  [
    "conv1d named padding",
    rl.ValueError,
    () => rl.conv1d(ones([3, 8]), ones([4, 3, 3]), null, { padding: "full" as never }),
    'conv1d: padding is "full"; expected "same", "valid" or numbers',
  ],
  [
    "conv2d same padding with a stride",
    rl.ValueError,
    () => rl.conv2d(ones([3, 8, 8]), ones([4, 3, 3, 3]), null, { padding: "same", stride: [1, 2] }),
    'conv2d: padding is "same" with stride 2; expected stride 1, as only that keeps the extents, or padding in numbers',
  ],
  [
    "Conv2d same padding with a stride",
    rl.ValueError,
    () => new nn.Conv2d(1, 1, 3, { padding: "same", stride: 2 }),
    'Conv2d: padding is "same" with stride 2; expected stride 1, as only that keeps the extents, or padding in numbers',
  ],
  [
    "Conv1d paddingMode",
    rl.ValueError,
    () => new nn.Conv1d(1, 1, 3, { paddingMode: "mirror" as never }),
    'Conv1d: paddingMode is "mirror"; expected "zeros", "reflect", "replicate", "circular"',
  ],
  [
    "convTranspose1d rank",
    rl.ShapeError,
    () => rl.convTranspose1d(ones([1, 1, 3, 8]), ones([4, 3, 3])),
    "convTranspose1d: input [1, 1, 3, 8] and weight [4, 3, 3]; expected [n, c, l] or [c, l], and [c, o/groups, k]",
  ],
  [
    "ConvTranspose2d output size",
    rl.ShapeError,
    () =>
      disposing(new nn.ConvTranspose2d(1, 1, 3, { stride: 2 }), (layer) =>
        layer.forward(ones([1, 4, 4]), [9, 11]),
      ),
    "ConvTranspose2d: outputSize is [9, 11]; expected [9, 9] to [10, 10] for ones float32 [1, 4, 4]",
  ],
  [
    "maxPool1d rank",
    rl.ShapeError,
    () => rl.maxPool1d(ones([4]), 2),
    "maxPool1d: input [4]; expected [n, c, l] or [c, l]",
  ],
  [
    "avgPool2d rank",
    rl.ShapeError,
    () => rl.avgPool2d(ones([4, 4]), 2),
    "avgPool2d: input [4, 4]; expected [n, c, h, w] or [c, h, w]",
  ],
  [
    "adaptiveMaxPool2d rank",
    rl.ShapeError,
    () => rl.adaptiveMaxPool2d(ones([4, 4]), 2),
    "adaptiveMaxPool2d: input [4, 4]; expected [n, c, h, w] or [c, h, w] with at least one row and column",
  ],
  [
    "adaptiveAvgPool1d size",
    rl.ValueError,
    () => rl.adaptiveAvgPool1d(ones([4, 4]), 0),
    "adaptiveAvgPool1d: outputSize is 0; expected a whole number from 1 up",
  ],
  [
    "conv1d kernel",
    rl.ShapeError,
    () => rl.conv1d(ones([1, 1, 3]), ones([1, 1, 3]), null, { dilation: 2, padding: 0 }),
    "conv1d: the kernel covers 5 columns, the padded input has 3 (input [1, 1, 3], weight [1, 1, 3]); use a smaller kernel or more padding",
  ],
  [
    "conv1d stride",
    rl.ValueError,
    () => rl.conv1d(ones([1, 1, 3]), ones([1, 1, 3]), null, { stride: 0.5 }),
    "conv1d: stride is 0.5; expected a whole number from 1 up",
  ],
  [
    "convTranspose2d channels",
    rl.ShapeError,
    () => rl.convTranspose2d(ones([1, 2, 4, 4]), ones([3, 2, 3, 3])),
    "convTranspose2d: input [1, 2, 4, 4] has 2 channels; weight [3, 2, 3, 3] expects 3",
  ],
  [
    "convTranspose2d bias",
    rl.ShapeError,
    () => rl.convTranspose2d(ones([1, 2, 4, 4]), ones([2, 3, 3, 3]), ones([2])),
    "convTranspose2d: bias has the shape [2]; expected [3], one number per output channel",
  ],
  [
    "convTranspose2d outputPadding",
    rl.ValueError,
    () => rl.convTranspose2d(ones([1, 2, 4, 4]), ones([2, 2, 3, 3]), null, { outputPadding: 1 }),
    "convTranspose2d: outputPadding is [1,1]; expected less than stride [1,1] or dilation [1,1]",
  ],
  [
    "convTranspose2d padding",
    rl.ShapeError,
    () => rl.convTranspose2d(ones([1, 1, 1, 1]), ones([1, 1, 2, 2]), null, { padding: 1 }),
    "convTranspose2d: nothing is left of the rows (input [1, 1, 1, 1], weight [1, 1, 2, 2], padding [1,1]); use less padding",
  ],
  [
    "layerNorm shape",
    rl.ShapeError,
    () => rl.layerNorm(ones([2, 3]), [2]),
    "layerNorm: normalizedShape is [2]; expected the last dimensions of ones float32 [2, 3]",
  ],
  [
    "rmsNorm weight",
    rl.ShapeError,
    () => rl.rmsNorm(ones([2, 3]), 3, { weight: ones([2]) }),
    "rmsNorm: weight has the shape [2]; expected normalizedShape, [3]",
  ],
  [
    "layerNorm residual",
    rl.ShapeError,
    () => rl.layerNorm(ones([2, 3]), 3, { residual: ones([3]) }),
    "layerNorm: residual is ones float32 [3]; expected the shape and dtype of ones float32 [2, 3]",
  ],
  [
    "layerNorm eps",
    rl.ValueError,
    () => rl.layerNorm(ones([2, 3]), 3, { eps: -1 }),
    "layerNorm: eps is -1; expected a number ≥ 0",
  ],
  [
    "groupNorm groups",
    rl.ValueError,
    () => rl.groupNorm(ones([2, 3]), 2),
    "groupNorm: numGroups is 2; expected a whole number from 1 up that divides the 3 channels",
  ],
  [
    "GroupNorm",
    rl.ValueError,
    () => new nn.GroupNorm(2, 3),
    "GroupNorm: numGroups is 2; expected a divisor of 3 channels",
  ],
  [
    "ConvTranspose2d",
    rl.ValueError,
    () => new nn.ConvTranspose2d(4, 3, 3, { groups: 2 }),
    "ConvTranspose2d: groups is 2; expected a divisor of 4 input and 3 output channels",
  ],
  [
    "adaptiveAvgPool2d",
    rl.ShapeError,
    () => rl.adaptiveAvgPool2d(ones([4, 4]), 1),
    "adaptiveAvgPool2d: input [4, 4]; expected [n, c, h, w] or [c, h, w] with at least one row and column",
  ],
  [
    "upsample",
    rl.ValueError,
    () => rl.upsample(ones([1, 4, 4]), {}),
    "upsample: neither size nor scaleFactor is given; expected one of them",
  ],
  [
    "upsample mode",
    rl.ValueError,
    () => rl.upsample(ones([1, 4, 4]), { size: 2, mode: "cubic" as "bicubic" }),
    'upsample: mode is "cubic"; expected "nearest", "nearest-exact", "linear", "bilinear", "bicubic" or "area"',
  ],
  [
    "upsample linear",
    rl.ShapeError,
    () => rl.upsample(ones([1, 1, 4, 4]), { size: 2, mode: "linear" }),
    'upsample: input [1, 1, 4, 4] with mode "linear"; expected [n, c, l] or [c, l] with at least one element',
  ],
  [
    "upsample linear size",
    rl.ValueError,
    () => rl.upsample(ones([1, 4, 4]), { size: [2, 2], mode: "linear" }),
    "upsample: size is [2,2]; expected a whole number from 1 up",
  ],
  [
    "upsample alignCorners",
    rl.ValueError,
    () => rl.upsample(ones([1, 4, 4]), { size: 2, mode: "nearest-exact", alignCorners: true }),
    'upsample: alignCorners is true with mode "nearest-exact"; it needs mode "linear", "bilinear" or "bicubic"',
  ],
  [
    "batchNorm momentum",
    rl.ShapeError,
    () => rl.batchNorm(ones([2, 1]), { momentum: ones([1]) }),
    "batchNorm: momentum is ones float32 [1]; expected a number, or a 0-dimensional tensor",
  ],
  [
    "maxUnpool2d",
    rl.ShapeError,
    () => rl.maxUnpool2d(ones([1, 1, 2, 2]), rl.zeros([1, 1, 2, 3], { dtype: "int32" }), 2),
    "maxUnpool2d: input [1, 1, 2, 2] and indices [1, 1, 2, 3]; expected both [n, c, oh, ow] or [c, oh, ow]",
  ],
  [
    "maxUnpool2d places",
    rl.ValueError,
    () => rl.maxUnpool2d(ones([1, 1, 1, 1]), rl.full([1, 1, 1, 1], 4, { dtype: "int32" }), 2),
    "maxUnpool2d: index 4 is outside of the 4 places of a channel; give the outputSize that was pooled",
  ],
  [
    "gridSample",
    rl.ShapeError,
    () => rl.gridSample(ones([1, 1, 2, 2]), ones([1, 2, 2, 3])),
    "gridSample: input [1, 1, 2, 2] and grid [1, 2, 2, 3]; expected [n, c, h, w] with at least one row and column, and [n, oh, ow, 2]",
  ],
  [
    "gridSample mode",
    rl.ValueError,
    () => rl.gridSample(ones([1, 1, 2, 2]), ones([1, 2, 2, 2]), { mode: "cubic" as "bicubic" }),
    'gridSample: mode is "cubic"; expected one of "bilinear", "nearest", "bicubic"',
  ],
  [
    "prelu",
    rl.ShapeError,
    () => rl.prelu(ones([2, 3, 4]), ones([2])),
    "prelu: weight [2] for [2, 3, 4]; expected [1], or [3], one number per channel",
  ],
  [
    "glu",
    rl.ShapeError,
    () => rl.glu(ones([2, 3])),
    "glu: dimension -1 of [2, 3]; expected an even extent, for two halves",
  ],
  [
    "fmod",
    rl.ValueError,
    () => rl.fmod(1, 2),
    "fmod: both operands are numbers; at least one must be a tensor",
  ],
  [
    "upsample scaleFactor",
    rl.ShapeError,
    () => rl.upsample(ones([1, 4, 4]), { scaleFactor: 0.2 }),
    "upsample: scaleFactor [0.2,0.2] leaves nothing of [1, 4, 4]; use a larger one",
  ],
  [
    "einsum operands",
    rl.ValueError,
    () => rl.einsum("ij,jk", ones([2, 3])),
    'einsum: "ij,jk" for 1 operands; expected one part for each, separated by commas, and at most one "->"',
  ],
  [
    "einsum part",
    rl.ValueError,
    () => rl.einsum("i1->i", ones([2, 3])),
    'einsum: "i1->i" has the part "i1"; expected letters and at most one "..."',
  ],
  [
    "einsum rank",
    rl.ShapeError,
    () => rl.einsum("ijk->i", ones([2, 3])),
    'einsum: "ijk" in "ijk->i" names 3 dimensions; its operand is [2, 3]',
  ],
  [
    "einsum diagonal",
    rl.ShapeError,
    () => rl.einsum("ii", ones([2, 3])),
    'einsum: "i" in "ii" names dimensions of 2 and 3 in [2, 3]; a diagonal needs equal ones',
  ],
  [
    "einsum result",
    rl.ValueError,
    () => rl.einsum("ij->k", ones([2, 3])),
    'einsum: "k" in the result of "ij->k"; expected labels of the operands, each once',
  ],
  [
    "einsum extents",
    rl.ShapeError,
    () => rl.einsum("ij,jk", ones([2, 3]), ones([4, 5])),
    'einsum: "j" in "ij,jk" is 3 and 4; extents must be equal or 1',
  ],
  [
    "maxPool2d",
    rl.ShapeError,
    () => rl.maxPool2d(ones([1, 1, 2, 2]), 3),
    "maxPool2d: the kernel [3,3] (dilation [1,1]) does not fit into [1, 1, 2, 2] with padding [0,0]",
  ],
  [
    "maxPool2d padding",
    rl.ValueError,
    () => rl.maxPool2d(ones([1, 1, 4, 4]), 2, { padding: 2 }),
    "maxPool2d: padding [2,2] is more than half of the kernel [2,2]; windows of nothing but padding have no value",
  ],
  [
    "maxPool2d activation",
    rl.ValueError,
    () => rl.maxPool2d(ones([1, 1, 4, 4]), 2, { activation: "tanh" as "relu" }),
    'maxPool2d: activation is "tanh"; expected "relu" (others do not commute with it: call them on the result)',
  ],
  [
    "crossEntropy target",
    rl.ValueError,
    () => rl.crossEntropy(ones([2, 10]), tensor([3, 12], { dtype: "int32" })),
    "crossEntropy: target[1] is 12, outside [0, 10) and not ignoreIndex -100",
  ],
  [
    "crossEntropy shapes",
    rl.ShapeError,
    () => rl.crossEntropy(ones([2, 10]), tensor([3], { dtype: "int32" })),
    "crossEntropy: input [2, 10] has class indices of the shape [2]; found [1]",
  ],
  [
    "mseLoss",
    rl.ShapeError,
    () => rl.mseLoss(ones([2]), ones([3])),
    "mseLoss: shapes do not broadcast: [2] and [3] (dimension 0: 2 vs 3; aligned at the right, extents must be equal or 1)",
  ],
  [
    "Dropout2d rank",
    rl.ShapeError,
    () => new nn.Dropout2d().forward(ones([2, 3])),
    "Dropout2d: found ones float32 [2, 3]; expected [n, c, h, w]",
  ],
  ["Dropout1d p", rl.ValueError, () => new nn.Dropout1d(2), "Dropout1d: p is 2; expected 0 to 1"],
  [
    "Unflatten",
    rl.ShapeError,
    () => new nn.Unflatten(1, [2, 2]).forward(ones([1, 6])),
    "Unflatten: sizes [2, 2] for dimension 1 of ones float32 [1, 6]; expected a product of 6",
  ],
  [
    "TransformerEncoder",
    rl.ValueError,
    () =>
      disposing(new nn.TransformerEncoderLayer(2, 1, { dimFeedforward: 2 }), (layer) => {
        return new nn.TransformerEncoder(() => layer, 2);
      }),
    "TransformerEncoder: makeLayer gave one layer twice; expected a new one each time",
  ],
  [
    "nllLoss target",
    rl.ValueError,
    () => rl.nllLoss(ones([2, 10]), tensor([3, -1], { dtype: "int32" })),
    "nllLoss: target[1] is -1, outside [0, 10) and not ignoreIndex -100",
  ],
  [
    "nllLoss target dtype",
    rl.ValueError,
    () => rl.nllLoss(ones([2, 10]), ones([2])),
    "nllLoss: ones float32 [2] has dtype float32; expected class indices, int32 (for probabilities use klDivLoss or crossEntropy)",
  ],
  [
    "nllLoss weight",
    rl.ShapeError,
    () => rl.nllLoss(ones([2, 3]), rl.arange(2), { weight: ones([2]) }),
    "nllLoss: weight has the shape [2]; expected [3], one number per class",
  ],
  [
    "smoothL1Loss",
    rl.ValueError,
    () => rl.smoothL1Loss(ones([2]), ones([2]), { beta: -1 }),
    "smoothL1Loss: beta is -1; expected a number ≥ 0",
  ],
  [
    "huberLoss",
    rl.ValueError,
    () => rl.huberLoss(ones([2]), ones([2]), { delta: 0 }),
    "huberLoss: delta is 0; expected a number > 0",
  ],
  [
    "bceLoss weight",
    rl.ShapeError,
    () => rl.bceLoss(ones([3]), ones([3]), { weight: ones([2, 3]) }),
    "bceLoss: weight has the shape [2, 3]; expected one that broadcasts to the input's [3]",
  ],
  [
    "bceWithLogitsLoss",
    rl.ShapeError,
    () => rl.bceWithLogitsLoss(ones([3]), ones([3, 1])),
    "bceWithLogitsLoss: input [3] and target [3, 1] must have one shape",
  ],
  [
    "klDivLoss",
    rl.ValueError,
    () => rl.klDivLoss(ones([3]), ones([3]), { reduction: "avg" as "mean" }),
    'klDivLoss: reduction is "avg"; expected "mean", "sum", "none" or "batchmean"',
  ],
  [
    "klDivLoss batchmean",
    rl.ShapeError,
    () => rl.klDivLoss(ones([]), ones([]), { reduction: "batchmean" }),
    'klDivLoss: input is 0-dimensional and has no batch for reduction "batchmean"; expected [n, ...], or use "sum"',
  ],
  [
    "reduction",
    rl.ValueError,
    () => rl.mseLoss(ones([2]), ones([2]), { reduction: "avg" as "mean" }),
    'mseLoss: reduction is "avg"; expected "mean", "sum" or "none"',
  ],
  [
    "reshape",
    rl.ShapeError,
    () => ones([2, 3]).reshape([4]),
    "reshape: [2, 3] has 6 elements, [4] has 4; they must be equal",
  ],
  [
    "reshape -1",
    rl.ShapeError,
    () => ones([2, 3]).reshape([4, -1]),
    "reshape: cannot turn [2, 3] (6 elements) into [4, -1]; at most one extent is -1, and the others must divide the number of elements",
  ],
  [
    "permute",
    rl.ShapeError,
    () => ones([2, 3]).permute([0, 0]),
    "permute: dims [0, 0] for [2, 3]; expected each of its 2 dimensions once",
  ],
  [
    "expand",
    rl.ShapeError,
    () => ones([2, 3]).expand([4, 3]),
    "expand: [2, 3] cannot become [4, 3]; only extents of 1 can be repeated",
  ],
  [
    "concat shapes",
    rl.ShapeError,
    () => rl.concat([ones([2, 3]), ones([3, 4])], 0),
    "concat: input 1 has the shape [3, 4]; expected [2, 3] but for dimension 0",
  ],
  [
    "concat dtypes",
    rl.ValueError,
    () => rl.concat([ones([2]), rl.arange(2)]),
    "concat: input 1 has dtype int32; expected float32 like input 0 (convert with .to(dtype))",
  ],
  [
    "sum",
    rl.ShapeError,
    () => ones([2, 3]).sum(2),
    "sum: dim 2 is out of range for 2 dimensions (expected -2 to 1)",
  ],
  [
    "max of nothing",
    rl.ShapeError,
    () => rl.amax(zeros([2, 0]), 1),
    "amax: [2, 0] has nothing to choose from along [1]",
  ],
  [
    "item",
    rl.ShapeError,
    () => ones([2]).itemSync(),
    "itemSync: ones float32 [2] has 2 elements; expected exactly one (reduce it, or use data())",
  ],
  [
    "copyFrom",
    rl.ShapeError,
    () => ones([2]).copyFrom([1, 2, 3]),
    "copyFrom: 3 numbers for ones float32 [2]; expected 2",
  ],
  [
    "ragged",
    rl.ShapeError,
    () => tensor([[1, 2], [3]]),
    "tensor: nested arrays are ragged: found length 1 at depth 1; expected 2",
  ],
  [
    "tensor shape",
    rl.ShapeError,
    () => tensor([1, 2, 3], { shape: [2] }),
    "tensor: 3 numbers do not fill the shape [2] (2 elements)",
  ],
  [
    "negative extent",
    rl.ShapeError,
    () => zeros([2, -1]),
    "zeros: shape [2, -1] has the extent -1; extents are whole numbers from 0 up",
  ],
  [
    "dropout",
    rl.ValueError,
    () => rl.dropout(ones([2]), { p: 1.5 }),
    "dropout: p is 1.5; expected 0 to 1",
  ],
  [
    "Linear",
    rl.ValueError,
    () => new nn.Linear(0, 3),
    "Linear: inFeatures is 0; expected a whole number from 1 up",
  ],
  [
    "Sequential",
    rl.ValueError,
    () => new nn.Sequential(rl.relu as never),
    "Sequential: argument 0 is a function; expected a Module",
  ],
  [
    "loadStateDict names",
    rl.ValueError,
    () =>
      new nn.Linear(2, 1).loadStateDict({
        weight: { data: new Float32Array(2), shape: [1, 2] },
        extra: { data: new Float32Array(1), shape: [1] },
      }),
    "loadStateDict: missing bias; unknown extra; expected exactly the names that stateDict() gives",
  ],
  [
    "loadStateDict shapes",
    rl.ShapeError,
    () =>
      new nn.Linear(2, 1, { bias: false }).loadStateDict({
        weight: { data: new Float32Array(2), shape: [2, 1] },
      }),
    "loadStateDict: weight has the shape [2, 1]; expected [1, 2]",
  ],
  [
    "float64",
    rl.ValueError,
    () => zeros([1], { dtype: "float64" }),
    'zeros: dtype is "float64"; device "cpu" has float32, int32, bool (float64 exists on "reference")',
  ],
  [
    "unknown device",
    rl.ValueError,
    () => zeros([1], { device: "tpu" as "cpu" }),
    'device: device is "tpu"; expected one of "cpu", "reference", "webgpu"',
  ],
  [
    "two devices",
    rl.BackendError,
    () => ones([1]).add(ones([1], { device: "reference" })),
    'add: inputs 0 and 1 are on different devices ("cpu" and "reference"); make them on one device',
  ],
  [
    "manualSeed",
    rl.ValueError,
    () => rl.manualSeed(-1),
    "manualSeed: seed is -1; expected a whole number from 0 to 2^53 - 1",
  ],
];

for (const [what, kind, f, message] of cases) {
  errors(what, () => {
    const before = memory();
    scope(() => {
      let thrown: unknown;
      try {
        f();
      } catch (error) {
        thrown = error;
      }
      assert.ok(thrown instanceof kind, `${what}: threw ${String(thrown)}`);
      assert.is((thrown as Error).message, message);
    });
    if (!what.startsWith("loadStateDict")) assert.is(memory().storages, before.storages);
  });
}

errors("loadStateDict changes nothing when it fails", () => {
  const model = new nn.Linear(2, 2);
  const before = model.stateDict();
  const bad = { weight: before.weight, bias: { data: new Float32Array(3), shape: [3] } };
  bad.weight = { data: new Float32Array(4).fill(9), shape: [2, 2] };
  assert.throws(() => model.loadStateDict(bad), /bias has the shape \[3\]/);
  assert.equal(model.stateDict(), before);
  model.dispose();
});

errors("init refuses what it does not know", async () => {
  const refuse = async (options: object, message: RegExp): Promise<void> => {
    try {
      await rl.init(options);
    } catch (error) {
      assert.match((error as Error).message, message);
      return;
    }
    assert.unreachable("did not throw");
  };
  await refuse(
    { device: "tpu" },
    /^init: device is "tpu"; expected one of "cpu", "reference", "webgpu"$/,
  );
  await refuse(
    { thread: 2 },
    /^init: unknown option "thread"; expected device, threads, precision, wasm or gpu$/,
  );
  await refuse({ threads: 0 }, /threads: 0/);
  await refuse({ precision: "half" }, /precision: "half"/);
  assert.is(rl.currentDevice(), "cpu");
});

errors.run();
