/** Strips an ELF file (System V ABI, 64 bit, little-endian) of all that no process maps: symbols, section headers. */

/** The same bytes give the same bytes, which no `strip` promises from one version to the next. */
export function stripElf(file: Buffer): Buffer {
  if (file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1) {
    throw new TypeError('not a 64-bit little-endian ELF file');
  }
  const headers = Number(file.readBigUInt64LE(32));
  const size = file.readUInt16LE(54);
  const count = file.readUInt16LE(56);
  let end = headers + count * size;
  for (let index = 0; index < count; index += 1) {
    const at = headers + index * size;
    end = Math.max(end, Number(file.readBigUInt64LE(at + 8) + file.readBigUInt64LE(at + 32)));
  }
  const stripped = Buffer.from(file.subarray(0, end));
  // e_shoff, e_shentsize, e_shnum, e_shstrndx: there are no sections any more.
  stripped.writeBigUInt64LE(0n, 40);
  stripped.fill(0, 58, 64);
  return stripped;
}
