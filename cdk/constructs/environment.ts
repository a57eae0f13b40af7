/** The environment of the programs: exactly the variables that each of them names, and nothing secret in any. */
import { requiredVariables } from '../../functions/aws/environment.ts';
import type { BundleName } from './bundles.ts';

/** A value for each variable that some program names. A value that is not there yet is a mistake only if it is asked for. */
export type EnvironmentValues = { readonly [variable: string]: string };

export function environmentOf(name: BundleName, values: EnvironmentValues): Record<string, string> {
  const entries = requiredVariables(name).map((variable) => {
    const value = values[variable];
    if (value === undefined) throw new TypeError(`the deployment has no value for ${variable}, which ${name} needs`);
    return [variable, value] as const;
  });
  return Object.fromEntries(entries);
}
