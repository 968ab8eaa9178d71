// An input in the page's hash: it never reaches a server's log. Pure.

import type { Json } from "./json";

export interface Shared {
  endpoint: string;
  input: Json;
}

export const LONGEST = 8000;

/** Return the hash for an input, null when it is too long for a link. */
export function hashOf(shared: Shared): string | null {
  const packed = encodeURIComponent(JSON.stringify([shared.endpoint, shared.input]));
  return packed.length > LONGEST ? null : `#in=${packed}`;
}

/** Return what a hash holds, null when it holds none of ours. */
export function sharedIn(hash: string): Shared | null {
  if (!hash.startsWith("#in=")) return null;
  try {
    const [endpoint, input] = JSON.parse(decodeURIComponent(hash.slice(4)));
    return typeof endpoint === "string" ? { endpoint, input } : null;
  } catch {
    return null;
  }
}
