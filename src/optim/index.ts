/** The optimizers, as `optim.…`. */
export * from "./averaging/index.ts";
export * from "./base/index.ts";
export type { Clippable, ClipNormOptions, ClipOptions, ClipReport, Measured } from "./clip.ts";
export { clipGradNorm, clipGradValue, clipReport } from "./clip.ts";
export type { GroupDiagnostics } from "./diagnostics.ts";
export { diagnostics, diagnosticsAsync } from "./diagnostics.ts";
export type { GroupOptions, ParamsOrGroups, ParamGroup } from "./optimizer.ts";
export { Optimizer } from "./optimizer.ts";
export type { StateDict, StateValue } from "./state-dict.ts";
export type { ACSAOptions } from "./schedule-free/acsa.ts";
export { ACSA } from "./schedule-free/acsa.ts";
export type {
  AdamWScheduleFreeBaseOptions,
  AdamWScheduleFreeOptions,
} from "./schedule-free/adamw.ts";
export { AdamWScheduleFree, AdamWScheduleFreePaper } from "./schedule-free/adamw.ts";
export { AdamWScheduleFreeClosure, SGDScheduleFreeClosure } from "./schedule-free/closure.ts";
export type { AdamCScheduleFreePlusPaperOptions } from "./schedule-free/adamc.ts";
export { AdamCScheduleFreePlusPaper } from "./schedule-free/adamc.ts";
export type { RAdamScheduleFreeOptions } from "./schedule-free/radam.ts";
export { RAdamScheduleFree, RAdamScheduleFreeClosure } from "./schedule-free/radam.ts";
export type { AdamWScheduleFreeReferenceOptions } from "./schedule-free/reference.ts";
export { AdamWScheduleFreeReference, SGDScheduleFreeReference } from "./schedule-free/reference.ts";
export type { SGDScheduleFreeOptions } from "./schedule-free/sgd.ts";
export { SGDScheduleFree } from "./schedule-free/sgd.ts";
export { ScheduleFreeWrapper, ScheduleFreeWrapperReference } from "./schedule-free/wrapper.ts";
export type { ScheduleFreeWrapperOptions } from "./schedule-free/wrapper-base.ts";
export * from "./schedules/index.ts";
