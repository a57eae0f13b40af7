/** Evaluation: arithmetic with the variables of the shell. */
import { arithmetic } from './arithmetic.ts';
import { hasHole, hole, plain, split } from './marks.ts';
import { assign, type Frame } from './scan.ts';

/** The value of an expression that is text by now. An index in it is expanded once more, commands and all. */
export function evaluateText(given: string, frame: Frame): number | undefined {
  const text = plain(given);
  if (/\$\(|`/.test(text)) {
    frame.scan.runText(`: "${text.replaceAll('"', '')}"`, frame);
    return undefined;
  }
  if (text.includes(hole)) return undefined;
  return arithmetic(text.replaceAll('$', ''), {
    get: (name, index) => variableIn(frame, name, index),
    set: (name, index, value) => {
      const target = index === undefined ? name : `${name}[${index}]`;
      assign(frame.scope, target, [value === undefined ? hole : `${value}`]);
    },
  });
}

function variableIn(frame: Frame, name: string, index: string | undefined): string | undefined {
  const { scope } = frame;
  const variable = scope.variables.get(index === undefined ? name : `${name}[${index}]`);
  if (variable === undefined) {
    const list = index === undefined ? undefined : scope.variables.get(name)?.values[0]?.split(split)[Number(index)];
    return (
      list ?? (/^(?:RANDOM|SECONDS|EPOCHSECONDS|LINENO|UID|EUID|PPID|BASHPID|OPTIND)$/.test(name) ? undefined : '0')
    );
  }
  const value = variable.values[0] ?? '';
  // The text of a variable is an expression in its turn, commands in an index included.
  if (/\$\(|`/.test(value)) return evaluateText(value, frame)?.toString();
  return variable.values.length === 1 && !hasHole(value) ? plain(value.split(split)[0] ?? '') : undefined;
}
