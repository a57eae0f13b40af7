/** `holdfast completion`: scripts for bash, zsh and fish, generated from the command tree, so that they can't fall behind it. */
import { Argument, Command } from 'commander';
import type { Terminal } from '../terminal.ts';

const shells = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof shells)[number];

/** What can follow after these words. */
type Level = {
  readonly words: readonly string[];
  readonly commands: readonly Word[];
  readonly options: readonly Word[];
};
type Word = { readonly text: string; readonly about: string };

export function completionCommand(terminal: Terminal): Command {
  return new Command('completion')
    .description('print a completion script for your shell')
    .addArgument(new Argument('<shell>', 'which shell').choices(shells))
    .addHelpText(
      'after',
      '\nExamples:\n  source <(holdfast completion bash)\n  holdfast completion zsh > "$fpath[1]/_holdfast"\n' +
        '  holdfast completion fish > ~/.config/fish/completions/holdfast.fish\n',
    )
    .action((shell: Shell, _options: object, command: Command) => {
      terminal.out(formatCompletion(shell, rootOf(command)));
    });
}

/** The script. Every word in it comes from our own command tree. */
export function formatCompletion(shell: Shell, program: Command): string {
  const levels = levelsOf(program, []);
  switch (shell) {
    case 'bash':
      return bash(program.name(), levels);
    case 'zsh':
      return `#compdef ${program.name()}\nautoload -U +X bashcompinit && bashcompinit\n${bash(program.name(), levels)}`;
    case 'fish':
      return fish(program.name(), levels, valueOptions(program));
    default:
      return shell satisfies never;
  }
}

function bash(name: string, levels: readonly Level[]): string {
  const cases = levels.map(({ words, commands, options }) => {
    const next = [...commands, ...options].map((word) => word.text).join(' ');
    return `    ${JSON.stringify(words.join(' '))}) next=${JSON.stringify(next)} ;;`;
  });
  return `_${name}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path="" word next=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in
      -*) ;;
      *) case " ${pathsOf(levels)} " in *" \${path:+$path/}$word "*) path="\${path:+$path/}$word" ;; esac ;;
    esac
  done
  case "\${path//\\// }" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$next" -- "$current"))
  if [ \${#COMPREPLY[@]} -eq 0 ]; then COMPREPLY=($(compgen -f -- "$current")); fi
}
complete -F _${name} ${name}
`;
}

function fish(name: string, levels: readonly Level[], takesValue: ReadonlySet<string>): string {
  const lines: string[] = [];
  for (const { words, commands, options } of levels) {
    const seen = words.map((word) => `__fish_seen_subcommand_from ${word}`);
    const inner =
      commands.length === 0 ? [] : [`not __fish_seen_subcommand_from ${commands.map((c) => c.text).join(' ')}`];
    const condition = [...seen, ...inner].join('; and ') || 'true';
    for (const { text, about } of commands)
      lines.push(`complete -c ${name} -f -n ${quote(condition)} -a ${text} -d ${quote(about)}`);
    for (const { text, about } of options) {
      const value = takesValue.has(text) ? ' -r' : '';
      lines.push(`complete -c ${name} -n ${quote(condition)} -l ${text.slice(2)}${value} -d ${quote(about)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Fish: within single quotes only the backslash and the quote itself are special. */
function quote(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}

function pathsOf(levels: readonly Level[]): string {
  return levels.map((level) => level.words.join('/')).join(' ');
}

function levelsOf(command: Command, words: readonly string[]): Level[] {
  const own: Level = {
    words,
    commands: command.commands.map((child) => ({ text: child.name(), about: child.description() })),
    options: [...optionsOf(command), ...(words.length === 0 ? [] : optionsOf(rootOf(command)))],
  };
  return [own, ...command.commands.flatMap((child) => levelsOf(child, [...words, child.name()]))];
}

function optionsOf(command: Command): Word[] {
  const own = command.options.flatMap((option) =>
    option.long ? [{ text: option.long, about: option.description }] : [],
  );
  return command.parent === null ? own : [...own, { text: '--help', about: 'print this help' }];
}

function valueOptions(command: Command): ReadonlySet<string> {
  const own = command.options.flatMap((option) =>
    option.long && (option.required || option.optional) ? [option.long] : [],
  );
  return new Set([...own, ...command.commands.flatMap((child) => [...valueOptions(child)])]);
}

function rootOf(command: Command): Command {
  return command.parent === null ? command : rootOf(command.parent);
}
