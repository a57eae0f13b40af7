/** The two archive formats of a Debian package, written so that the same members give the same bytes: tar (POSIX ustar) and ar. */

export type TarMember =
  | { readonly kind: 'file'; readonly path: string; readonly mode: number; readonly bytes: Uint8Array }
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'link'; readonly path: string; readonly to: string };

const block = 512;

/** Owned by root, and of the beginning of time. Paths have at most 100 bytes. */
export function formatTar(members: readonly TarMember[]): Buffer {
  const parts = members.flatMap((member) => {
    const body = member.kind === 'file' ? Buffer.from(member.bytes) : Buffer.alloc(0);
    return [tarHeader(member, body.length), body, Buffer.alloc((block - (body.length % block)) % block)];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * block)]);
}

/** ar(5), as deb(5) demands it: plain names, each member at an even place. */
export function formatAr(members: readonly { readonly name: string; readonly bytes: Uint8Array }[]): Buffer {
  const parts = members.flatMap(({ name, bytes }) => {
    const fields: [string, number][] = [
      [name, 16],
      ['0', 12],
      ['0', 6],
      ['0', 6],
      ['100644', 8],
      [String(bytes.length), 10],
    ];
    const header = `${fields.map(([text, width]) => text.padEnd(width)).join('')}\`\n`;
    return [Buffer.from(header), Buffer.from(bytes), Buffer.from(bytes.length % 2 === 1 ? '\n' : '')];
  });
  return Buffer.concat([Buffer.from('!<arch>\n'), ...parts]);
}

function tarHeader(member: TarMember, size: number): Buffer {
  const { kind, path } = member;
  if (Buffer.byteLength(path) > 100) throw new TypeError(`${path} is too long for a tar header`);
  const header = Buffer.alloc(block);
  const mode = kind === 'file' ? member.mode : kind === 'directory' ? 0o755 : 0o777;
  header.write(path, 0);
  header.write(`${octal(mode, 7)}\0`, 100);
  header.write(`${octal(0, 7)}\0${octal(0, 7)}\0`, 108);
  header.write(`${octal(size, 11)}\0${octal(0, 11)}\0`, 124);
  header.write(' '.repeat(8), 148);
  header.write({ file: '0', directory: '5', link: '2' }[kind], 156);
  if (kind === 'link') header.write(member.to, 157);
  header.write('ustar\x0000', 257);
  header.write('root', 265);
  header.write('root', 297);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\0 `, 148);
  return header;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}
