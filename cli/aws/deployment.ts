/** A fleet's deployment as the `aws` verbs meet it: its stacks by name, and its functions, invoked directly. */
import { type Command, InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { CliError } from '../errors.ts';
import type { AwsAccount, StackView } from './account.ts';

/** In the order in which they are made; `npm run deploy` names them `<fleet>-<part>`. */
export const stackParts = ['keys', 'data', 'network', 'functions', 'edge'] as const;

export type DeploymentOptions = { readonly fleet: string; readonly region?: string };

/** Adds `--fleet` and `--region`. */
export function onDeployment(command: Command): Command {
  return command
    .option('--fleet <name>', 'the fleet, as in "-c fleet=" of the deployment', parseFleetName, 'holdfast')
    .option('--region <region>', 'the region of the deployment (or AWS_REGION, or that of the AWS profile)');
}

function parseFleetName(text: string): string {
  if (!/^[a-z][a-z0-9-]{0,30}$/.test(text))
    throw new InvalidArgumentError('a fleet is named by lower-case letters, digits and hyphens');
  return text;
}

/** The stack with the functions. Throws `CliError` when it is not there, or has no such output. */
export async function functionNamed(
  account: AwsAccount,
  fleet: string,
  output: 'AdminFunctionName' | 'IdentityFunctionName' | 'SealerFunctionName',
): Promise<string> {
  const stack = await requireFunctions(account, fleet);
  const name = stack.outputs[output];
  if (name === undefined)
    throw new CliError('failure', `the stack ${stack.name} has no output ${output}`, {
      hint: 'it was deployed by another version: npm run deploy',
    });
  return name;
}

async function requireFunctions(account: AwsAccount, fleet: string): Promise<StackView> {
  const stack = await account.stack(`${fleet}-functions`);
  if (stack !== undefined) return stack;
  throw new CliError('failure', `there is no stack ${fleet}-functions in this region of this account`, {
    hint: `deploy it first (npm run deploy -- -c fleet=${fleet}), or name another --fleet or --region`,
  });
}

const directAnswer = z.object({ status: z.int(), body: z.string() });
const problem = z.object({ detail: z.string().optional(), title: z.string().optional() });

export type Direct = {
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body: object): Promise<T>;
  /** `undefined` when it is not there. */
  find<T>(path: string): Promise<T | undefined>;
};

/** The admin API by direct invocation, which IAM judges: what local-admin is on one's own host. */
export function directAdmin(account: AwsAccount, functionName: string): Direct {
  async function ask(method: string, path: string, body?: object) {
    const event = { holdfast: 'admin', method, path, ...(body === undefined ? {} : { body }) };
    const result = await account.invoke(functionName, event);
    if (result.kind === 'threw') throw threw('admin', result.message);
    return directAnswer.parse(result.value);
  }
  const read = <T>({ status, body }: z.output<typeof directAnswer>): T => {
    if (status === 200) return JSON.parse(body) as T;
    const said = problem.safeParse(JSON.parse(body)).data;
    throw new CliError(
      status >= 500 ? 'failure' : 'refused',
      said?.detail ?? said?.title ?? `the admin function answered ${status}`,
    );
  };
  return {
    get: async (path) => read(await ask('GET', path)),
    post: async (path, body) => read(await ask('POST', path, body)),
    async find(path) {
      const answer = await ask('GET', path);
      return answer.status === 404 ? undefined : read(answer);
    },
  };
}

/** What a function threw, with what to do about it. */
export function threw(name: string, message: string): CliError {
  const hint = /not founded yet/.test(message)
    ? 'name the operators, who are to sign its policy: holdfast aws bootstrap --operator-key ~/.ssh/id_ed25519.pub'
    : `the log of the ${name} function says more`;
  return new CliError('failure', `the ${name} function failed: ${message}`, { hint });
}
