/**
 * What each operation is in the words of others: its OCSF class and activity, its ECS categories and types, how much it
 * matters, and one sentence for people. A new operation does not compile until it has a line here.
 */
import type { OperationType } from '../../audit/registry.ts';

/** Classes of OCSF 1.8 that an operation can be, by their uid. */
export const ocsfClasses = {
  3001: { name: 'Account Change', category: 3, categoryName: 'Identity & Access Management' },
  3002: { name: 'Authentication', category: 3, categoryName: 'Identity & Access Management' },
  3004: { name: 'Entity Management', category: 3, categoryName: 'Identity & Access Management' },
  3005: { name: 'User Access Management', category: 3, categoryName: 'Identity & Access Management' },
  6002: { name: 'Application Lifecycle', category: 6, categoryName: 'Application Activity' },
  6003: { name: 'API Activity', category: 6, categoryName: 'Application Activity' },
} as const;
export type OcsfClass = keyof typeof ocsfClasses;

/** OCSF severity_id: informational, low, medium, high. */
type Level = 1 | 2 | 3 | 4;

export type Mapping = {
  readonly ocsf: { readonly class: OcsfClass; readonly activity: number; readonly name: string };
  readonly ecs: { readonly category: readonly string[]; readonly type: readonly string[] };
  readonly level: Level;
  readonly message: string;
};

/** The activities of each class that are used here (OCSF 1.8); any other name is activity 99, "Other". */
const activities: Readonly<Record<OcsfClass, Readonly<Record<string, number>>>> = {
  3001: { Create: 1, Enable: 2, 'Password Change': 3, Disable: 5, Delete: 6, Unlock: 12 },
  3002: { Logon: 1, Logoff: 2 },
  3004: { Create: 1, Read: 2, Update: 3, Delete: 4, Enroll: 6, Unenroll: 7, Deactivate: 11, Suspend: 12, Resume: 13 },
  3005: { 'Assign Privileges': 1 },
  6002: { Start: 3, Stop: 4 },
  6003: {},
};

/** By their first word, the ECS categories and types (`event.category`: `event.type`). */
const ecs = {
  create: { category: ['configuration'], type: ['creation'] },
  change: { category: ['configuration'], type: ['change'] },
  remove: { category: ['configuration'], type: ['deletion'] },
  read: { category: ['configuration'], type: ['access'] },
  info: { category: ['configuration'], type: ['info'] },
  userCreate: { category: ['iam'], type: ['user', 'creation'] },
  userChange: { category: ['iam'], type: ['user', 'change'] },
  userRemove: { category: ['iam'], type: ['user', 'deletion'] },
  login: { category: ['authentication', 'session'], type: ['start'] },
  loginRefused: { category: ['authentication'], type: ['start'] },
  logout: { category: ['authentication', 'session'], type: ['end'] },
  denied: { category: ['api'], type: ['access', 'denied'] },
  hostCreate: { category: ['host', 'iam'], type: ['info', 'creation'] },
  hostChange: { category: ['host'], type: ['change'] },
  hostAccess: { category: ['host'], type: ['access'] },
  start: { category: ['process'], type: ['start'] },
  stop: { category: ['process'], type: ['end'] },
  finding: { category: ['intrusion_detection', 'process'], type: ['info'] },
} as const;

const mapping = (
  ocsfClass: OcsfClass,
  activity: string,
  shape: keyof typeof ecs,
  level: Level,
  message: string,
): Mapping => ({
  ocsf: { class: ocsfClass, activity: activities[ocsfClass][activity] ?? 99, name: activity },
  ecs: ecs[shape],
  level,
  message,
});

