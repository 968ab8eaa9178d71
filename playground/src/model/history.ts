// The last runs of this browser, kept in its storage: inputs, outputs, small pictures.

import { isObject, type Json } from "./json";

export interface Entry {
  id: string;
  at: number;
  endpoint: string;
  input: Json;
  output: Json;
  phase: "done" | "failed" | "cancelled" | "running";
  took: number | null;
  thumbnail: string | null;
}

const MOST = 20;
const LARGEST = 200_000; // characters of one entry

type Store = Pick<Storage, "getItem" | "setItem" | "removeItem">;

export class History {
  constructor(private readonly name: string, private readonly store: Store = localStorage) {}

  /** Return the entries, the newest first; what cannot be read is as if it were not there. */
  read(): Entry[] {
    try {
      const found: unknown = JSON.parse(this.store.getItem(this.name) ?? "[]");
      return Array.isArray(found) ? (found as Entry[]).filter((each) => isObject(each) && "input" in each) : [];
    } catch {
      return [];
    }
  }

  /** Keep an entry in front; return what is kept now, fewer when the browser has no room. */
  add(entry: Entry): Entry[] {
    const others = this.read().filter((each) => each.id !== entry.id);
    return this.write([slim(entry), ...others].slice(0, MOST));
  }

  remove(id: string): Entry[] {
    return this.write(this.read().filter((each) => each.id !== id));
  }

  clear(): Entry[] {
    try {
      this.store.removeItem(this.name);
    } catch {
      // a browser that keeps nothing has nothing to forget
    }
    return [];
  }

  /** Write as many as there is room for. */
  private write(entries: Entry[]): Entry[] {
    for (let kept = entries; ; kept = kept.slice(0, -1)) {
      try {
        this.store.setItem(this.name, JSON.stringify(kept));
        return kept;
      } catch {
        if (!kept.length) return [];
      }
    }
  }
}

/** Leave out what is too large to be kept. */
function slim(entry: Entry): Entry {
  const size = (value: Json) => JSON.stringify(value ?? null).length;
  return {
    ...entry,
    output: size(entry.output) > LARGEST ? null : entry.output,
    input: size(entry.input) > LARGEST ? {} : entry.input,
  };
}

/** Return the URL of the first picture in an answer. */
export function pictureIn(value: Json | undefined, depth = 0): string | null {
  if (depth > 4) return null;
  if (Array.isArray(value)) return first(value, depth);
  if (!isObject(value)) return null;
  const { url, content_type: type } = value;
  if (typeof url === "string" && typeof type === "string" && type.startsWith("image/")) return url;
  return first(Object.values(value), depth);
}

function first(values: Json[], depth: number): string | null {
  for (const each of values) {
    const found = pictureIn(each, depth + 1);
    if (found) return found;
  }
  return null;
}
