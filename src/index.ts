/** roadless: train neural networks anywhere JavaScript runs. The only public surface. */
import { ReferenceBackend } from "./backend/reference/backend.ts";
import { createCpuBackend, createCpuBackendAsync } from "./backend/wasm/backend.ts";
import { registerBackend } from "./device.ts";
import { installMethods } from "./methods.ts";

installMethods();
registerBackend("cpu", { create: createCpuBackend, createAsync: createCpuBackendAsync });
registerBackend("reference", {
  create: () => new ReferenceBackend(),
  createAsync: async () => new ReferenceBackend(),
});
registerBackend("webgpu", {
  createAsync: async (options) =>
    (await import("./backend/webgpu/backend.ts")).createGpuBackend(options),
});

export * as nn from "./nn/index.ts";
export { recalibrateBatchNorm } from "./nn/index.ts";
export * as optim from "./optim/index.ts";
export * from "./data/index.ts";
export * from "./io/index.ts";
export * from "./checkpoint/index.ts";

export type { Capabilities, DeviceName, DType, NdArray, TypedArray } from "./backend/backend.ts";
export type { BackwardOptions } from "./autograd.ts";
export type { ComparedArray, CompareOptions, Difference, Tolerance } from "./compare/index.ts";
export { compare, ComparisonReport } from "./compare/index.ts";
export type { BackwardContext, CustomOp, ForwardContext } from "./custom-op.ts";
export { customOp } from "./custom-op.ts";
export type { Compiled } from "./compile.ts";
export { compile } from "./compile.ts";
export { live } from "./capture.ts";
export type { DeviceOptions } from "./device.ts";
export { backendOf as backend, currentDevice, init, withDevice } from "./device.ts";
export {
  BackendError,
  LifetimeError,
  OutOfMemoryError,
  RoadlessError,
  ShapeError,
  ValueError,
} from "./errors.ts";
export type { GradcheckOptions } from "./gradcheck.ts";
export { gradcheck } from "./gradcheck.ts";
export type { TensorMethods } from "./methods.ts";
export type { TraceEvent, Tracer } from "./op.ts";
export { setTracer } from "./op.ts";
export type { GeneratorState } from "./random.ts";
export { defaultGenerator, Generator, manualSeed } from "./random.ts";
export { checkpoint, isRecomputing } from "./recompute.ts";
export { keep, Scope, scope } from "./scope.ts";
export type { Shape } from "./shape.ts";
export { enableGrad, isRecording, noGrad } from "./tape.ts";
export type { MemoryInfo } from "./tensor.ts";
export { memory, Tensor } from "./tensor.ts";

export * from "./ops/activation.ts";
export * from "./ops/activation-composed.ts";
export type { AttentionOptions, RotaryOptions } from "./ops/attention.ts";
export { rotaryEmbedding, scaledDotProductAttention } from "./ops/attention.ts";
export type { BatchNormOptions } from "./ops/batch-norm.ts";
export { batchNorm } from "./ops/batch-norm.ts";
export type { Dims, ReduceOptions } from "./ops/broadcast.ts";
export { expand, reshape, sum } from "./ops/broadcast.ts";
export type { Operand } from "./ops/common.ts";
export * from "./ops/by-value.ts";
export { cast } from "./ops/common.ts";
export type { Conv1dOptions, ConvOptions, Pair } from "./ops/conv.ts";
export { conv1d, conv2d } from "./ops/conv.ts";
export type { NamedPadding } from "./ops/conv-padding.ts";
export type { ConvTranspose1dOptions, ConvTransposeOptions } from "./ops/conv-transpose.ts";
export { convTranspose1d, convTranspose2d } from "./ops/conv-transpose.ts";
export type { EpilogueOptions, FusedActivation } from "./ops/epilogue.ts";
export * from "./ops/creation.ts";
export * from "./ops/arithmetic.ts";
export * from "./ops/compare.ts";
export { einsum } from "./ops/einsum.ts";
export type { GridSampleOptions } from "./ops/grid-sample.ts";
export { gridSample } from "./ops/grid-sample.ts";
export * from "./ops/hyperbolic.ts";
export * from "./ops/math.ts";
export type { GroupNormOptions, LayerNormOptions, RmsNormOptions } from "./ops/layer-norm.ts";
export { groupNorm, layerNorm, rmsNorm } from "./ops/layer-norm.ts";
export type { EmbeddingOptions } from "./ops/embedding.ts";
export { embedding } from "./ops/embedding.ts";
export { gather, indexAdd, indexSelect, scatterAdd } from "./ops/indexing.ts";
export * from "./ops/loss.ts";
export type { LossOptions, Reduction } from "./ops/loss-common.ts";
export * from "./ops/loss-probability.ts";
export * from "./ops/loss-regression.ts";
export { linear } from "./ops/linear.ts";
export { matmul, outer } from "./ops/matmul.ts";
export * from "./ops/movement.ts";
export type { PadOptions } from "./ops/pad.ts";
export { pad } from "./ops/pad.ts";
export type { AvgPoolOptions, MaxPoolOptions } from "./ops/pool.ts";
export { avgPool2d, maxPool2d } from "./ops/pool.ts";
export type { MaxUnpoolOptions } from "./ops/unpool.ts";
export { maxPool2dWithIndices, maxUnpool2d } from "./ops/unpool.ts";
export { adaptiveMaxPool2d } from "./ops/adaptive-max.ts";
export type { AvgPool1dOptions, MaxPool1dOptions } from "./ops/pool-1d.ts";
export { adaptiveAvgPool1d, avgPool1d, maxPool1d } from "./ops/pool-1d.ts";
export type { DropoutOptions } from "./ops/random.ts";
export { dropout } from "./ops/random.ts";
export type { RecurrentState, RecurrentWeights, SequenceOptions } from "./ops/recurrent.ts";
export { gru } from "./ops/gru.ts";
export { acos, asin, atan, atan2 } from "./ops/inverse-trig.ts";
export { lstm } from "./ops/lstm.ts";
export { rnn } from "./ops/rnn.ts";
export * from "./ops/rearrange.ts";
export { fmod, remainder } from "./ops/remainder.ts";
export { adaptiveAvgPool2d } from "./ops/resample.ts";
export type { UpsampleOptions } from "./ops/upsample.ts";
export { upsample } from "./ops/upsample.ts";
export type { Extremes } from "./ops/reduce.ts";
export { amax, amin, argmax, argmin, max, mean, min } from "./ops/reduce.ts";
export { scatter } from "./ops/scatter.ts";
export { logSoftmax, softmax } from "./ops/softmax.ts";
export type { SortOptions } from "./ops/sort.ts";
export { argsort, sort, topk } from "./ops/sort.ts";
export type { VarianceOptions } from "./ops/statistics.ts";
export { cumsum, logsumexp, norm, prod, std, variance } from "./ops/statistics.ts";
