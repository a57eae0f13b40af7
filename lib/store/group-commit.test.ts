import assert from 'node:assert/strict';
import { test } from 'node:test';
import { put, rejectsWith } from '../../test/conformance/store-cases.ts';
import { type Connection, createGroupCommit } from './group-commit.ts';
import { type Outcome, StoreError, type StoreErrorCode, type Write } from './port.ts';

/** A database that remembers sort keys, and fails when told. */
function fakeConnection() {
  const committed: string[] = [];
  let open: string[] | undefined;
  const state = {
    commits: 0,
    committed,
    busyBegins: 0,
    /** Thrown by COMMIT, once each. */
    commitErrors: [] as StoreErrorCode[],
    applyError: (_sk: string): unknown => undefined,
  };
  const connection: Connection = {
    begin() {
      if (state.busyBegins > 0) {
        state.busyBegins -= 1;
        throw new Error('busy');
      }
      assert.equal(open, undefined, 'a transaction in a transaction');
      open = [];
    },
    apply(writes: readonly Write[]): Outcome {
      const [write] = writes;
      assert(write?.kind === 'put' && open !== undefined);
      const error = state.applyError(write.item.sk);
      if (error !== undefined) throw error;
      if (write.item.sk === 'refused') return { ok: false, failed: [0] };
      open.push(write.item.sk);
      return { ok: true };
    },
    commit() {
      const code = state.commitErrors.shift();
      if (code !== undefined) throw new StoreError(code, 'planned');
      committed.push(...(open ?? []));
      open = undefined;
      state.commits += 1;
    },
    rollback() {
      open = undefined;
    },
    isBusy: (error) => error instanceof Error && error.message === 'busy',
    toStoreError: (error) => (error instanceof StoreError ? error : new StoreError('unavailable', String(error))),
    onCommit() {},
  };
  return { state, connection };
}

test('transactions of one turn share a commit, in order; a refused one takes no other with it', async () => {
  const { state, connection } = fakeConnection();
  const { transact } = createGroupCommit(connection);
  const outcomes = await Promise.all(['a', 'refused', 'b'].map((sk) => transact([put('p', sk)])));
  assert.deepEqual(outcomes, [{ ok: true }, { ok: false, failed: [0] }, { ok: true }]);
  assert.deepEqual(state.committed, ['a', 'b']);
  assert.equal(state.commits, 1);
});

test('nothing is resolved before the commit', async () => {
  const { state, connection } = fakeConnection();
  const order: string[] = [];
  const { transact } = createGroupCommit({
    ...connection,
    commit() {
      connection.commit();
      order.push('commit');
    },
  });
  await Promise.all(['a', 'b'].map((sk) => transact([put('p', sk)]).then(() => order.push(sk))));
  assert.deepEqual(order, ['commit', 'a', 'b']);
  assert.equal(state.commits, 1);
});

test('a fault of one transaction is its own; one of the database makes each try alone', async () => {
  const { state, connection } = fakeConnection();
  const { transact } = createGroupCommit(connection);
  state.applyError = (sk) => {
    if (sk === 'invalid') return new StoreError('invalid', 'planned');
    return sk === 'large' ? new Error('disk full') : undefined;
  };
  const settled = await Promise.allSettled(['a', 'invalid', 'large', 'b'].map((sk) => transact([put('p', sk)])));
  assert.deepEqual(
    settled.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code)),
    [{ ok: true }, 'invalid', 'unavailable', { ok: true }],
  );
  assert.deepEqual(state.committed, ['a', 'b']);
});

test('after a failed commit that wrote nothing, each transaction has its own second chance', async () => {
  const { state, connection } = fakeConnection();
  const { transact } = createGroupCommit(connection);
  state.commitErrors = ['full', 'full'];
  const settled = await Promise.allSettled(['a', 'b', 'c'].map((sk) => transact([put('p', sk)])));
  assert.deepEqual(
    settled.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code)),
    ['full', { ok: true }, { ok: true }],
  );
  assert.deepEqual(state.committed, ['b', 'c']);
});

test('a commit of unknown outcome is reported as such to its whole group, is not tried again, and ends the connection', async () => {
  const { state, connection } = fakeConnection();
  const commits = createGroupCommit(connection);
  state.commitErrors = ['unknown_outcome'];
  const group = ['a', 'b'].map((sk) => rejectsWith('unknown_outcome', commits.transact([put('p', sk)])));
  await Promise.all(group);
  assert.equal(commits.failure()?.code, 'unavailable');
  assert.equal(state.commits, 0);
  assert.deepEqual(state.committed, []);
});

test('a transaction queued behind a commit of unknown outcome is unavailable: nothing of it was written', async () => {
  const { state, connection } = fakeConnection();
  const { transact } = createGroupCommit(connection);
  state.commitErrors = ['unknown_outcome'];
  // Over 1,000 writes do not fit in one group: the last transaction is left for the next.
  const large = Array.from({ length: 1000 }, (_, index) => put('p', `s${index}`));
  const first = rejectsWith('unknown_outcome', transact(large));
  const second = rejectsWith('unavailable', transact([put('p', 'behind')]));
  await Promise.all([first, second]);
  assert.deepEqual(state.committed, []);
});

test('a busy database is asked again, and given up in the end without losing later transactions', async () => {
  const { state, connection } = fakeConnection();
  const { transact } = createGroupCommit(connection, { maxLockAttempts: 5 });
  state.busyBegins = 3;
  assert.deepEqual(await transact([put('p', 'a')]), { ok: true });
  state.busyBegins = 5;
  await rejectsWith('unavailable', transact([put('p', 'b')]));
  assert.equal(state.busyBegins, 0);
  // The next one has all its attempts again.
  state.busyBegins = 3;
  assert.deepEqual(await transact([put('p', 'c')]), { ok: true });
  assert.deepEqual(state.committed, ['a', 'c']);
});

test('drain resolves at once when nothing is queued, and after what is', async () => {
  const { state, connection } = fakeConnection();
  const commits = createGroupCommit(connection);
  await commits.drain();
  const pending = commits.transact([put('p', 'a')]);
  await commits.drain();
  assert.deepEqual(state.committed, ['a']);
  await pending;
});
