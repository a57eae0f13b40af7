/** libsodium's verifier, from the package sodium-native: its own JavaScript where the product runs unbuilt, its binary alone where a startup gate verified it. */
import { createRequire } from 'node:module';
import { verifiedProgram } from './program.ts';

/** The part of libsodium that is used here. */
export interface Sodium {
  crypto_sign_verify_detached(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
  crypto_core_ed25519_is_valid_point(point: Uint8Array): boolean;
}

/** The functions as the binary has them: each view as buffer, offset and length. */
interface Binding {
  crypto_sign_verify_detached(...views: readonly (ArrayBufferLike | number)[]): boolean;
  crypto_core_ed25519_is_valid_point(point: Uint8Array): boolean;
}

/** Undefined on a platform for which there is no binary. */
export function loadSodium(): Sodium | undefined {
  const program = verifiedProgram();
  try {
    if (program === undefined) return createRequire(import.meta.url)('sodium-native') as Sodium;
    const path = `native/sodium-native-${process.platform}-${process.arch}.node`;
    return program.files.has(path) ? overBinding(program.loadNative(path) as Binding) : undefined;
  } catch {
    return undefined;
  }
}

function overBinding(binding: Binding): Sodium {
  const spread = (view: Uint8Array) => [view.buffer, view.byteOffset, view.byteLength] as const;
  return {
    crypto_sign_verify_detached: (signature, message, publicKey) =>
      binding.crypto_sign_verify_detached(...spread(signature), ...spread(message), ...spread(publicKey)),
    crypto_core_ed25519_is_valid_point: (point) => binding.crypto_core_ed25519_is_valid_point(point),
  };
}
