/**
 * From a release to what the engine takes: the resources of this node's crates, with `when` judged and templates
 * rendered by the node's own facts and vars. What can't be judged or rendered has failed before it is looked at, and
 * nothing is done in its place.
 */
import { sha256Hex } from '../lib/crypto/digest.ts';
import { fromUtf8, utf8 } from '../lib/crypto/encoding.ts';
import type { Json } from '../lib/crypto/jcs.ts';
import { acceptingSigners } from '../lib/policy/accepts.ts';
import { cratesFor, type EnrolledNode } from '../lib/policy/bindings.ts';
import { PolicyError } from '../lib/policy/errors.ts';
import type { Scope } from '../lib/policy/expression.ts';
import type { Facts } from '../lib/policy/facts.ts';
import { type Crate, type CrateResource, parseCrate } from '../lib/policy/model.ts';
import type { TemplateProblem } from '../lib/policy/template.ts';
import { givenVars, type Vars, varsOfCrate } from '../lib/policy/vars.ts';
import type { Release } from '../lib/policy/verify.ts';
import { referencesIn } from '../lib/secrets/reference.ts';
import type { Resource } from './engine.ts';

export type ResourceDeps = {
  readonly node: EnrolledNode & { readonly uuid: string };
  /** The verified bytes of a blob of the release. */
  blob(sha256: string): Promise<Uint8Array>;
  /** Asked for once, and only when something depends on them. */
  facts(): Promise<Facts>;
};

/** A template that shows a secret: rendered when the run has it, and never before. */
export type LateTemplate = {
  /** The vars it needs that are secrets, as markers. */
  readonly secrets: Vars;
  /** Throws with the place of the problem. */
  render(values: Vars): string;
};

export type Prepared = {
  /** In the order of the bindings. */
  readonly resources: readonly Resource[];
  /** As the release's, and what was rendered here. */
  blob(sha256: string): Promise<Uint8Array>;
};

/** Throws `PolicyError` when a crate is not what the manifest says. */
export async function prepareResources(release: Release, deps: ResourceDeps): Promise<Prepared> {
  const { manifest } = release;
  const rendered = new Map<string, Uint8Array>();
  const resources: Resource[] = [];
  const given = givenVars(manifest, deps.node);
  for (const name of cratesFor(manifest, deps.node)) {
    const crate = await readCrate(release, name, deps);
    const prepare = preparer(crate, varsOfCrate(crate, given), deps, rendered);
    for (const { accepts, ...resource } of crate.resources) {
      // One signature is enough to be followed, but not for what nobody can judge.
      const isAccepted = accepts !== undefined && release.signers.length >= acceptingSigners;
      const accepted = isAccepted ? { accepted: Object.keys(accepts) } : {};
      resources.push({ ...(await prepare(resource)), ...accepted, crate: name });
    }
  }
  return { resources, blob: async (sha256) => rendered.get(sha256) ?? deps.blob(sha256) };
}

async function readCrate({ manifest }: Release, name: string, deps: ResourceDeps): Promise<Crate> {
  const entry = manifest.crates.find((crate) => crate.name === name);
  if (entry === undefined) {
    throw new PolicyError('malformed', `a binding names the unknown crate ${JSON.stringify(name)}`);
  }
  const crate = parseCrate(await deps.blob(entry.sha256));
  if (crate.crate !== name) {
    throw new PolicyError('malformed', `the crate ${JSON.stringify(name)} calls itself ${JSON.stringify(crate.crate)}`);
  }
  return crate;
}

type Ready = Omit<Resource, 'crate'>;

function preparer(
  crate: Crate,
  { vars, wrong }: ReturnType<typeof varsOfCrate>,
  deps: ResourceDeps,
  rendered: Map<string, Uint8Array>,
): (resource: CrateResource) => Promise<Ready> {
  return async ({ when, template, item, ...resource }) => {
    if (when === undefined && template === undefined) return resource;
    if (wrong.length > 0) {
      const names = wrong.join(', ');
      return failed(resource, `no value of the right type for these vars of crate ${crate.crate}: ${names}`);
    }
    const { uuid, name, labels } = deps.node;
    const facts = (await deps.facts()) as unknown as Json;
    const { plain, secret } = splitVars(vars);
    // Without the secret ones: what a condition says is shown, and its result is.
    const scope: Scope = { facts, vars: plain, node: { uuid, name, labels }, ...(item === undefined ? {} : { item }) };
    if (when !== undefined) {
      // Loaded when needed: most crates of most fleets have neither conditions nor templates.
      const { judge } = await import('../lib/policy/expression.ts');
      const verdict = judge(when, scope);
      if (!verdict.ok) return failed(resource, `when: ${verdict.reason}`);
      if (!verdict.holds) return { ...resource, decided: { result: 'skipped', reason: `not when ${when}` } };
    }
    if (template === undefined) return resource;
    const { renderTemplate } = await import('../lib/policy/template.ts');
    const source = fromUtf8(await deps.blob(template.sha256));
    const used = Object.fromEntries(Object.entries(secret).filter(([one]) => source.includes(one)));
    if (Object.keys(used).length > 0) {
      const render = (values: Vars): string => {
        const result = renderTemplate(source, { ...scope, vars: { ...plain, ...values } });
        if (result.ok) return result.text;
        throw new PolicyError('malformed', describeProblem(result.problem));
      };
      return { ...resource, late: { secrets: used, render } };
    }
    const result = renderTemplate(source, scope);
    if (!result.ok) return failed(resource, describeProblem(result.problem));
    const bytes = utf8(result.text);
    const sha256 = sha256Hex(bytes);
    rendered.set(sha256, bytes);
    return { ...resource, desired: { ...resource.desired, content: { sha256, bytes: bytes.length } } };
  };
}

function describeProblem({ message, line, column }: TemplateProblem): string {
  return `template, line ${line}, column ${column}: ${message}`;
}

function splitVars(vars: Vars): { readonly plain: Vars; readonly secret: Vars } {
  const isSecret = (value: Json) => referencesIn(value).size > 0;
  const entries = Object.entries(vars);
  return {
    plain: Object.fromEntries(entries.filter(([, value]) => !isSecret(value))),
    secret: Object.fromEntries(entries.filter(([, value]) => isSecret(value))),
  };
}

function failed(resource: Ready, reason: string): Ready {
  return { ...resource, decided: { result: 'failed', reason } };
}
