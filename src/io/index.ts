export { loadSafetensors, saveSafetensors, saveSafetensorsAsync } from "./file.ts";
export type {
  SafetensorsContent,
  SafetensorsDType,
  SafetensorsInput,
  StoredArray,
} from "./safetensors.ts";
export { decodeSafetensors, encodeSafetensors, encodeSafetensorsAsync } from "./safetensors.ts";
