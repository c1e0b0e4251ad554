/** PAM: has the machine's modules say whether a password is right. To be asked as root. */
import { declare, declareCallback, declareSlow } from './native.ts';

const LIBRARY = 'libpam.so.0';
const RTLD_NOW_GLOBAL = 0x102;
const dlopen = declare<bigint | null>('void *dlopen(const char *path, int flags)');
const copy = declare<bigint>('void *memcpy(void *to, const void *from, size_t bytes)');
const allocate = declare<bigint | null>('void *calloc(size_t count, size_t bytes)');

const startPam = declare(
  'int pam_start(const char *service, const char *user, const void *conversation, void *handle)',
);
const setItem = declare('int pam_set_item(void *handle, int type, const void *item)');
const authenticate = declareSlow('int pam_authenticate(void *handle, int flags)');
const checkAccount = declareSlow('int pam_acct_mgmt(void *handle, int flags)');
const endPam = declare('int pam_end(void *handle, int status)');
const errorText = declare<string>('const char *pam_strerror(void *handle, int status)');

const SUCCESS = 0;
const BUFFER_ERROR = 5;
const CONVERSATION_ERROR = 19;
const PROMPT_ECHO_OFF = 1;
const ITEM_REMOTE_HOST = 4;
const ITEM_FAIL_DELAY = 10;
/** An empty password is no password. */
const DISALLOW_NULL = 1;
/**
 * It was the user's fault: permission denied, authentication error, credentials, user unknown, tries,
 * a password to be changed, an account that has ended, a password that has. Anything else is trouble.
 */
const REFUSALS: ReadonlySet<number> = new Set([6, 7, 8, 10, 11, 12, 13, 27]);

const POINTER_BYTES = 8;
/** `struct pam_message` and `struct pam_response`: a pointer and an int each. */
const ENTRY_BYTES = 16;
const MESSAGES_MAX = 32;

/** PAM can't tell. */
export class PamError extends Error {
  override readonly name = 'PamError';
}

export interface PamQuestion {
  /** A file of /etc/pam.d. */
  readonly service: string;
  readonly user: string;
  readonly password: string;
  /** Where the client is. */
  readonly remoteHost: string;
}

interface Library {
  readonly converse: bigint;
  readonly noDelay: bigint;
}

let library: Library | undefined;
/** Passwords of those whom a module may ask about now, by the number that it is given for them. */
const asked = new Map<number, string>();
let lastNumber = 0;

/**
 * Asks; a thread waits for the answer, which may take seconds.
 *
 * @throws {PamError}
 */
export async function askPam({
  service,
  user,
  password,
  remoteHost,
}: PamQuestion): Promise<boolean> {
  library ??= load();
  const number = ++lastNumber;
  const conversation = Buffer.alloc(2 * POINTER_BYTES);
  conversation.writeBigUInt64LE(library.converse);
  // Not a pointer: it comes back to us as it is.
  conversation.writeBigUInt64LE(BigInt(number), POINTER_BYTES);
  const found = Buffer.alloc(POINTER_BYTES);
  const started = startPam(service, user, conversation, found);
  if (started !== SUCCESS) throw new PamError(`pam_start: error ${started}`);
  const handle = found.readBigUInt64LE();
  let status = SUCCESS;
  asked.set(number, password);
  try {
    setItem(handle, ITEM_REMOTE_HOST, Buffer.from(`${remoteHost}\0`));
    // Who waits for how long is our business: here it would be a thread.
    setItem(handle, ITEM_FAIL_DELAY, library.noDelay);
    status = await authenticate(handle, DISALLOW_NULL);
    if (status === SUCCESS) status = await checkAccount(handle, DISALLOW_NULL);
    if (status === SUCCESS || REFUSALS.has(status)) return status === SUCCESS;
    throw new PamError(errorText(handle, status));
  } finally {
    asked.delete(number);
    endPam(handle, status);
  }
}

function load(): Library {
  if (!dlopen(LIBRARY, RTLD_NOW_GLOBAL)) throw new PamError(`${LIBRARY} is not installed`);
  return {
    converse: declareCallback('int', ['int', 'void *', 'void *', 'void *'], converse),
    noDelay: declareCallback('void', ['int', 'uint', 'void *'], () => 0),
  };
}

/** A module has questions: it is told the password for those that must not be seen. */
function converse(
  count: number | bigint | null,
  messages: number | bigint | null,
  answer: number | bigint | null,
  number: number | bigint | null,
): number {
  const password = asked.get(Number(number));
  const isSane = typeof messages === 'bigint' && typeof answer === 'bigint';
  if (password === undefined || !isSane || Number(count) > MESSAGES_MAX) return CONVERSATION_ERROR;
  // What we hand out the module gives back to malloc.
  const responses = allocate(Number(count), ENTRY_BYTES);
  if (responses === null) return BUFFER_ERROR;
  for (let at = 0; at < Number(count); at += 1) {
    const message = read(messages + BigInt(at * POINTER_BYTES), POINTER_BYTES).readBigUInt64LE();
    const isSecret = read(message, ENTRY_BYTES).readInt32LE() === PROMPT_ECHO_OFF;
    const text = Buffer.from(`${isSecret ? password : ''}\0`, 'utf8');
    const room = allocate(text.length, 1);
    if (room === null) return BUFFER_ERROR;
    copy(room, text, text.length);
    write(responses + BigInt(at * ENTRY_BYTES), room);
  }
  write(answer, responses);
  return SUCCESS;
}

function read(address: bigint, bytes: number): Buffer {
  const found = Buffer.alloc(bytes);
  copy(found, address, bytes);
  return found;
}

function write(address: bigint, pointer: bigint): void {
  const bytes = Buffer.alloc(POINTER_BYTES);
  bytes.writeBigUInt64LE(pointer);
  copy(address, bytes, POINTER_BYTES);
}
