/** The README.md that goes with exported files: all that somebody needs who has nothing else. */

export function readme({ version, seed }: { version: string; seed: number }): string {
  return `# Vectors of roadless ${version}

Numbers to check a tensor engine, an autograd, optimizers and a training loop against, in the format golden/1.
They come from roadless's float64 reference, with seed ${seed}: the same version and seed give the same bytes.
\`manifest.json\` lists the files with the number of their cases and the hash (below) of their bytes.

## Every file

    {"format":"golden/1", "source":"...", "file":"ops/conv", "seed":${seed}, ..., "cases":[ {...}, ... ]}

- \`name\` is unique within a file and ends in \`/float64\` or \`/float32\` where both types exist.
- Arrays are flat lists in row-major order with a \`shape\`; \`[]\` is one number.
- Reading a number as float64 gives the exact value. NaN and infinities are the strings "NaN", "Infinity", "-Infinity".
- \`null\` in a list of gradients means "no gradient", not zero.
- float64 cases are float64 throughout. float32: in ops the inputs are float32, the result is computed in float64 and
  rounded; in optim and traces every value that is stored is rounded to float32, scalars stay float64.
- Values agree when |a-b| <= tolerance * max(|b|, s), b being the recorded one, s a scale. NaN agrees with NaN.
- Unknown keys may be ignored.

## ops

    {"op", "attrs", "inputs":[{"name","shape","dtype","data"}], "output", "grad_output", "grads"}

Operations and attributes have PyTorch's names and meaning. \`grads[i]\` is the gradient of sum(output * grad_output) with respect
to input i, summed over outputs where there are several. s = max(1, largest magnitude of the array).
\`edge\`: special input; gradients there must match unless \`grads_informative\`.

Tolerances: forward 1e-13 (float64), 2e-6 (float32); gradients 1e-12, 4e-6; \`ops/shape\` exact.

## optim

    {"class", "dtype", "options", "base"?, "groups", "problem"?, "events"}

Build the class with \`options\` (upstream's names; the rest at its default), over \`groups\` whose options override them. Wrappers:
\`base\` is the optimizer inside, and the groups' options are its. Then play the events, and compare with \`expect\` after each:
\`train\`, \`eval\`; \`set_lr\` of a group; \`step\` with \`grads\` per group and parameter (and for AdamC \`function_value\`, the loss), or
without, by a closure whose loss is 0.5*sum(c*(p-t)^2), c and t from \`problem\`, where \`skip\` leaves parameters out; a \`step\` with
\`error\` must throw and change nothing.

\`expect\`: \`params\`, \`state\` (by upstream's keys), \`groups\` (k, lr, scheduled_lr, lr_max, weight_sum, ...), \`train_mode\`; for closures
\`loss\`, \`y\` and \`grads_at_y\`, as the closure saw them. s = the largest magnitude that the array has had in the case.

Tolerances: 1e-12 (RAdamScheduleFree 1e-9); float32 1e-5, AdamC 3e-5, closures 3e-4. \`lr_schedulers\`: \`lr[i]\` is the rate of step i (from 0 on), 1e-12.
\`swa_utils\`: the average after each event; 1e-13 and 1e-6.

## traces

\`model\`: \`layers\` in order and their \`parameters\`. Initial weights with \`"init":"hash"\`: element i of parameter number t, in unsigned
32-bit arithmetic,

    h = i + 0x9E3779B9*(t+1) + 0x7F4A7C15*seed
    h ^= h >> 16;  h *= 0x85EBCA6B;  h ^= h >> 13;  h *= 0xC2B2AE35;  h ^= h >> 16
    w = float32( (2*(h + 0.5)/4294967296 - 1) / sqrt(fan_in) )

\`initial\` has checksums: \`sum\`, \`sum_sq\` in float64, the \`first\` and \`last\` four values.

\`data\` as rows: \`x\`, class indices \`y\`, \`batch_size\` B; step s (from 0 on) trains on rows s*B ... s*B+B-1 modulo \`train_rows\`; the rows from
\`train_rows\` on are the test set. As text: a character's id is its index in \`vocabulary\`; row b of step s starts at
((s*B + b)*stride) mod (train_length - block - 1) and reads \`block\` characters, its targets are those that follow; the test set is
the windows at \`test_starts\`.

Per step: zero gradients, forward, mean cross entropy (the loss that is recorded, before the update), backward, \`step()\`.
At a checkpoint: checksums of the parameters in train mode (\`y\`); \`eval()\`; with batch norm ten forward passes over the first
training batches in training mode; checksums (\`x\`), test loss and number correct; \`train()\` again.

Tolerances, float64: losses 1e-11 (convolutions 1e-10), checksums 1e-9 (1e-8); float32: losses 1e-5, checksums 3e-4, convolutions: 10 times the
largest of 1e-6 and the drifts in the file (\`f32_vs_f64_max_rel\`, and \`rows_reversed_max_rel\`: the same run with the rows of every batch in reverse
order).

## Hashes

\`step_hashes.float64[s][p]\` (and \`.float32\`): the hash of parameter p, in the order of \`parameters\`, after step s, in train mode. Equal hashes mean
equal bits; an engine that adds in another order will differ, and is no less right: compare by tolerance then. FNV-1a, 32 bits, over
the values' bytes, little-endian (8 for a float64, 4 for a float32):

    h = 0x811C9DC5;  for each byte: h ^= byte;  h = h * 0x01000193 mod 2^32          (written as 8 hexadecimal digits)
`;
}
