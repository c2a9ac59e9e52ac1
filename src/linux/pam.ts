// One login through PAM, by libpam.so.0. It blocks as long as the modules do, and a broken module takes its process along:
// only root-helper.ts calls it, in a process that serves nothing else.

import { loadLibrary, type NativeLibrary, native } from './libc.ts';
import { answerQuestions, type PamLogin, type PamPairs, type PamQuestion } from './pam-answers.ts';

const LIBRARY = 'libpam.so.0';
const PAM_RHOST = 4;
const PAM_BUF_ERR = 5;
const PAM_CONV_ERR = 19;
const MOST_QUESTIONS = 32;

export interface PamRequest extends PamLogin {
  readonly service: string;
  readonly answers: readonly PamPairs[];
  /** The client's address; empty where it is not known. */
  readonly remote: string;
}

export interface PamResult {
  readonly accepted: boolean;
  /** PAM's own words. */
  readonly problem: string;
  /** `query='Password: ' style=1`, for the log. */
  readonly questions: readonly string[];
}

/** Throws when there is no libpam. */
export function authenticate(request: PamRequest): PamResult {
  const pam = library();
  const { koffi } = native();
  const questions: string[] = [];
  const converse = koffi.register((count: number, messages: unknown, responses: unknown): number => {
    if (count <= 0 || count > MOST_QUESTIONS) return PAM_CONV_ERR;
    const asked = readQuestions(pam, messages, count);
    for (const { style, text } of asked) questions.push(`query='${text}' style=${style}`);
    const given = answerQuestions(asked, request, request.answers);
    return given === 'refused' ? PAM_CONV_ERR : writeAnswers(pam, responses, given);
  }, koffi.pointer(pam.Conversation));
  try {
    const handle: unknown[] = [null];
    const user = request.answers.length > 0 ? null : request.username;
    let status = pam.start(request.service, user, { converse, data: null }, handle);
    if (status !== 0) return { accepted: false, problem: pam.strerror(null, status), questions };
    const [open] = handle;
    if (request.remote !== '') status = pam.setItem(open, PAM_RHOST, request.remote);
    if (status === 0) status = pam.authenticate(open, 0);
    if (status === 0) status = pam.accountManagement(open, 0);
    const problem = status === 0 ? '' : pam.strerror(open, status);
    pam.end(open, status);
    return { accepted: status === 0, problem, questions };
  } finally {
    koffi.unregister(converse);
  }
}

/** undefined, or why there is no PAM here. */
export function pamProblem(): string | undefined {
  try {
    library();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

interface Pam {
  readonly Message: ReturnType<NativeLibrary['koffi']['struct']>;
  readonly Conversation: ReturnType<NativeLibrary['koffi']['proto']>;
  readonly Response: ReturnType<NativeLibrary['koffi']['struct']>;
  start(service: string, user: string | null, conversation: unknown, handle: unknown[]): number;
  setItem(handle: unknown, item: number, value: string): number;
  authenticate(handle: unknown, flags: number): number;
  accountManagement(handle: unknown, flags: number): number;
  end(handle: unknown, status: number): number;
  strerror(handle: unknown, status: number): string;
  calloc(count: number, size: number): unknown;
  strdup(text: string): unknown;
}

let loaded: Pam | undefined;

function library(): Pam {
  if (loaded !== undefined) return loaded;
  const { koffi, library: libc } = native();
  const libpam = loadLibrary(LIBRARY);
  const Message = koffi.struct('pam_message', { style: 'int', text: 'const char *' });
  const Response = koffi.struct('pam_response', { text: 'void *', retcode: 'int' });
  const Conversation = koffi.proto('int PamConversation(int count, void *messages, void *responses, void *data)');
  koffi.struct('pam_conv', { converse: koffi.pointer(Conversation), data: 'void *' });
  loaded = {
    Message,
    Response,
    Conversation,
    start: libpam.func('int pam_start(const char *, const char *, pam_conv *, _Out_ void **)'),
    setItem: libpam.func('int pam_set_item(void *, int, const char *)'),
    authenticate: libpam.func('int pam_authenticate(void *, int)'),
    accountManagement: libpam.func('int pam_acct_mgmt(void *, int)'),
    end: libpam.func('int pam_end(void *, int)'),
    strerror: libpam.func('const char *pam_strerror(void *, int)'),
    calloc: libc.func('void *calloc(size_t, size_t)'),
    strdup: libc.func('void *strdup(const char *)'),
  };
  return loaded;
}

/** As Linux-PAM has it: an array of pointers to messages. */
function readQuestions(pam: Pam, messages: unknown, count: number): PamQuestion[] {
  const { koffi } = native();
  const pointers = koffi.decode(messages, koffi.array('void *', count)) as unknown[];
  return pointers.map((pointer) => {
    const { style, text } = koffi.decode(pointer, pam.Message) as { style: number; text: string | null };
    return { style, text: text ?? '' };
  });
}

/** PAM frees what it is given, so it is memory of libc's. */
function writeAnswers(pam: Pam, responses: unknown, given: readonly (string | undefined)[]): number {
  const { koffi } = native();
  const array = pam.calloc(given.length, koffi.sizeof(pam.Response));
  if (array === null) return PAM_BUF_ERR;
  const filled = given.map((text) => ({ text: text === undefined ? null : pam.strdup(text), retcode: 0 }));
  koffi.encode(array, koffi.array(pam.Response, filled.length), filled);
  koffi.encode(responses, 'void *', array);
  return 0;
}
