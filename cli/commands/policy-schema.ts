/** `holdfast policy schema`: JSON Schemas of the policy's files, for editors that complete and check YAML. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Argument, Command } from 'commander';
import { executors } from '../../agent/executors/registry.ts';
import { crateJsonSchema, holdfastJsonSchema } from '../../lib/policy/json-schema.ts';
import { globalsOf } from '../command.ts';
import { CliError } from '../errors.ts';
import type { Terminal } from '../terminal.ts';

const schemas = {
  crate: () => crateJsonSchema(executors),
  holdfast: holdfastJsonSchema,
} as const;
type Name = keyof typeof schemas;
const names = Object.keys(schemas) as readonly Name[];

export function schemaCommand(terminal: Terminal): Command {
  return new Command('schema')
    .description('print the JSON Schema of crates or of holdfast.yaml, or write both for an editor')
    .addArgument(new Argument('[file]', 'of which file').choices(names))
    .option('-o, --output <dir>', 'write crate.schema.json and holdfast.schema.json there')
    .addHelpText(
      'after',
      '\nExamples:\n  holdfast policy schema crate\n  holdfast policy schema --output policy/.schema\n' +
        '\nThen put this on the first line of a crate:\n  # yaml-language-server: $schema=../.schema/crate.schema.json\n',
    )
    .action(async (name: Name | undefined, options: { output?: string }, command: Command) => {
      if (options.output === undefined) {
        if (name === undefined) {
          throw new CliError('usage', 'which schema?', { hint: `name one: ${names.join(', ')}; or give --output DIR` });
        }
        terminal.out(formatSchema(name));
        return;
      }
      await mkdir(options.output, { recursive: true });
      const wanted = name === undefined ? names : [name];
      const files = wanted.map((one) => join(options.output ?? '', `${one}.schema.json`));
      await Promise.all(wanted.map((one, i) => writeFile(files[i] ?? '', formatSchema(one))));
      terminal.out(globalsOf(command).json ? `${JSON.stringify(files)}\n` : `${files.join('\n')}\n`);
    });
}

function formatSchema(name: Name): string {
  return `${JSON.stringify(schemas[name](), undefined, 2)}\n`;
}
