// Requests to the server, with the key that the visitor gave for this tab.

import { bytes, isObject, type Json } from "../model/json";

/** What the server refused, in its own words. */
export class Refusal extends Error {
  constructor(readonly status: number, message: string, readonly detail: unknown, readonly requestId: string | null) {
    super(message);
  }
}

/** The server did not answer at all. */
export class Unreachable extends Error {
  constructor() {
    super("The server does not answer. Look whether it runs, and whether you are connected.");
  }
}

export class Client {
  constructor(
    private readonly base: string,
    private readonly scheme: "Key" | "Bearer",
    private readonly askForKey: () => Promise<string>,
    private readonly store: Pick<Storage, "getItem" | "setItem"> = sessionStorage,
  ) {}

  url(path: string): string {
    return `${this.base}${path}`;
  }

  private get keyName(): string {
    return `towpath-${this.scheme.toLowerCase()}`;
  }

  /** Whether the visitor gave a key. */
  get hasKey(): boolean {
    return this.store.getItem(this.keyName) !== null;
  }

  private headers(more: Record<string, string> = {}): Record<string, string> {
    const key = this.store.getItem(this.keyName);
    return key ? { ...more, authorization: `${this.scheme} ${key}` } : more;
  }

  /** Send a request; ask for a key, and send it again, where one is needed. */
  async send(path: string, init: RequestInit & { headers?: Record<string, string> } = {}): Promise<Response> {
    for (;;) {
      const answer = await this.once(path, init);
      if (answer.status !== 401) return answer;
      this.store.setItem(this.keyName, await this.askForKey());
    }
  }

  private async once(path: string, init: RequestInit & { headers?: Record<string, string> }): Promise<Response> {
    try {
      return await fetch(this.url(path), { ...init, headers: this.headers(init.headers) });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw new Unreachable();
    }
  }

  async json(path: string, init: RequestInit & { headers?: Record<string, string> } = {}): Promise<any> {
    const answer = await this.send(path, init);
    if (!answer.ok) throw await refusalOf(answer);
    return answer.status === 204 ? null : answer.json();
  }

  post(path: string, body: Json | undefined, more: RequestInit = {}): Promise<any> {
    return this.json(path, { ...more, ...jsonOf(body) });
  }

  /** Upload a file; `onProgress` hears the share that is sent, 0 to 1. */
  async upload(file: Blob, name: string, onProgress: (share: number) => void, signal: AbortSignal): Promise<string> {
    for (;;) {
      const answer = await this.sendFile(file, name, onProgress, signal);
      if (answer.status === 201) return JSON.parse(answer.responseText).access_url;
      if (answer.status !== 401) throw uploadRefusal(answer, file, name);
      this.store.setItem(this.keyName, await this.askForKey());
    }
  }

  /** fetch does not tell how far a body is; XMLHttpRequest does. */
  private sendFile(file: Blob, name: string, onProgress: (share: number) => void, signal: AbortSignal): Promise<XMLHttpRequest> {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", this.url("/files/upload"));
      const type = file.type || "application/octet-stream";
      const headers = this.headers({ "content-type": type, "x-fal-file-name": headerText(name) });
      for (const [header, value] of Object.entries(headers)) request.setRequestHeader(header, value);
      request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
      request.onload = () => resolve(request);
      request.onerror = () => reject(new Unreachable());
      request.onabort = () => reject(new DOMException("taken back", "AbortError"));
      signal.addEventListener("abort", () => request.abort());
      request.send(file);
    });
  }
}

export function jsonOf(body: Json | undefined): { method: string; headers: Record<string, string>; body: string } {
  return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body ?? {}) };
}

export async function refusalOf(answer: Response): Promise<Refusal> {
  const text = await answer.text().catch(() => "");
  return new Refusal(answer.status, ...readDetail(text, answer.status), answer.headers.get("x-fal-request-id"));
}

function uploadRefusal(answer: XMLHttpRequest, file: Blob, name: string): Refusal {
  const [message, detail] = readDetail(answer.responseText, answer.status);
  return new Refusal(answer.status, `${name} (${bytes(file.size)}) was not taken: ${message}`, detail, answer.getResponseHeader("x-fal-request-id"));
}

/** Return the sentence of an error's body, and its `detail`. */
export function readDetail(text: string, status: number): [string, unknown] {
  try {
    const detail: unknown = JSON.parse(text)?.detail;
    if (typeof detail === "string") return [detail, detail];
    if (Array.isArray(detail)) return [detail.map((each) => (isObject(each) ? String(each.msg) : String(each))).join("; "), detail];
  } catch {
    // no JSON: the status says what is known
  }
  return [`The server answered ${status}.`, null];
}

/** Headers carry bytes: a name goes as UTF-8. */
function headerText(name: string): string {
  const clean = name.replace(/[\u0000-\u001f\u007f]/g, " ");
  return String.fromCharCode(...new TextEncoder().encode(clean.slice(-200)));
}