const table: Readonly<Record<OperationType, Mapping>> = {
  'log.open': mapping(3004, 'Create', 'create', 1, 'The audit log was opened'),
  'log.checkpoint': mapping(3004, 'Update', 'info', 1, 'The audit log stated where its lanes stand'),
  'log.gap': mapping(3004, 'Update', 'info', 3, 'Repeated events were counted instead of written'),
  'lane.close': mapping(3004, 'Deactivate', 'change', 2, 'A lane of the audit log was closed'),
  'audit.read': mapping(3004, 'Read', 'read', 1, 'The audit log was read'),
  'audit.export': mapping(3004, 'Read', 'read', 2, 'The audit log was exported'),
  'server.start': mapping(6002, 'Start', 'start', 1, 'The server was started'),
  'server.stop': mapping(6002, 'Stop', 'stop', 1, 'The server was stopped'),
  'process.finding': mapping(6002, 'Finding', 'finding', 3, 'Somebody else was found in a process of the product'),
  'fleet.create': mapping(3004, 'Create', 'create', 2, 'The fleet was created'),
  'token.create': mapping(3004, 'Create', 'create', 2, 'An enrollment token was created'),
  'token.cancel': mapping(3004, 'Delete', 'remove', 1, 'An enrollment token was cancelled'),
  'node.enroll': mapping(3004, 'Enroll', 'hostCreate', 2, 'A node was enrolled'),
  'node.enroll.refuse': mapping(3004, 'Enroll', 'hostCreate', 3, 'An enrollment was refused'),
  'node.renew': mapping(3004, 'Update', 'hostChange', 1, 'A node renewed its certificate'),
  'node.renew.refuse': mapping(3004, 'Update', 'hostChange', 3, 'A renewal was refused'),
  'node.quarantine': mapping(3004, 'Suspend', 'hostChange', 3, 'A node was quarantined'),
  'node.recover': mapping(3004, 'Resume', 'hostChange', 2, 'A node was taken out of quarantine'),
  'node.revoke': mapping(3004, 'Unenroll', 'hostChange', 3, 'A node was revoked'),
  'node.wake': mapping(3004, 'Wake', 'hostAccess', 1, 'A node was woken'),
  'node.request.refuse': mapping(6003, 'Refuse', 'denied', 3, 'A request of a node was refused'),
  'access.refuse': mapping(6003, 'Refuse', 'denied', 3, 'A request was refused'),
  'session.create': mapping(3002, 'Logon', 'login', 1, 'A user logged in'),
  'session.refuse': mapping(3002, 'Logon', 'loginRefused', 3, 'A log-in was refused'),
  'session.end': mapping(3002, 'Logoff', 'logout', 1, 'A user logged out'),
  'user.create': mapping(3001, 'Create', 'userCreate', 2, 'A user was created'),
  'user.role': mapping(3005, 'Assign Privileges', 'userChange', 3, 'The role of a user was changed'),
  'user.disable': mapping(3001, 'Disable', 'userChange', 2, 'A user was disabled'),
  'user.enable': mapping(3001, 'Enable', 'userChange', 2, 'A user was enabled'),
  'user.delete': mapping(3001, 'Delete', 'userRemove', 2, 'A user was deleted'),
  'user.password': mapping(3001, 'Password Change', 'userChange', 2, 'The password of a user was set'),
  'user.key.add': mapping(3001, 'Key Add', 'userChange', 3, 'An SSH key was added to a user'),
  'user.key.remove': mapping(3001, 'Key Remove', 'userChange', 2, 'An SSH key was taken from a user'),
  'user.sessions.end': mapping(3001, 'Sessions End', 'userChange', 2, 'All sessions of a user were ended'),
  'user.unlock': mapping(3001, 'Unlock', 'userChange', 2, 'A user was unlocked'),
  'api-token.create': mapping(3004, 'Create', 'create', 2, 'An API token was created'),
  'api-token.revoke': mapping(3004, 'Delete', 'remove', 1, 'An API token was revoked'),
  'compliance.document.add': mapping(3004, 'Create', 'create', 1, 'A compliance document was added'),
  'compliance.evidence': mapping(3004, 'Read', 'read', 1, 'Compliance evidence was exported'),
  'policy.publish': mapping(3004, 'Update', 'change', 2, 'A release was published'),
  'policy.rollback': mapping(3004, 'Update', 'change', 3, 'A release was rolled back'),
  'policy.refuse': mapping(3004, 'Update', 'change', 3, 'A release was refused'),
  'secret.set': mapping(3004, 'Update', 'change', 2, 'A secret was set'),
  'secret.rotate': mapping(3004, 'Update', 'change', 2, 'A secret was rotated'),
  'secret.delete': mapping(3004, 'Delete', 'remove', 2, 'A secret was deleted'),
  'secret.rotate-master': mapping(3004, 'Update', 'change', 2, 'Secrets were put under a new master key'),
  'secret.release': mapping(3004, 'Read', 'read', 1, 'Secrets were released to a node'),
  'secret.refuse': mapping(3004, 'Read', 'read', 3, 'The release of secrets was refused'),
  'secret.reveal.ask': mapping(3004, 'Read', 'info', 3, 'Somebody asked to see the value of a secret'),
  'secret.reveal.approve': mapping(3004, 'Read', 'info', 3, 'Showing the value of a secret was agreed to'),
  'secret.reveal': mapping(3004, 'Read', 'read', 4, 'The value of a secret was shown to a person'),
  'secret.reveal.refuse': mapping(3004, 'Read', 'denied', 4, 'Showing the value of a secret was refused'),
  'policy.freeze': mapping(3004, 'Suspend', 'change', 3, 'Publishing was frozen'),
  'policy.thaw': mapping(3004, 'Resume', 'change', 2, 'Publishing was thawed'),
  'artifact.trust': mapping(3004, 'Update', 'change', 3, 'The keys that may sign builds were changed'),
  'artifact.publish': mapping(3004, 'Create', 'create', 2, 'A build was published'),
  'artifact.refuse': mapping(3004, 'Create', 'create', 3, 'A build was refused'),
  'artifact.rollout': mapping(3004, 'Update', 'change', 2, 'A build was rolled out'),
  'artifact.halt': mapping(3004, 'Suspend', 'change', 3, 'The roll-out of a build was halted'),
  'artifact.pause': mapping(3004, 'Suspend', 'change', 2, 'The roll-out of a build was paused'),
  'artifact.resume': mapping(3004, 'Resume', 'change', 2, 'The roll-out of a build was resumed'),
  'node.update': mapping(3004, 'Update', 'hostChange', 2, 'The agent of a node was updated'),
  'siem.add': mapping(3004, 'Create', 'create', 3, 'A destination for audit entries was added'),
  'siem.update': mapping(3004, 'Update', 'change', 3, 'A destination for audit entries was changed'),
  'siem.remove': mapping(3004, 'Delete', 'remove', 3, 'A destination for audit entries was removed'),
  'siem.pause': mapping(3004, 'Suspend', 'change', 3, 'The feed to a destination was paused'),
  'siem.resume': mapping(3004, 'Resume', 'change', 2, 'The feed to a destination was resumed'),
  'siem.test': mapping(3004, 'Test', 'info', 1, 'A test event was asked for'),
  'siem.test.confirm': mapping(3004, 'Test', 'info', 1, 'A test event was found at its receiver'),
  'siem.replay': mapping(3004, 'Read', 'read', 2, 'Entries were sent to a destination again'),
  'siem.state': mapping(3004, 'Update', 'info', 3, 'The state of a destination changed'),
};

/** An entry of a newer version of the product, of a type that this one does not know. */
const unknown = mapping(3004, 'Unknown operation', 'info', 2, 'An operation was done');

export function mappingOf(type: string): Mapping {
  return Object.hasOwn(table, type) ? table[type as OperationType] : unknown;
}
