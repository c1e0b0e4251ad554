import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { errorText, isErrno, OsError } from '../../../lib/os/error.ts';
import { chroot, freeSpace, syncFileSystem } from '../../../lib/os/files.ts';
import { becomeSessionLeader } from '../../../lib/os/session.ts';
import { isFacility, sendSyslog } from '../../../lib/os/syslog.ts';

test('a file system tells what room it has, and is synced by any of its files', () => {
  const { bytes, inodes, blocks, blockSize } = freeSpace(tmpdir());
  assert.equal(bytes, blocks * blockSize);
  assert.ok(bytes > 0 && inodes >= 0);
  const fd = openSync(tmpdir(), 'r');
  syncFileSystem(fd);
  closeSync(fd);
  assert.throws(() => syncFileSystem(fd), { code: 'EBADF' });
});

test('errors have libc words, whoever throws them', () => {
  const missing = () => openSync('/no/such/file', 'r');
  assert.throws(missing, (error) => {
    assert.equal(errorText(error), 'No such file or directory');
    return isErrno(error, 'ENOENT') && !isErrno(error, 'EACCES');
  });
  assert.throws(
    () => chroot('/no/such/directory'),
    (error: OsError) => {
      assert.ok(error instanceof OsError);
      assert.ok(error.code === 'ENOENT' || error.code === 'EPERM');
      assert.equal(error.call, 'chroot');
      return error.message.startsWith('chroot /no/such/directory: ');
    },
  );
  assert.equal(errorText(new Error('plain')), 'plain');
  assert.equal(errorText('text'), 'text');
});

test('syslog has facilities, and says when nobody listens', () => {
  assert.ok(isFacility('mail') && isFacility('local7'));
  assert.equal(isFacility('nonsense'), false);
  assert.equal(typeof sendSyslog('mail', 'debug', 'posthaste/test[1]: a test'), 'boolean');
});

test('a process that leads its group already may go on doing so', () => {
  becomeSessionLeader();
  becomeSessionLeader();
});
