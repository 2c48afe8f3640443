/** Initial values, in place. Names, bounds and defaults as torch.nn.init; each returns its tensor. */
export { constant, dirac, eye, normal, ones, sparse, truncNormal, uniform, zeros } from "./fill.ts";
export type { OrthogonalOptions } from "./orthogonal.ts";
export { orthogonal } from "./orthogonal.ts";
export type { KaimingOptions, Nonlinearity, XavierOptions } from "./scaled.ts";
export {
  calculateGain,
  fans,
  kaimingNormal,
  kaimingUniform,
  xavierNormal,
  xavierUniform,
} from "./scaled.ts";
