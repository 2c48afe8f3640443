import { suite } from "uvu";
import * as assert from "uvu/assert";
import { RoadlessError, ShapeError, ValueError } from "../../src/errors.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  encodeSafetensorsAsync,
} from "../../src/io/index.ts";

const safetensors = suite("safetensors");

const fromBase64 = (text: string) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

// Written by the Python package safetensors 0.8.0 (`serialize`).
const upstream = fromBase64(
  "cAEAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJzdGVwIjoiNyJ9LCLDqS8xMCI6eyJkdHlwZSI6IkY2NCIsInNoYXBl" +
    "IjpbXSwiZGF0YV9vZmZzZXRzIjpbMCw4XX0sImEiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzAsM10sImRhdGFf" +
    "b2Zmc2V0cyI6WzgsOF19LCJiIjp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlsyLDJdLCJkYXRhX29mZnNldHMiOls4" +
    "LDI0XX0sIjkiOnsiZHR5cGUiOiJJMzIiLCJzaGFwZSI6WzJdLCJkYXRhX29mZnNldHMiOlsyNCwzMl19LCJieXRl" +
    "cyI6eyJkdHlwZSI6IlU4Iiwic2hhcGUiOlsxXSwiZGF0YV9vZmZzZXRzIjpbMzIsMzNdfSwibWFzayI6eyJkdHlw" +
    "ZSI6IkJPT0wiLCJzaGFwZSI6WzNdLCJkYXRhX29mZnNldHMiOlszMywzNl19fZqZmZmZmbk/AADAPwAAAMAAAAAA" +
    "AACAf/////////9//wEAAQ==",
);
const tensors = {
  b: { data: Float32Array.of(1.5, -2, 0, Infinity), shape: [2, 2] },
  "é/10": { data: Float64Array.of(0.1), shape: [] },
  a: { data: new Float32Array(0), shape: [0, 3] },
  // Numeric names come first in JavaScript objects, whatever the order of writing.
  9: { data: Int32Array.of(-1, 2 ** 31 - 1), shape: [2] },
  mask: { data: Uint8Array.of(1, 0, 1), shape: [3], dtype: "bool" },
  bytes: { data: Uint8Array.of(255), shape: [1] },
};
const dtypes = { b: "F32", "é/10": "F64", a: "F32", 9: "I32", mask: "BOOL", bytes: "U8" };

safetensors("writes the bytes that upstream writes", () => {
  assert.equal(encodeSafetensors(tensors, { step: "7" }), upstream);
  // In whatever order the tensors come, from a Map too.
  const reversed = new Map(Object.entries(tensors).toReversed());
  assert.equal(encodeSafetensors(reversed, { step: "7" }), upstream);
});

safetensors("reads what upstream writes", () => {
  const content = decodeSafetensors(upstream);
  assert.equal(content.metadata, { step: "7" });
  assert.equal([...content.tensors.keys()], ["é/10", "a", "b", "9", "bytes", "mask"]);
  for (const [name, { data, shape }] of Object.entries(tensors)) {
    const dtype = dtypes[name as keyof typeof dtypes];
    assert.equal(content.tensors.get(name), { data, shape, dtype });
  }
});

