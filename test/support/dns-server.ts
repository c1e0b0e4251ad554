/**
 * A DNS server of our own on loopback, UDP and TCP on one port, that answers from a zone in the
 * test: `startDnsServer(t, { 'example.com': { MX: [[10, 'mx.example.com']] } })`.
 */

import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { type Answer, decode, encode, type Packet, type Question } from 'dns-packet';
import { atEnd } from './cleanup.ts';
import { freePort } from './ports.ts';

/** What the server knows, and how it misbehaves, about one name. */
export interface ZoneEntry {
  readonly A?: readonly string[];
  readonly AAAA?: readonly string[];
  readonly MX?: readonly (readonly [preference: number, exchange: string])[];
  readonly NS?: readonly string[];
  readonly TXT?: readonly (string | readonly string[])[];
  readonly PTR?: readonly string[];
  readonly CNAME?: string;
  /** Seconds; 60 if not said. */
  readonly ttl?: number;
  /** Answers with this instead. */
  readonly rcode?: 'SERVFAIL' | 'NXDOMAIN' | 'REFUSED' | 'FORMERR' | 'NOTIMP';
  /** Says nothing at all. */
  readonly silent?: boolean;
  /** UDP replies are cut short, so that the client must come by TCP. */
  readonly truncated?: boolean;
  /** Sends this reply before the right one: forged ids, other questions, noise. */
  readonly forged?: (right: Buffer) => Buffer;
}

/** Name in lower case, no final dot -> entry. `1.0.0.127.in-addr.arpa` for PTR. */
export type Zone = Record<string, ZoneEntry>;

export interface DnsServer {
  readonly port: number;
  /** For `dns_nameservers`: `127.0.0.1:port`. */
  readonly nameserver: string;
  /** May be changed at any time. */
  readonly zone: Zone;
  /** What was asked so far: `udp MX example.com`. */
  readonly questions: string[];
}

const RCODES = { FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;
/** Authoritative, recursion desired and available. */
const ANSWER_FLAGS = 0x0580;
const TRUNCATED_FLAG = 0x0200;

/** Starts the server, on a port of its own unless given one; it ends with the test. */
export async function startDnsServer(
  t: TestContext,
  zone: Zone = {},
  fixedPort = 0,
): Promise<DnsServer> {
  const port = fixedPort || (await freePort());
  const questions: string[] = [];
  const udp = createSocket('udp4');
  udp.bind(port, '127.0.0.1');
  await once(udp, 'listening');
  const clients = new Set<Socket>();
  const tcp = createServer((socket) => {
    clients.add(socket);
    socket.on('error', () => {}).on('close', () => clients.delete(socket));
    serveStream(socket, zone, questions);
  });
  tcp.listen(port, '127.0.0.1');
  await once(tcp, 'listening');
  udp.on('message', (bytes, from) => answerDatagram(bytes, from));
  atEnd(t, () => {
    udp.close();
    for (const socket of clients) socket.destroy();
    tcp.close();
  });
  return {
    port,
    nameserver: `127.0.0.1:${port}`,
    zone,
    questions,
  };

  function answerDatagram(bytes: Buffer, from: RemoteInfo): void {
    const query = decode(bytes);
    const question = query.questions?.[0];
    if (question === undefined) return;
    questions.push(`udp ${question.type} ${question.name}`);
    const entry = entryOf(zone, question.name);
    if (entry?.silent) return;
    const right = encode(answer(zone, query, question));
    const forged = entry?.forged?.(right);
    if (forged !== undefined) udp.send(forged, from.port, from.address);
    if (!entry?.truncated) udp.send(right, from.port, from.address);
    else udp.send(encode(truncated(query)), from.port, from.address);
  }
}

function serveStream(socket: Socket, zone: Zone, questions: string[]): void {
  let pending = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
      const length = pending.readUInt16BE(0);
      const query = decode(pending.subarray(2, 2 + length));
      pending = pending.subarray(2 + length);
      const question = query.questions?.[0];
      if (question === undefined) continue;
      questions.push(`tcp ${question.type} ${question.name}`);
      if (entryOf(zone, question.name)?.silent) continue;
      const bytes = encode(answer(zone, query, question));
      const prefix = Buffer.alloc(2);
      prefix.writeUInt16BE(bytes.length);
      socket.write(Buffer.concat([prefix, bytes]));
    }
  });
}

function entryOf(zone: Zone, name: string): ZoneEntry | undefined {
  return zone[name.toLowerCase().replace(/\.$/, '')];
}

function truncated(query: Packet): Packet {
  return {
    id: query.id,
    type: 'response',
    flags: ANSWER_FLAGS | TRUNCATED_FLAG,
    questions: query.questions,
  };
}

function answer(zone: Zone, query: Packet, question: Question): Packet {
  const answers: Answer[] = [];
  let name = question.name;
  let entry = entryOf(zone, name);
  for (let hops = 0; entry?.CNAME !== undefined && hops < 16; hops += 1) {
    answers.push({ type: 'CNAME', name, ttl: entry.ttl ?? 60, data: entry.CNAME });
    name = entry.CNAME;
    entry = entryOf(zone, name);
  }
  if (entry !== undefined) answers.push(...recordsOf(entry, name, question.type));
  const rcode = entry === undefined ? 'NXDOMAIN' : entry.rcode;
  return {
    id: query.id,
    type: 'response',
    flags: ANSWER_FLAGS | (rcode === undefined ? 0 : RCODES[rcode]),
    questions: query.questions,
    answers: rcode === undefined ? answers : answers.filter(({ type }) => type === 'CNAME'),
  };
}

function recordsOf(entry: ZoneEntry, name: string, type: string): Answer[] {
  const ttl = entry.ttl ?? 60;
  if (type === 'MX') {
    return (entry.MX ?? []).map(([preference, exchange]) => ({
      type,
      name,
      ttl,
      data: { preference, exchange },
    }));
  }
  if (type === 'TXT') {
    return (entry.TXT ?? []).map((text) => ({
      type,
      name,
      ttl,
      data: typeof text === 'string' ? text : [...text],
    }));
  }
  if (type === 'A' || type === 'AAAA' || type === 'PTR' || type === 'NS') {
    return (entry[type] ?? []).map((data) => ({ type, name, ttl, data }));
  }
  return [];
}
