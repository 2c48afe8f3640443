/**
 * Remainders of divisions, exact: `fmod` has the sign of a, `remainder` that of b. The remainder of a
 * division by 0 is NaN in floats, 0 in int32. See zip.ts.
 */
import { Words } from "./lanes";
import { zip, zipNd, ZipOp } from "./zip";

function remainderF(a: f32, b: f32): f32 {
  const rest = a % b;
  return rest != 0 && rest < 0 != b < 0 ? rest + b : rest;
}

function fmodI(a: i32, b: i32): i32 {
  return b == 0 ? 0 : a % b;
}

function remainderI(a: i32, b: i32): i32 {
  const rest = fmodI(a, b);
  return rest != 0 && rest < 0 != b < 0 ? rest + b : rest;
}

@final
class Fmod implements ZipOp {
  @inline
  v(a: v128, b: v128): v128 {
    let y = f32x4.splat(f32x4.extract_lane(a, 0) % f32x4.extract_lane(b, 0));
    y = f32x4.replace_lane(y, 1, f32x4.extract_lane(a, 1) % f32x4.extract_lane(b, 1));
    y = f32x4.replace_lane(y, 2, f32x4.extract_lane(a, 2) % f32x4.extract_lane(b, 2));
    return f32x4.replace_lane(y, 3, f32x4.extract_lane(a, 3) % f32x4.extract_lane(b, 3));
  }
}

export function fmod_f32(a: usize, b: usize, y: usize, begin: i32, end: i32): void {
  zip<Fmod, Words, Words>(a, b, y, begin, end);
}

export function fmod_nd_f32(
  a: usize,
  b: usize,
  y: usize,
  layout: usize,
  rank: i32,
  begin: i32,
  end: i32,
): void {
  zipNd<Fmod, Words, Words>(a, b, y, layout, rank, begin, end);
}

@final
class Remainder implements ZipOp {
  @inline
  v(a: v128, b: v128): v128 {
    let y = f32x4.splat(remainderF(f32x4.extract_lane(a, 0), f32x4.extract_lane(b, 0)));
    y = f32x4.replace_lane(y, 1, remainderF(f32x4.extract_lane(a, 1), f32x4.extract_lane(b, 1)));
    y = f32x4.replace_lane(y, 2, remainderF(f32x4.extract_lane(a, 2), f32x4.extract_lane(b, 2)));
    return f32x4.replace_lane(y, 3, remainderF(f32x4.extract_lane(a, 3), f32x4.extract_lane(b, 3)));
  }
}

export function remainder_f32(a: usize, b: usize, y: usize, begin: i32, end: i32): void {
  zip<Remainder, Words, Words>(a, b, y, begin, end);
}

export function remainder_nd_f32(
  a: usize,
  b: usize,
  y: usize,
  layout: usize,
  rank: i32,
  begin: i32,
  end: i32,
): void {
  zipNd<Remainder, Words, Words>(a, b, y, layout, rank, begin, end);
}

@final
class FmodI implements ZipOp {
  @inline
  v(a: v128, b: v128): v128 {
    let y = i32x4.splat(fmodI(i32x4.extract_lane(a, 0), i32x4.extract_lane(b, 0)));
    y = i32x4.replace_lane(y, 1, fmodI(i32x4.extract_lane(a, 1), i32x4.extract_lane(b, 1)));
    y = i32x4.replace_lane(y, 2, fmodI(i32x4.extract_lane(a, 2), i32x4.extract_lane(b, 2)));
    return i32x4.replace_lane(y, 3, fmodI(i32x4.extract_lane(a, 3), i32x4.extract_lane(b, 3)));
  }
}

export function fmod_i32(a: usize, b: usize, y: usize, begin: i32, end: i32): void {
  zip<FmodI, Words, Words>(a, b, y, begin, end);
}

export function fmod_nd_i32(
  a: usize,
  b: usize,
  y: usize,
  layout: usize,
  rank: i32,
  begin: i32,
  end: i32,
): void {
  zipNd<FmodI, Words, Words>(a, b, y, layout, rank, begin, end);
}

@final
class RemainderI implements ZipOp {
  @inline
  v(a: v128, b: v128): v128 {
    let y = i32x4.splat(remainderI(i32x4.extract_lane(a, 0), i32x4.extract_lane(b, 0)));
    y = i32x4.replace_lane(y, 1, remainderI(i32x4.extract_lane(a, 1), i32x4.extract_lane(b, 1)));
    y = i32x4.replace_lane(y, 2, remainderI(i32x4.extract_lane(a, 2), i32x4.extract_lane(b, 2)));
    return i32x4.replace_lane(y, 3, remainderI(i32x4.extract_lane(a, 3), i32x4.extract_lane(b, 3)));
  }
}

export function remainder_i32(a: usize, b: usize, y: usize, begin: i32, end: i32): void {
  zip<RemainderI, Words, Words>(a, b, y, begin, end);
}

export function remainder_nd_i32(
  a: usize,
  b: usize,
  y: usize,
  layout: usize,
  rank: i32,
  begin: i32,
  end: i32,
): void {
  zipNd<RemainderI, Words, Words>(a, b, y, layout, rank, begin, end);
}
