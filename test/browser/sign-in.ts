/** The sign-in page in a real browser: each method, each role's page, log-out, and no violation of the page's own policy. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { signChallenge } from '../../cli/sign.ts';
import type { AuthConfig } from '../../functions/standalone/auth-config.ts';
import { type AccessFleet, startAccessFleet } from '../e2e/access.ts';
import { createLoopbackTls } from '../fakes/loopback-tls.ts';
import { startOidcProvider, testClientId } from '../fakes/oidc-provider.ts';
import { startSigningHelper } from '../fakes/signing-helper.ts';

const executable = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
const password = 'correct horse battery staple';
const helperPort = 7890;

if (executable === undefined) {
  process.stdout.write(
    'NOT TESTED: the sign-in page. No Chromium is installed; get one with: apt-get install chromium\n',
  );
} else {
  const screenshots = await mkdtemp(join(tmpdir(), 'holdfast-browser-'));
  await mkdir(screenshots, { recursive: true });
  const browser = await chromium.launch({ executablePath: executable, args: ['--no-sandbox'] });
  try {
    await signInByPassword(browser, screenshots);
    await signInByKey(browser, screenshots);
    await signInByProvider(browser, screenshots);
  } finally {
    await browser.close();
  }
  process.stdout.write(`look at the screenshots in ${screenshots}\n3 passed, 0 failed\n`);
}

async function signInByPassword(on: Browser, screenshots: string): Promise<void> {
  await withFleet({ method: 'basic' }, async (fleet) => {
    await createUsers(fleet);
    for (const role of ['admin', 'viewer', 'compliance']) {
      const { page, problems } = await open(on, fleet);
      await page.fill('#basic-name', `${role}-user`);
      await page.fill('#basic-password', 'a wrong password');
      await page.click('#login-basic button');
      await page.getByText('The log-in was not accepted').waitFor();
      assert.equal(await page.inputValue('#basic-password'), '', 'a refused password does not stay in the page');
      if (role === 'admin') await page.screenshot({ path: join(screenshots, 'basic-refused.png') });
      await page.fill('#basic-password', password);
      await page.click('#login-basic button');
      await seeHome(page, `${role}-user`, role);
      await page.screenshot({ path: join(screenshots, `home-${role}.png`), fullPage: true });
      assert.equal(await page.evaluate('document.cookie'), '', 'no script can read the session');
      await page.click('#log-out');
      await page.locator('#login-basic').waitFor();
      // The refused log-in is the one failure that the browser reports.
      assert.deepEqual(
        problems.filter((text) => !text.includes('401')),
        [],
      );
      await page.context().close();
    }
    process.stdout.write('basic: ok\n');
  });
}

async function signInByKey(on: Browser, screenshots: string): Promise<void> {
  await withFleet({ method: 'isowebauth' }, async (fleet) => {
    const key = await fleet.key('alice');
    await admin(fleet, 'user', 'create', 'alice', '--role', 'viewer', '--key', `${key}.pub`);
    const { page, problems } = await open(on, fleet);
    await page.screenshot({ path: join(screenshots, 'isowebauth.png') });
    await page.fill('#iso-name', 'alice');
    if (!(await isFree(helperPort)))
      throw new Error(`port ${helperPort} is taken: the signing helper can't be stood in for`);
    await page.click('#login-isowebauth button');
    await page.getByText('No signing helper answers').waitFor();
    const helper = await startSigningHelper({
      origin: fleet.server.url,
      port: helperPort,
      sign: (challenge, namespace) => signChallenge(challenge, namespace, key),
    });
    try {
      await page.click('#login-isowebauth button');
      await seeHome(page, 'alice', 'viewer');
    } finally {
      helper.server.closeAllConnections();
      await helper.close();
    }
    assert.deepEqual(
      problems.filter((text) => !/401|ERR_CONNECTION_REFUSED/.test(text)),
      [],
    );
    process.stdout.write('isowebauth: ok\n');
  });
}

async function signInByProvider(on: Browser, screenshots: string): Promise<void> {
  const tls = await createLoopbackTls();
  const port = await freePort();
  const redirectUri = `https://127.0.0.1:${port}/v1/login/callback`;
  const provider = await startOidcProvider(tls, {
    accounts: {
      'sub-cora': { groups: ['auditors'], preferred_username: 'cora' },
      'sub-guest': { groups: ['guests'], preferred_username: 'guest' },
    },
    redirectUris: [redirectUri],
  });
  const caFile = join(screenshots, 'idp-ca.pem');
  await writeFile(caFile, tls.ca);
  const auth: AuthConfig = {
    method: 'oidc',
    issuer: provider.issuer,
    clientId: testClientId,
    redirectUri,
    scopes: ['openid', 'profile', 'groups'],
    algorithm: 'ES256',
    claim: 'groups',
    roles: { compliance: ['auditors'] },
    caFile,
  };
  try {
    await withFleet(
      auth,
      async (fleet) => {
        const refused = await open(on, fleet);
        await answerProvider(refused.page, 'sub-guest');
        await refused.page.getByText('The log-in was not accepted.').waitFor();
        await refused.page.context().close();
        const { page } = await open(on, fleet);
        await page.screenshot({ path: join(screenshots, 'oidc.png') });
        await answerProvider(page, 'sub-cora');
        await seeHome(page, 'cora', 'compliance');
        process.stdout.write('oidc: ok\n');
      },
      port,
    );
  } finally {
    await provider.close();
    await rm(caFile);
  }
}

/** At the provider: its own log-in and consent. */
async function answerProvider(page: Page, account: string): Promise<void> {
  await page.click('#login-oidc button');
  await page.fill('input[name=login]', account);
  await page.fill('input[name=password]', 'any');
  await page.click('button[type=submit]');
  await page.click('button[type=submit]');
}

