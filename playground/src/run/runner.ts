// Runs an endpoint through the queue, or reads its stream, and tells what happens.

import type { Endpoint } from "../model/endpoints";
import type { Json } from "../model/json";
import { type Client, jsonOf, Refusal, refusalOf, Unreachable } from "./client";
import { eventsOf } from "./events";
import { endpointPath } from "./place";
import type { Event } from "./state";

export type Tell = (event: Event) => void;

const PATIENCE = 120_000; // how long a server that is gone is waited for
const PAUSE = 1000;

/** One run; `cancel` ends it, on the server too. */
export class Runner {
  private readonly stop = new AbortController();
  private requestId: string | null = null;
  private isCancelled = false;

  constructor(
    private readonly client: Client,
    private readonly owner: string,
    private readonly app: string,
    private readonly tell: Tell,
  ) {}

  /** Run; return when it is over. What went wrong is told, not raised. */
  async run(endpoint: Endpoint, body: Json | undefined): Promise<void> {
    this.tell({ kind: "sent", at: Date.now() });
    try {
      if (endpoint.streams) await this.stream(endpoint, body);
      else await this.queued(endpoint, body);
    } catch (error) {
      this.tell(this.isCancelled ? { kind: "cancelled", at: Date.now() } : failed(error, this.requestId));
    }
  }

  /** Go on watching a request that was submitted before. */
  async resume(requestId: string): Promise<void> {
    this.tell({ kind: "sent", at: Date.now() });
    this.tell({ kind: "accepted", requestId, position: 0 });
    this.requestId = requestId;
    try {
      await this.watched();
    } catch (error) {
      this.tell(this.isCancelled ? { kind: "cancelled", at: Date.now() } : failed(error, requestId));
    }
  }

  async cancel(): Promise<void> {
    this.isCancelled = true;
    const requestId = this.requestId;
    if (requestId === null) {
      this.stop.abort();
      return;
    }
    await this.client.send(`${this.place(requestId)}/cancel`, { method: "PUT" }).catch(() => undefined);
    this.stop.abort();
  }

  /** Let go without ending what runs. */
  leave(): void {
    this.stop.abort();
  }

  private place(requestId: string): string {
    return `/queue/${this.owner}/${this.app}/requests/${requestId}`;
  }

  // --- through the queue ---

  private async queued(endpoint: Endpoint, body: Json | undefined): Promise<void> {
    const path = endpointPath("/queue", this.owner, this.app, endpoint.path);
    // A repeated submit must not run twice: the server knows it by this key.
    const headers = { "content-type": "application/json", "idempotency-key": keyOf() };
    const accepted = await this.client.json(path, { ...jsonOf(body), headers, signal: this.stop.signal });
    const requestId = String(accepted.request_id);
    this.requestId = requestId;
    this.tell({ kind: "accepted", requestId, position: accepted.queue_position ?? 0 });
    if (this.isCancelled) return this.cancel();
    await this.watched();
  }

  private async watched(): Promise<void> {
    const requestId = this.requestId ?? "";
    await this.untilDone(requestId);
    const answer = await this.patiently(() => this.client.send(this.place(requestId), { signal: this.stop.signal }));
    if (!answer.ok) throw await refusalOf(answer);
    this.tell({ kind: "result", value: await answer.json(), at: Date.now() });
  }

  /** Follow the status until the request is done; connect again when the server was away. */
  private async untilDone(requestId: string): Promise<void> {
    let seen = 0;
    for (;;) {
      const answer = await this.patiently(() => this.client.send(`${this.place(requestId)}/status/stream?logs=1`, { signal: this.stop.signal }));
      if (!answer.ok) throw await refusalOf(answer);
      let isDone = false; // the stream is read to its end: one that is left is broken off
      let skip = seen; // a new connection tells the log from its beginning
      try {
        for await (const data of eventsOf(answer.body as ReadableStream<Uint8Array>)) {
          const said = JSON.parse(data);
          const lines: unknown[] = Array.isArray(said.logs) ? said.logs : [];
          const known = Math.min(skip, lines.length);
          skip -= known;
          seen += lines.length - known;
          this.tell({ kind: "status", said: { ...said, logs: lines.slice(known) } });
          isDone ||= said.status === "COMPLETED";
        }
      } catch (error) {
        if (this.stop.signal.aborted) throw error;
      }
      if (isDone) return;
      this.tell({ kind: "waiting" });
      await this.pause();
    }
  }

  /** Try again for a while when the server does not answer. */
  private async patiently(work: () => Promise<Response>): Promise<Response> {
    const until = Date.now() + PATIENCE;
    for (;;) {
      try {
        const answer = await work();
        if (answer.status !== 502 && answer.status !== 503 && answer.status !== 504) return answer;
        if (Date.now() > until) return answer;
      } catch (error) {
        if (!(error instanceof Unreachable) || Date.now() > until) throw error;
      }
      this.tell({ kind: "waiting" });
      await this.pause();
    }
  }

  private pause(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.stop.signal.aborted) reject(this.stop.signal.reason);
      const timer = setTimeout(resolve, PAUSE);
      this.stop.signal.addEventListener("abort", () => {
        clearTimeout(timer);
        reject(this.stop.signal.reason);
      });
    });
  }

  // --- a stream ---

  private async stream(endpoint: Endpoint, body: Json | undefined): Promise<void> {
    const path = endpointPath("", this.owner, this.app, endpoint.path);
    const answer = await this.client.send(path, { ...jsonOf(body), signal: this.stop.signal });
    if (!answer.ok) throw await refusalOf(answer);
    let last: Json = null;
    for await (const data of eventsOf(answer.body as ReadableStream<Uint8Array>)) {
      last = parsed(data);
      this.tell({ kind: "part", value: last });
    }
    this.tell({ kind: "result", value: last, at: Date.now() });
  }
}

function parsed(data: string): Json {
  try {
    return JSON.parse(data);
  } catch {
    return data;
  }
}

function keyOf(): string {
  const numbers = crypto.getRandomValues(new Uint32Array(4));
  return Array.from(numbers, (each) => each.toString(16).padStart(8, "0")).join("");
}

function failed(error: unknown, requestId: string | null): Event {
  const at = Date.now();
  if (error instanceof Refusal) {
    const { message, detail, status } = error;
    if (status === 499) return { kind: "cancelled", at };
    return { kind: "failed", failure: { message, detail, status, requestId: requestId ?? error.requestId }, at };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { kind: "failed", failure: { message, detail: null, status: 0, requestId }, at };
}
