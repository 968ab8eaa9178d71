// Server-sent events out of a stream of bytes (WHATWG HTML, 9.2.6).

/** Yield the data of each event. */
export async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      const parts = rest.split(/\r\n\r\n|\n\n|\r\r/);
      rest = parts.pop() ?? "";
      for (const part of parts) {
        const data = dataOf(part);
        if (data !== null) yield data;
      }
      if (done) return;
    }
  } finally {
    reader.releaseLock();
  }
}

/** Return the data of one event, null when it has none. */
export function dataOf(event: string): string | null {
  const lines = event
    .split(/\r\n|\n|\r/)
    .filter((line) => line === "data" || line.startsWith("data:"))
    .map((line) => line.slice(5).replace(/^ /, ""));
  return lines.length ? lines.join("\n") : null;
}