async function open(on: Browser, fleet: AccessFleet): Promise<{ page: Page; problems: string[] }> {
  const context = await on.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1100, height: 800 } });
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  await page.goto(fleet.server.url);
  await page.locator('form:not([hidden])').waitFor();
  return { page, problems };
}

/** What the role allows is there, and nothing else. */
async function seeHome(page: Page, user: string, role: string): Promise<void> {
  await page.locator('#home').waitFor();
  assert.equal(await page.textContent('#greeting'), user);
  await page.locator('.panel').first().waitFor();
  const titles = await page.locator('.panel h3').allTextContents();
  const expected: Record<string, readonly string[]> = {
    admin: ['Fleet', 'Nodes', 'Audit log', 'Posture', 'Verification of the audit log', 'Documents', 'Users'],
    viewer: ['Fleet', 'Nodes', 'Audit log', 'Posture', 'Verification of the audit log', 'Documents'],
    compliance: ['Posture', 'Verification of the audit log', 'Documents'],
  };
  assert.deepEqual(titles, expected[role]);
}

async function createUsers(fleet: AccessFleet): Promise<void> {
  for (const role of ['admin', 'viewer', 'compliance']) {
    await admin(fleet, 'user', 'create', `${role}-user`, '--role', role);
    const set = await fleet.cli(['--state', fleet.state, 'user', 'password', `${role}-user`], { typed: password });
    assert.equal(set.code, 0, set.err);
  }
}

async function admin(fleet: AccessFleet, ...args: string[]): Promise<void> {
  const ran = await fleet.admin(...args);
  assert.equal(ran.code, 0, ran.err);
}

async function withFleet(auth: AuthConfig, act: (fleet: AccessFleet) => Promise<void>, port = 0): Promise<void> {
  const undo: (() => unknown)[] = [];
  const fleet = await startAccessFleet({ after: (step: () => unknown) => undo.push(step) }, auth, port);
  try {
    await act(fleet);
  } finally {
    for (const step of undo) await step();
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
