/** Everything that stands under `nn`. */
export {
  CELU,
  ELU,
  GLU,
  Hardshrink,
  Hardsigmoid,
  Hardswish,
  Hardtanh,
  LogSigmoid,
  LogSoftmax,
  Mish,
  PReLU,
  ReLU6,
  SELU,
  Softmax,
  Softplus,
  Softshrink,
  Softsign,
  Tanhshrink,
  Threshold,
} from "./activation.ts";
export { MultiheadAttention } from "./attention.ts";
export type { AttentionMasks, MultiheadAttentionOptions } from "./attention.ts";
export { BatchNorm1d, BatchNorm2d, recalibrateBatchNorm } from "./batch-norm.ts";
export type { BatchNormLayerOptions } from "./batch-norm.ts";
export { Conv1d, ConvTranspose2d } from "./conv.ts";
export { Embedding } from "./embedding.ts";
export * as init from "./init/index.ts";
export { Conv2d, Linear } from "./layers.ts";
export type { LayerOptions } from "./layers.ts";
export {
  BCELoss,
  BCEWithLogitsLoss,
  CrossEntropyLoss,
  HuberLoss,
  KLDivLoss,
  L1Loss,
  MSELoss,
  NLLLoss,
  SmoothL1Loss,
} from "./losses.ts";
export { ModuleList } from "./module-list.ts";
export { buffer, Module, parameter } from "./module.ts";
export type { Layer, StateDict } from "./module.ts";
export { GroupNorm, LayerNorm, RMSNorm } from "./layer-norm.ts";
export type { GroupNormLayerOptions, NormOptions, RMSNormOptions } from "./layer-norm.ts";
export { GRU, LSTM, RNN } from "./recurrent.ts";
export type { LSTMOptions, RecurrentOptions } from "./recurrent.ts";
export { GRUCell, LSTMCell, RNNCell } from "./recurrent-cell.ts";
export type { CellOptions } from "./recurrent-cell.ts";
export { AdaptiveAvgPool2d, Upsample } from "./resample.ts";
export {
  AvgPool2d,
  Dropout,
  Flatten,
  GELU,
  LeakyReLU,
  MaxPool2d,
  ReLU,
  Sequential,
  Sigmoid,
  SiLU,
  Tanh,
} from "./stateless.ts";
export { TransformerEncoderLayer } from "./transformer.ts";
export type { TransformerEncoderLayerOptions } from "./transformer.ts";
