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
export type { AttentionResult, MultiheadAttentionOptions } from "./attention.ts";
export type { AttentionMasks } from "./attention-masks.ts";
export { BatchNorm1d, BatchNorm2d, recalibrateBatchNorm } from "./batch-norm.ts";
export type { BatchNormLayerOptions } from "./batch-norm.ts";
export { Dropout1d, Dropout2d } from "./channel-dropout.ts";
export { Conv1d, Conv2d } from "./conv.ts";
export type { ConvLayerOptions, PaddingMode } from "./conv.ts";
export { ConvTranspose1d, ConvTranspose2d } from "./conv-transpose.ts";
export { Embedding } from "./embedding.ts";
export * as init from "./init/index.ts";
export { Linear } from "./layers.ts";
export type { LayerOptions, SharedWeight } from "./layers.ts";
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
export { Sequential } from "./sequential.ts";
export {
  AdaptiveAvgPool1d,
  AdaptiveAvgPool2d,
  AdaptiveMaxPool2d,
  AvgPool1d,
  AvgPool2d,
  MaxPool1d,
  MaxPool2d,
} from "./pool.ts";
export { Identity, Unflatten } from "./reshaping.ts";
export { Upsample } from "./resample.ts";
export { Dropout, Flatten, GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Tanh } from "./stateless.ts";
export { TransformerEncoder, TransformerEncoderLayer } from "./transformer-encoder.ts";
export { TransformerDecoder, TransformerDecoderLayer } from "./transformer-decoder.ts";
export type { DecoderMasks } from "./transformer-decoder.ts";
export type { TransformerLayerOptions } from "./transformer-layer.ts";