safetensors("reads float16, bfloat16 and int64 of upstream", () => {
  const bytes = fromBase64(
    "sAAAAAAAAAB7Imk2NCI6eyJkdHlwZSI6Ikk2NCIsInNoYXBlIjpbNF0sImRhdGFfb2Zmc2V0cyI6WzAsMzJdfSwi" +
      "YmYxNiI6eyJkdHlwZSI6IkJGMTYiLCJzaGFwZSI6WzZdLCJkYXRhX29mZnNldHMiOlszMiw0NF19LCJmMTYiOnsi" +
      "ZHR5cGUiOiJGMTYiLCJzaGFwZSI6WzEwXSwiZGF0YV9vZmZzZXRzIjpbNDQsNjRdfX0gIP//////////AAAAAAAA" +
      "AAD///9/AAAAAAAAAID/////gD8AwIB/wH8BAKs+ADwAwP97AQAAfAD8AH4AgAAEVDU=",
  );
  const read = decodeSafetensors(bytes).tensors;
  const values = (name: string) => Array.from(read.get(name)!.data);
  assert.equal(values("i64"), [-1, 0, 2 ** 31 - 1, -(2 ** 31)]);
  assert.instance(read.get("i64")!.data, Int32Array);
  assert.is(read.get("f16")!.dtype, "F16");
  const f16 = [1, -2, 65504, 2 ** -24, Infinity, -Infinity, NaN, -0, 2 ** -14, 0.3330078125];
  values("f16").forEach((value, i) => assert.ok(Object.is(value, f16[i])));
  const bf16 = [1, -2, Infinity, NaN, 2 ** -133, 0.333984375];
  values("bf16").forEach((value, i) => assert.ok(Object.is(value, bf16[i])));
});

/** A file with this header, padded or not, and this many bytes of data. */
function file(header: unknown, dataBytes = 0): Uint8Array {
  const text = typeof header === "string" ? header : JSON.stringify(header);
  const encoded = new TextEncoder().encode(text);
  const bytes = new Uint8Array(8 + encoded.length + dataBytes);
  new DataView(bytes.buffer).setUint32(0, encoded.length, true);
  bytes.set(encoded, 8);
  return bytes;
}

safetensors("round trips keep every bit, and views write only what they show", () => {
  const bits = Uint32Array.of(0x7fc00001, 0xffc12345, 0x80000000, 1);
  const window = new Float32Array(bits.buffer).subarray(1, 3);
  const bytes = encodeSafetensors({ x: { data: window, shape: [2, 1] } });
  const { data } = decodeSafetensors(bytes).tensors.get("x")!;
  assert.equal(new Uint32Array(data.buffer), bits.slice(1, 3));
  const again = encodeSafetensors(decodeSafetensors(upstream).tensors, { step: "7" });
  assert.equal(again, upstream);
});

safetensors("reads from a window at an odd offset, and headers of any length", () => {
  const window = new Uint8Array([1, 2, 3, ...upstream, 4]).subarray(3, 3 + upstream.length);
  assert.equal(decodeSafetensors(window), decodeSafetensors(upstream));
  for (const pad of ["", " ", "  ", "   "]) {
    const header = `{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}${pad}`;
    assert.equal(decodeSafetensors(file(header, 4)).tensors.get("x")!.data, Float32Array.of(0));
  }
});

safetensors("what was read does not share memory with the bytes", () => {
  const bytes = upstream.slice();
  const { data } = decodeSafetensors(bytes).tensors.get("bytes")!;
  bytes.fill(0);
  assert.equal(data, Uint8Array.of(255));
});

