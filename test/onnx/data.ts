/** Where ONNX' node tests are: one folder for each, with a model and its inputs and outputs. */
import fs from "node:fs";
import path from "node:path";

/** The variable that names the folder, and where packages put it. */
export const variable = "ROADLESS_ONNX_TESTDATA";
const places = [
  "/usr/share/libonnx-testdata/data/node", // Debian and Ubuntu, libonnx-testdata
];

/** The folder of the node tests; null where there is none. */
export function findTests(): string | null {
  const given = process.env[variable];
  const candidates = given ? [given] : places;
  return candidates.find((folder) => fs.existsSync(folder)) ?? null;
}

/** What to do where `findTests` finds none. */
export const advice = `no ONNX node tests found; install the Debian package libonnx-testdata, or set ${variable} to a folder with test_*/model.onnx`;

export function testNames(folder: string): string[] {
  return fs
    .readdirSync(folder)
    .filter((name) => fs.existsSync(path.join(folder, name, "model.onnx")))
    .sort();
}
