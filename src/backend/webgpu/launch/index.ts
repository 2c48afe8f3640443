/** What the webgpu backend runs: one launcher per kind. */
import type { Launcher } from "../runtime.ts";
import { attentionLaunchers } from "./attention.ts";
import { batchNormLaunchers } from "./batch-norm.ts";
import { convLaunchers } from "./conv.ts";
import { accumulate, map, where, zip } from "./elementwise.ts";
import { indexingLaunchers } from "./indexing.ts";
import { layerNorm, layerNormGrad } from "./layer-norm.ts";
import { dropout, mse, mseGrad } from "./losses.ts";
import { matmulLaunchers } from "./matmul.ts";
import { cast, concat, copy, fill } from "./movement.ts";
import { norm } from "./norm.ts";
import { optimLaunchers } from "./optim.ts";
import { polyakStep, polyakSums } from "./polyak.ts";
import { poolLaunchers } from "./pool.ts";
import { recurrentLaunchers } from "./recurrent.ts";
import { recurrentGradLaunchers } from "./recurrent-grad.ts";
import { argreduce, reduce } from "./reduce.ts";
import { resample } from "./resample.ts";
import { addRows, putRows, scatterAdd } from "./scatter.ts";
import { crossEntropy, crossEntropyGrad, softmax, softmaxGrad } from "./softmax.ts";
import { argsort } from "./sort.ts";

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
  softmax,
  softmaxGrad,
  crossEntropy,
  crossEntropyGrad,
  mse,
  mseGrad,
  dropout,
  layerNorm,
  layerNormGrad,
  resample,
  norm,
  polyakSums,
  polyakStep,
  ...attentionLaunchers,
  addRows,
  putRows,
  scatterAdd,
  argsort,
  ...batchNormLaunchers,
  ...matmulLaunchers,
  ...convLaunchers,
  ...poolLaunchers,
  ...indexingLaunchers,
  ...recurrentLaunchers,
  ...recurrentGradLaunchers,
  ...optimLaunchers,
};