safetensors("data begin at a multiple of 8, headers are padded with spaces", () => {
  for (const name of ["a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "abcdefgh"]) {
    const bytes = encodeSafetensors({ [name]: { data: Float64Array.of(1), shape: [1] } });
    assert.is(bytes.length % 8, 0);
    const header = new TextDecoder().decode(bytes.subarray(8, bytes.length - 8));
    assert.match(header, /^\{.*\} *$/);
    assert.is(bytes[0], header.length);
  }
});

safetensors("nothing at all is a file too", () => {
  const bytes = encodeSafetensors({});
  assert.is(bytes.length, 16);
  assert.equal(decodeSafetensors(bytes), { tensors: new Map(), metadata: {} });
});

safetensors("names and metadata may be any text", () => {
  const names = ["", "__proto__", "constructor", '"\\\n\u0000', "😀", "0", "entries"];
  const input = new Map(names.map((name, i) => [name, { data: Int32Array.of(i), shape: [] }]));
  const metadata = JSON.parse('{"__proto__":"a\\"b","":"é\\u0000"}') as Record<string, string>;
  const content = decodeSafetensors(encodeSafetensors(input, metadata));
  names.forEach((name, i) => assert.is(content.tensors.get(name)?.data[0], i));
  assert.equal(Object.entries(content.metadata), Object.entries(metadata));
  assert.is(content.tensors.size, names.length);
  // A record with a tensor of the name of a Map's method.
  const record = { entries: { data: Int32Array.of(3), shape: [1] } };
  assert.is(decodeSafetensors(encodeSafetensors(record)).tensors.size, 1);
});

safetensors("takes tensors by their dataSync, and by their data", async () => {
  const tensor = (data: Float32Array | Uint8Array, dtype: string) => ({
    shape: [data.length],
    dtype,
    dataSync: () => data,
    data: async () => data,
  });
  const both = {
    x: tensor(Float32Array.of(1, 2), "float32"),
    y: tensor(Uint8Array.of(1, 0), "bool"),
  };
  const bytes = encodeSafetensors(both, { from: "here" });
  assert.equal(await encodeSafetensorsAsync(both, { from: "here" }), bytes);
  const { tensors } = decodeSafetensors(bytes);
  assert.equal(tensors.get("x"), { data: Float32Array.of(1, 2), shape: [2], dtype: "F32" });
  assert.equal(tensors.get("y"), { data: Uint8Array.of(1, 0), shape: [2], dtype: "BOOL" });
});

const refuses = (
  fn: () => unknown,
  message: string | RegExp,
  type: typeof RoadlessError = ValueError,
) => {
  assert.throws(fn, (error: unknown) => {
    assert.instance(error, type);
    const text = (error as Error).message;
    if (typeof message === "string") assert.is(text, message);
    else assert.match(text, message);
    return true;
  });
};

safetensors("refuses to write what the format cannot hold", () => {
  const x = { data: Float32Array.of(1), shape: [1] };
  refuses(
    () => encodeSafetensors({ x: { ...x, shape: [2] } }),
    'encodeSafetensors: "x" has 1 elements; its shape [2] has 2',
    ShapeError,
  );
  refuses(
    () => encodeSafetensors({ __metadata__: x }),
    'encodeSafetensors: a tensor is named "__metadata__", which the format reserves',
  );
  refuses(
    () => encodeSafetensors({ "a\ud800": x }),
    'encodeSafetensors: the name "a\\ud800" holds half of a surrogate pair; expected valid Unicode',
  );
  refuses(
    () => encodeSafetensors({ x }, { step: 7 as unknown as string }),
    'encodeSafetensors: metadata "step" is 7; expected a string',
  );
  refuses(
    () =>
      encodeSafetensors({ x: { data: new Int16Array(1) as unknown as Int32Array, shape: [1] } }),
    'encodeSafetensors: "x" holds [object Int16Array]; expected a Float32Array, Float64Array, Int32Array or Uint8Array',
  );
});

const x = (fields: object) => ({
  x: { dtype: "F32", shape: [2], data_offsets: [0, 8], ...fields },
});
const types = "F64, F32, F16, BF16, I64, I32, U8, BOOL";
const corrupt: { what: string; bytes: Uint8Array; message: string | RegExp }[] = [
  {
    what: "no bytes",
    bytes: new Uint8Array(0),
    message: "is truncated: 0 bytes; expected at least 8",
  },
  {
    what: "something else",
    bytes: new TextEncoder().encode("PK\x03\x04 this is a zip"),
    message:
      "gives a header length of 7595448452415442000 bytes; expected at most 100000000 (is this a safetensors file?)",
  },
  {
    what: "a truncated header",
    bytes: upstream.subarray(0, 100),
    message: "is truncated: 100 bytes; with its header alone it has 376",
  },
  {
    what: "truncated data",
    bytes: upstream.subarray(0, upstream.length - 1),
    message: "is truncated: 35 bytes of data; the header describes 36",
  },
  {
    what: "bytes after the end",
    bytes: Uint8Array.from([...upstream, 0]),
    message: "has bytes after the last tensor: 37 bytes of data; the header describes 36",
  },
  {
    what: "malformed JSON",
    bytes: file('{"x":'),
    message: /^the header is not valid JSON: ./,
  },
  {
    what: "invalid UTF-8",
    bytes: Uint8Array.from([4, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff, 0x22, 0x7d]),
    message: /^the header is not valid JSON: ./,
  },
  { what: "an empty header", bytes: file(""), message: /^the header is not valid JSON: ./ },
  {
    what: "an array as header",
    bytes: file([1]),
    message: 'the header is [1]; expected a JSON object, beginning with "{"',
  },
  {
    what: "a header that begins with a space",
    bytes: file(" {}"),
    message: 'the header is {}; expected a JSON object, beginning with "{"',
  },
  { what: "a byte order mark", bytes: file("\ufeff{}"), message: /^the header is not valid JSON/ },
  {
    what: "a name twice",
    bytes: file('{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0078":{}}'),
    message: 'the header has the key "x" twice',
  },
  {
    what: "a field twice",
    bytes: file('{"x":{"dtype":"U8","shape":[0],"shape":[0],"data_offsets":[0,0]}}'),
    message: 'the header has the key "shape" twice',
  },
  {
    what: "metadata twice",
    bytes: file('{"__metadata__":{},"__metadata__":{}}'),
    message: 'the header has the key "__metadata__" twice',
  },
  {
    what: "metadata that is no object",
    bytes: file({ __metadata__: ["a"] }),
    message: '__metadata__ is ["a"]; expected an object of strings',
  },
  {
    what: "metadata that is no string",
    bytes: file({ __metadata__: { step: 7 } }),
    message: '__metadata__ "step" is 7; expected a string',
  },
  {
    what: "an entry that is no object",
    bytes: file({ x: null }),
    message: '"x" is null; expected dtype, shape and data_offsets',
  },
  {
    what: "an unknown field",
    bytes: file(x({ scale: 1 }), 8),
    message: '"x" has the field "scale"; expected dtype, shape and data_offsets only',
  },
  {
    what: "an unknown dtype",
    bytes: file(x({ dtype: "F8_E4M3" }), 8),
    message: `"x" has dtype "F8_E4M3"; expected one of ${types}`,
  },
  {
    what: "a dtype of the prototype",
    bytes: file(x({ dtype: "toString" }), 8),
    message: `"x" has dtype "toString"; expected one of ${types}`,
  },
  {
    what: "no dtype",
    bytes: file(x({ dtype: undefined }), 8),
    message: `"x" has dtype missing; expected one of ${types}`,
  },
  {
    what: "a negative extent",
    bytes: file(x({ shape: [-2] }), 8),
    message: '"x" has shape [-2]; expected an array of whole numbers',
  },
  {
    what: "a broken extent",
    bytes: file(x({ shape: [2, 0.5] }), 8),
    message: '"x" has shape [2,0.5]; expected an array of whole numbers',
  },
  {
    what: "a shape that is no array",
    bytes: file(x({ shape: 2 }), 8),
    message: '"x" has shape 2; expected an array of whole numbers',
  },
  {
    what: "three offsets",
    bytes: file(x({ data_offsets: [0, 8, 8] }), 8),
    message: '"x" has data_offsets [0,8,8]; expected [begin, end]',
  },
  {
    what: "offsets in the wrong order",
    bytes: file(x({ data_offsets: [8, 0] }), 8),
    message: '"x" takes -8 bytes (data_offsets [8, 0]); F32 [2] takes 8',
  },
  {
    what: "a size that does not fit the shape",
    bytes: file(x({ shape: [3] }), 8),
    message: '"x" takes 8 bytes (data_offsets [0, 8]); F32 [3] takes 12',
  },
  {
    what: "a shape beyond all sizes",
    bytes: file(x({ shape: [2 ** 53 - 1, 2 ** 53 - 1, 2 ** 53 - 1] }), 8),
    message: /^"x" takes 8 bytes \(data_offsets \[0, 8\]\); F32 \[.*\] takes 2\.9\d*e\+48$/,
  },
  {
    what: "a gap",
    bytes: file({ ...x({}), y: { dtype: "U8", shape: [1], data_offsets: [9, 10] } }, 10),
    message: '"y" begins at byte 9 of the data; expected 8, without gap',
  },
  {
    what: "a gap before the first tensor",
    bytes: file(x({ data_offsets: [4, 12] }), 12),
    message: '"x" begins at byte 4 of the data; expected 0, without gap',
  },
  {
    what: "an overlap",
    bytes: file({ ...x({}), y: { dtype: "U8", shape: [1], data_offsets: [7, 8] } }, 8),
    message: '"y" begins at byte 7 of the data; expected 8, without overlap',
  },
  {
    what: "a BOOL of 2",
    bytes: (() => {
      const bytes = file({ x: { dtype: "BOOL", shape: [2], data_offsets: [0, 2] } }, 2);
      bytes[bytes.length - 1] = 2;
      return bytes;
    })(),
    message: '"x" is BOOL and has 2 at element 1; expected 0 or 1',
  },
  {
    what: "an I64 beyond int32",
    bytes: (() => {
      const bytes = file({ x: { dtype: "I64", shape: [2], data_offsets: [0, 16] } }, 16);
      new DataView(bytes.buffer).setBigInt64(bytes.length - 8, 2n ** 31n, true);
      return bytes;
    })(),
    message:
      '"x" is I64 and has 2147483648 at element 1; only numbers from -2^31 to 2^31 - 1 can be read',
  },
];
for (const { what, bytes, message } of corrupt) {
  safetensors(`refuses ${what}`, () => {
    const prefix = "decodeSafetensors: weights: ";
    const expected =
      typeof message === "string"
        ? prefix + message
        : new RegExp(message.source.replace(/^\^/, `^${prefix}`));
    refuses(() => decodeSafetensors(bytes, "weights"), expected);
  });
}

safetensors("braces, colons, quotes in strings do not confuse the search for repeated keys", () => {
  const metadata = { a: '{"a":1,"a":[', b: '\\"a\\":', 'c":"d': "}]", "\\": ":" };
  assert.equal(decodeSafetensors(encodeSafetensors({}, metadata)).metadata, metadata);
});

const survives = (bytes: Uint8Array) => {
  try {
    assert.instance(decodeSafetensors(bytes).tensors, Map);
  } catch (error) {
    if (!(error instanceof RoadlessError)) throw error;
  }
};

safetensors("every truncation is refused", () => {
  for (let length = 0; length < upstream.length; length++) {
    refuses(() => decodeSafetensors(upstream.slice(0, length)), /^decodeSafetensors: the data: /);
  }
});

safetensors("no change of a byte causes anything but an error of ours", () => {
  const headerEnd = upstream.length - 36;
  const structure = [...'{}[]",:\\ -.019eE\u0000\n'].map((c) => c.charCodeAt(0));
  const bad = upstream.slice();
  for (let at = 0; at < headerEnd; at++) {
    for (let bit = 1; bit < 256; bit *= 2) {
      bad[at] = upstream[at] ^ bit;
      survives(bad);
    }
    for (const byte of structure) {
      bad[at] = byte;
      survives(bad);
    }
    bad[at] = upstream[at];
  }
});

safetensors("bytes taken out or put in cause nothing but an error of ours", () => {
  for (let at = 0; at < upstream.length; at++) {
    survives(Uint8Array.from([...upstream.subarray(0, at), ...upstream.subarray(at + 1)]));
    for (const extra of [0x20, 0x22, 0x2c, 0x30, 0x5b, 0x5c, 0x7b, 0x7d]) {
      survives(Uint8Array.from([...upstream.subarray(0, at), extra, ...upstream.subarray(at)]));
    }
  }
});

safetensors("deep nesting and long strings are no danger", () => {
  const deep = "[".repeat(200_000) + "]".repeat(200_000);
  survives(file(`{"x":${deep}}`));
  const long = { note: "a\\\n".repeat(300_000) };
  assert.equal(decodeSafetensors(encodeSafetensors({}, long)).metadata, long);
});

safetensors.run();
