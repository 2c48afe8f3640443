/** `roadless/vectors`: golden/1 vectors from the float64 reference, for other engines to be checked against. */
export type { MadeData, RunSpec } from "./training-record.ts";
export type { ExportOptions, VectorFamily } from "./export.ts";
export { exportVectors } from "./export.ts";
export type { RowData, RunData, TextData } from "./data.ts";
export type { FloatType, GoldenArray, GoldenFile, JsonNumber, JsonNumbers } from "./format.ts";
export { encodeFile } from "./format.ts";
export { hashOf } from "./hash.ts";
export type { Layer, LayerSpec } from "./model.ts";
export type { InputSpec, OperationRow } from "./operation-record.ts";
export { recordVectors } from "./operation-record.ts";
export type { OperationCase } from "./operation-run.ts";
export type { GoldenAttrs, Operation, OperationInputs } from "./operations.ts";
export { operations } from "./operations.ts";
export type { OptimizerCase } from "./optimizer-record.ts";
export { recordOptimizer } from "./optimizer-record.ts";
export type { CreateOptimizer, OptimizerEvent, OptimizerRunSpec } from "./optimizer-run.ts";
export type { BaseSpec, Groups, OptimizerSpec } from "./optimizers.ts";
