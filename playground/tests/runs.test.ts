import { describe, expect, it } from "vitest";
import { dataOf, eventsOf } from "../src/run/events";
import { endpointPath, placeOf } from "../src/run/place";
import { IDLE, next, shareOf, type Run } from "../src/run/state";
import { etaOf, wordsOf } from "../src/pages/words";

describe("server-sent events", () => {
  const streamOf = (...chunks: string[]) => new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
      controller.close();
    },
  });
  const all = async (...chunks: string[]) => {
    const found: string[] = [];
    for await (const data of eventsOf(streamOf(...chunks))) found.push(data);
    return found;
  };
  it("come out whole, however they are cut", async () => {
    expect(await all("data: a\n\nda", "ta: b\nda", "ta: c\n\n")).toEqual(["a", "b\nc"]);
    expect(await all("data: a\r\n\r\ndata: b\r\n\r\n")).toEqual(["a", "b"]);
  });
  it("are no comments, and no event that was broken off", async () => {
    expect(await all(": waiting\n\n", "event: x\ndata:y\n\n", "data: half")).toEqual(["y"]);
    expect(dataOf("id: 3")).toBeNull();
  });
});

describe("the place of the page", () => {
  it.each([
    ["/playground/", { view: "home", base: "" }],
    ["/playground/local/upscale", { view: "app", base: "", owner: "local", app: "upscale" }],
    ["/playground/local/upscale/", { view: "app", base: "", owner: "local", app: "upscale" }],
    ["/a/b/playground/local/x", { view: "app", base: "/a/b", owner: "local", app: "x" }],
    ["/playground/playground/local/x", { view: "app", base: "/playground", owner: "local", app: "x" }],
    ["/a/playground/admin", { view: "admin", base: "/a" }],
  ])("%s", (path, place) => {
    expect(placeOf(path)).toEqual(place);
  });
  it("leads to endpoints", () => {
    expect(endpointPath("/a", "o", "x", "/")).toBe("/a/o/x");
    expect(endpointPath("/a/queue", "o", "x", "/y/z")).toBe("/a/queue/o/x/y/z");
  });
});

describe("a run", () => {
  const after = (...said: object[]): Run => said.reduce<Run>((run, each) => next(run, { kind: "status", said: each }), next(next(IDLE, { kind: "sent", at: 1 }), { kind: "accepted", requestId: "r", position: 2 }));
  it("goes through the queue", () => {
    expect(wordsOf(after())).toBe("In the queue, 2 before it");
    expect(wordsOf(after({ status: "IN_QUEUE", queue_position: 0, eta: 12.34 }))).toBe("In the queue, next in line");
    expect(etaOf(after({ status: "IN_QUEUE", queue_position: 0, eta: 12.34 }))).toBe("about 12.3 s left");
  });
  it("tells how far it is", () => {
    const run = after({ status: "IN_PROGRESS", progress: { done: 1, total: 4, message: "warming" } });
    expect(shareOf(run)).toBe(0.25);
    expect(wordsOf(run)).toBe("Running, warming, 25 %");
    expect(shareOf(after({ status: "IN_PROGRESS", progress: { done: 1, total: null } }))).toBeNull();
  });
  it("gathers its log", () => {
    const line = (message: string) => ({ message, level: "info", source: "app", timestamp: "" });
    expect(after({ status: "IN_PROGRESS", logs: [line("a")] }, { status: "IN_PROGRESS", logs: [line("b")] }).logs.map((each) => each.message)).toEqual(["a", "b"]);
  });
  it("waits for a server that is gone, and goes on", () => {
    const gone = next(after({ status: "IN_PROGRESS" }), { kind: "waiting" });
    expect(gone.isWaiting).toBe(true);
    expect(next(gone, { kind: "status", said: { status: "IN_PROGRESS" } }).isWaiting).toBe(false);
  });
  it("stays over once it is over", () => {
    const over = next(after(), { kind: "cancelled", at: 5 });
    expect(next(over, { kind: "status", said: { status: "IN_PROGRESS" } }).phase).toBe("cancelled");
  });
});
