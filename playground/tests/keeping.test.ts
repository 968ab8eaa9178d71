import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { type Entry, History, pictureIn } from "../src/model/history";
import type { Json } from "../src/model/json";
import { hashOf, sharedIn } from "../src/model/share";
import { pythonLiteral, shellQuoted, snippet } from "../src/model/snippets";
import { membersIn, tableIn } from "../src/model/zip";

const NASTY: Json[] = ["", "it's", 'say "hi"', "a\nb", "$HOME `x` \\", "ünïcödé 🎨", "'; rm -rf /; '", { a: [1, 2.5, -0, 1e21, null, true, false, { "b c": "d'e" }], "": {} }, [], {}, "\u007f\u2028\u0001", "-n"];

describe("snippets", () => {
  it.each(NASTY.filter((each) => typeof each === "string"))("a shell reads back %j", (text) => {
    expect(execFileSync("sh", ["-c", `printf %s ${shellQuoted(text as string)}`]).toString()).toBe(text);
  });
  it("Python reads back every JSON", () => {
    const code = `import json\nprint(json.dumps(${pythonLiteral(NASTY, 0)}))`;
    expect(JSON.parse(execFileSync("python3", ["-c", code]).toString())).toEqual(NASTY.map((each) => JSON.parse(JSON.stringify(each))));
  });
  it("name a key by the environment, never by itself", () => {
    for (const language of ["curl", "python", "javascript"] as const) {
      expect(snippet(language, { url: "http://x/y", body: {}, streams: false, hasKey: true })).toContain("TOWPATH_KEY");
    }
  });
});

class Shelf {
  kept: Record<string, string> = {};
  constructor(private readonly room = Infinity) {}
  getItem = (name: string) => this.kept[name] ?? null;
  removeItem = (name: string) => { delete this.kept[name]; };
  setItem = (name: string, value: string) => {
    if (value.length > this.room) throw new DOMException("full", "QuotaExceededError");
    this.kept[name] = value;
  };
}

const entry = (id: string, size = 10): Entry => ({ id, at: 1, endpoint: "/", input: { a: "x".repeat(size) }, output: null, phase: "done", took: 1, thumbnail: null });

describe("history", () => {
  it("keeps twenty, the newest first, each once", () => {
    const history = new History("h", new Shelf());
    for (let n = 0; n < 25; n += 1) history.add(entry(String(n)));
    history.add(entry("20"));
    expect(history.read().map((each) => each.id).slice(0, 3)).toEqual(["20", "24", "23"]);
    expect(history.read()).toHaveLength(20);
  });
  it("gives up its oldest when the browser has no room, and is no trouble without any", () => {
    const history = new History("h", new Shelf(400));
    for (let n = 0; n < 6; n += 1) history.add(entry(String(n)));
    expect(history.read()[0]?.id).toBe("5");
    expect(new History("h", new Shelf(0)).add(entry("1"))).toEqual([]);
  });
  it("is empty where what is kept cannot be read", () => {
    const shelf = new Shelf();
    shelf.kept.h = "{broken";
    expect(new History("h", shelf).read()).toEqual([]);
  });
  it("does not keep what is very large", () => {
    const [kept] = new History("h", new Shelf()).add(entry("1", 300_000));
    expect(kept?.input).toEqual({});
  });
  it("finds a picture wherever it is", () => {
    expect(pictureIn({ a: [{ url: "v", content_type: "video/mp4" }], images: [{ url: "u", content_type: "image/png" }] })).toBe("u");
    expect(pictureIn("x")).toBeNull();
  });
});

describe("share links", () => {
  it("bring back what they were made of", () => {
    const shared = { endpoint: "/", input: { a: "ü #%&", n: [1] } };
    expect(sharedIn(hashOf(shared) ?? "")).toEqual(shared);
  });
  it("are none when they would be too long, and broken ones are ignored", () => {
    expect(hashOf({ endpoint: "/", input: "x".repeat(9000) })).toBeNull();
    expect(sharedIn("#in=%%%")).toBeNull();
    expect(sharedIn("#other")).toBeNull();
  });
});

describe("the table of a ZIP", () => {
  const make = (code: string) => {
    const text = execFileSync("python3", ["-c", `import zipfile,io,sys\nb=io.BytesIO()\nz=zipfile.ZipFile(b,'w')\n${code}\nz.close()\nsys.stdout.buffer.write(b.getvalue())`]);
    return new Uint8Array(text);
  };
  it("names the members and their sizes", () => {
    const zip = make("z.writestr('a/ü.txt','x'*7)\nz.writestr('b.bin',b'')\nz.comment=b'hello'");
    const table = tableIn(zip)!;
    expect(membersIn(zip.subarray(table.offset, table.offset + table.size))).toEqual([{ name: "a/ü.txt", size: 7, isEncrypted: false }, { name: "b.bin", size: 0, isEncrypted: false }]);
  });
  it("is none in what is no ZIP, and ends where it is cut", () => {
    expect(tableIn(new Uint8Array(500))).toBeNull();
    expect(tableIn(new Uint8Array(3))).toBeNull();
    expect(membersIn(new Uint8Array([0x50, 0x4b, 1, 2, 0, 0]))).toEqual([]);
  });
});
