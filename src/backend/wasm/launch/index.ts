/** What the cpu backend runs: one launcher per kind. */
import type { Launcher } from "../runtime.ts";
import { attentionLaunchers } from "./attention.ts";
import { batchNormLaunchers } from "./batch-norm.ts";
import { convLaunchers } from "./conv.ts";
import { dropout } from "./dropout.ts";
import { accumulate, map, where, zip } from "./elementwise.ts";
import { indexingLaunchers } from "./indexing.ts";
import { layerNorm, layerNormGrad } from "./layer-norm.ts";
import { matmulLaunchers } from "./matmul.ts";
import { cast, concat, copy, fill } from "./movement.ts";
import { mse, mseGrad } from "./mse.ts";
import { norm } from "./norm.ts";
import { optimBaseLaunchers } from "./optim-base.ts";
import { optimWrapperLaunchers } from "./optim-wrapper.ts";
import { optimLaunchers } from "./optim.ts";
import { avgPool2d, avgPool2dGrad, maxPool2d, maxPool2dGrad } from "./pool.ts";
import { recurrentLaunchers } from "./recurrent.ts";
import { argreduce, reduce } from "./reduce.ts";
import { resample } from "./resample.ts";
import { crossEntropy, crossEntropyGrad, softmax } from "./softmax.ts";

export const launchers: Readonly<Record<string, Launcher>> = {
  map,
  zip,
  where,
  accumulate,
  copy,
  concat,
  cast,
  fill,
  reduce,
  argreduce,
  norm,
  softmax,
  softmaxGrad: softmax,
  layerNorm,
  layerNormGrad,
  resample,
  crossEntropy,
  crossEntropyGrad,
  mse,
  mseGrad,
  maxPool2d,
  maxPool2dGrad,
  avgPool2d,
  avgPool2dGrad,
  dropout,
  ...attentionLaunchers,
  ...matmulLaunchers,
  ...convLaunchers,
  ...indexingLaunchers,
  ...batchNormLaunchers,
  ...recurrentLaunchers,
  ...optimLaunchers,
  ...optimBaseLaunchers,
  ...optimWrapperLaunchers,
};
