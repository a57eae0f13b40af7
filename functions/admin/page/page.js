/**
 * The page's script: logs in by the method that the server names, then shows what the role allows. Everything that
 * came from outside is put in as text, never as markup, and the session itself is in a cookie that no script can read.
 */

const helperUrl = 'http://127.0.0.1:7890/sign';
const csrfHeader = 'x-holdfast-csrf';

/** The signed-in page's parts: what each needs, where it comes from, and how it reads. */
const panels = [
  {
    permission: 'fleet.read',
    title: 'Fleet',
    path: '/v1/status',
    columns: ['', ''],
    rows: ({ fleet, nodes, release }) => [
      ['Name', fleet],
      ['Nodes', `${nodes.active} active, ${nodes.quarantined} quarantined, ${nodes.revoked} revoked`],
      ['Release', release === undefined ? 'none yet' : String(release.number)],
    ],
  },
  {
    permission: 'fleet.read',
    title: 'Nodes',
    path: '/v1/nodes?limit=50',
    columns: ['Name', 'State', 'Seen'],
    rows: ({ items }) => items.map(({ name, state, seen }) => [name, state, seen === undefined ? 'never' : time(seen)]),
  },
  {
    permission: 'audit.read',
    title: 'Audit log',
    path: '/v1/audit/entries?limit=10',
    columns: ['#', 'Time', 'Operation', 'Outcome', 'By'],
    rows: ({ items }) =>
      items.map(({ index, entry }) => [String(index), time(entry.ts), entry.op.type, entry.outcome, entry.actor.id]),
  },
  {
    permission: 'compliance.read',
    title: 'Posture',
    path: '/v1/compliance/posture',
    columns: ['Day', 'Converged', 'Drifted', 'Failed', 'Unseen'],
    rows: ({ days }) =>
      days
        .toReversed()
        .map(({ day, converged, drifted, failed, unseen }) => [
          day,
          ...[converged, drifted, failed, unseen].map(String),
        ]),
  },
  {
    permission: 'compliance.read',
    title: 'Verification of the audit log',
    path: '/v1/compliance/verification',
    columns: ['Question', 'Verdict', 'Why'],
    rows: (verdicts) =>
      ['integrity', 'completeness', 'freshness', 'anchoring', 'witnessing'].map((question) => [
        question,
        verdicts[question].verdict.replace('_', ' '),
        verdicts[question].reason,
      ]),
  },
  {
    permission: 'compliance.read',
    title: 'Documents',
    path: '/v1/compliance/documents',
    columns: ['Name', 'Added', 'By', 'SHA-256'],
    rows: ({ items }) =>
      items.map(({ name, uploaded, uploadedBy, sha256 }) => [name, time(uploaded), uploadedBy, sha256]),
  },
  {
    permission: 'users.write',
    title: 'Users',
    path: '/v1/users',
    columns: ['Name', 'Role', 'State'],
    rows: ({ items }) => items.map(({ name, role, state }) => [name, role, state]),
  },
];

const byId = (id) => document.getElementById(id);

async function call(path, body, headers = {}) {
  const response = await fetch(path, {
    ...(body === undefined
      ? {}
      : { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } }),
    credentials: 'same-origin',
    redirect: 'error',
  });
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.detail ?? answer.title), { status: response.status });
  return answer;
}

async function start() {
  try {
    await showHome(await call('/v1/session'));
  } catch (error) {
    if (error.status !== 401) throw error;
    await showLogin();
  }
  byId('loading').hidden = true;
}

async function showLogin() {
  const { method, issuer } = await call('/v1/login');
  const form = byId(`login-${method}`);
  form.hidden = false;
  if (issuer !== undefined) byId('issuer').textContent = new URL(issuer).host;
  if (location.hash === '#refused') showError(form, 'The log-in was not accepted.');
  form.querySelector('input, button').focus();
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const button = form.querySelector('button');
    button.disabled = true;
    try {
      await logIn[method](form);
    } catch (error) {
      showError(form, error.message);
      button.disabled = false;
      // Typed anew, and not left in the page.
      const password = form.querySelector('[type=password]');
      if (password !== null) {
        password.value = '';
        password.focus();
      }
    }
  });
}

const logIn = {
  async basic(form) {
    const { name, password } = form.elements;
    await call('/v1/login/finish', { input: { name: name.value, password: password.value } });
    location.replace('/');
  },
  async isowebauth(form) {
    const { challenge, namespace } = await call('/v1/login/begin', { input: {} });
    const signature = await signWithHelper(challenge, namespace);
    await call('/v1/login/finish', { input: { name: form.elements.name.value, signature } });
    location.replace('/');
  },
  async oidc() {
    const { url } = await call('/v1/login/begin', { input: {} });
    location.assign(url);
  },
};

/** The helper runs on the operator's own machine, asks them, and signs with their key; it knows nothing of our session. */
async function signWithHelper(challenge, namespace) {
  let answer;
  try {
    const response = await fetch(helperUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ challenge, namespace }),
      credentials: 'omit',
    });
    answer = await response.json();
  } catch {
    throw new Error('No signing helper answers on this machine: start it, and allow it to sign for this site.');
  }
  if (answer.ok !== true) throw new Error(`The signing helper refused: ${answer.error ?? 'no reason given'}`);
  return answer.signature;
}

async function showHome(session) {
  byId('home').hidden = false;
  byId('greeting').textContent = session.user;
  const facts = [
    ['Role', session.role],
    ['Logged in by', session.auth],
    ['Until', session.expires === undefined ? '' : time(session.expires)],
  ];
  byId('facts').append(...facts.flatMap(([name, value]) => [element('dt', name), element('dd', value)]));
  const button = byId('log-out');
  button.hidden = false;
  button.addEventListener('click', async () => {
    await call('/v1/session/end', {}, { [csrfHeader]: session.csrf });
    location.replace('/');
  });
  const allowed = panels.filter(({ permission }) => session.permissions.includes(permission));
  byId('panels').append(...(await Promise.all(allowed.map(panel))));
}

async function panel({ title, path, columns, rows }) {
  const section = element('section');
  section.className = 'panel';
  section.append(element('h3', title));
  try {
    const cells = rows(await call(path));
    const table = element('table');
    if (columns.some((column) => column !== '')) table.append(row('th', columns));
    table.append(...cells.map((values) => row('td', values)));
    section.append(cells.length === 0 ? element('p', 'Nothing yet.') : table);
  } catch (error) {
    section.append(element('p', error.message));
  }
  return section;
}

/** `2026-11-24T00:10:21.324Z` as `2026-11-24 00:10:21 UTC`: the same for everybody who looks. */
function time(text) {
  return `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;
}

function row(kind, values) {
  const line = element('tr');
  line.append(...values.map((value) => element(kind, value)));
  return line;
}

function element(name, text) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  return made;
}

function showError(form, text) {
  const place = form.querySelector('.error');
  place.textContent = `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
  place.hidden = false;
}

start().catch((error) => {
  byId('loading').textContent = `The page could not be shown: ${error.message}`;
});
