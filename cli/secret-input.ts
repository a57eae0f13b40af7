/** Reading a value that must not be seen: from a pipe as it is, or typed without an echo. Never from the command line. */

const maxBytes = 1024 * 1024;

export async function readSecret(prompt: string): Promise<Uint8Array> {
  return process.stdin.isTTY ? readHidden(prompt) : readPipe();
}

async function readPipe(): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let total = 0;
  for await (const chunk of process.stdin) {
    total += chunk.length;
    // The server has the exact limit; this only keeps a wrong file from filling the memory.
    if (total > maxBytes) break;
    chunks.push(chunk);
  }
  const value = Buffer.concat(chunks);
  for (const chunk of chunks) chunk.fill(0);
  return value;
}

/** In raw mode the terminal shows nothing, and its keys for ending and erasing come to us. */
function readHidden(prompt: string): Promise<Uint8Array> {
  const { stdin, stderr } = process;
  stderr.write(prompt);
  stdin.setRawMode(true);
  stdin.resume();
  let typed = Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    const end = () => {
      stdin.off('data', take);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write('\n');
    };
    const take = (chunk: Buffer) => {
      for (const byte of chunk) {
        if (byte === 0x03) {
          end();
          typed.fill(0);
          reject(new Error('interrupted; nothing was set'));
          return;
        }
        if (byte === 0x0d || byte === 0x0a || byte === 0x04) {
          end();
          resolve(typed);
          return;
        }
        typed = byte === 0x7f || byte === 0x08 ? withoutLast(typed) : Buffer.concat([typed, Buffer.of(byte)]);
      }
    };
    stdin.on('data', take);
  });
}

/** A character of UTF-8 is erased whole. */
function withoutLast(bytes: Buffer): Buffer<ArrayBuffer> {
  let end = bytes.length - 1;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return Buffer.from(bytes.subarray(0, Math.max(0, end)));
}
