/** Compilers and runners: code in a language that is compiled, which the source itself has written. */
import type { Call } from '../shell/call.ts';
import { judgeCode } from '../shell/interpreters.ts';
import { decoded, downloaded, hole, plain } from '../shell/marks.ts';
import { contentOf } from '../shell/redirect.ts';
import { runCode } from '../shell/shells.ts';
import type { Judge, Judges } from './judge.ts';

const languages =
  /\.(?:c|cc|cpp|cxx|m|go|rs|java|kt|scala|swift|cs|fs|d|nim|zig|v|hs|ml|cr|pas|f90|asm|s|lisp|erl|ex|exs|jl|r|groovy|cmake|py|pyw|pl|pm|rb|js|mjs|cjs|ts|php|lua|tcl|nse)$/i;

function judgeText(call: Call, text: string): void {
  if (text === '' || text === hole || text.includes(downloaded) || text.includes(decoded)) return;
  judgeCode(call, text);
  // Literals that a library hands to the system on the way.
  for (const [, command = ''] of plain(text).matchAll(/\b(?:COMMAND|execute_process\s*\(\s*COMMAND)\s+([^)\n]+)/g))
    runCode(call, command);
}

/** Its input, and the files among its arguments that the source has written. */
const compiler: Judge = (call) => {
  judgeText(call, call.frame.stdin);
  for (const arg of call.argv.slice(1)) if (languages.test(plain(arg))) judgeText(call, contentOf(call.frame, arg));
};

/** `gcc -wrapper rm,-rf,/etc`: a command with commas. */
const wrapped: Judge = (call, again) => {
  const args = call.argv.slice(1);
  const at = args.findIndex((arg) => plain(arg) === '-wrapper');
  if (at >= 0) again(plain(args[at + 1] ?? '').split(','));
  compiler(call, again);
};

export const compilerJudges: Judges = {
  ...Object.fromEntries(
    'go rustc cargo javac java jshell kotlinc kotlin scala scalac swift swiftc dotnet csc mcs fsharpc csi dmd ldc2 rdmd nim zig v ghc runghc runhaskell stack ocaml ocamlfind ocamlopt crystal fpc gfortran nasm yasm as sbcl clisp ecl erl escript elixir iex julia Rscript R groovy racket cmake nmap pip pip3 pipx ansible-playbook ts-node tsx deno bun'
      .split(' ')
      .map((name) => [name, compiler]),
  ),
  ...Object.fromEntries('gcc cc g++ c++ clang clang++ tcc icc'.split(' ').map((name) => [name, wrapped])),
};
