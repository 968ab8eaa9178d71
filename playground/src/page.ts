// What every part of the page may ask for: the server, and which addresses are its own.

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Client } from "./run/client";

export interface Page {
  client: Client;
  /** Bytes of one upload at most, as far as the server says. */
  mostBytes: number | null;
}

export const PageContext = createContext<Page | null>(null);

export function usePage(): Page {
  const page = useContext(PageContext);
  if (!page) throw new Error("there is no page around this part");
  return page;
}

/** Return what the server wrote into the page. */
export function told(name: string): string {
  return document.querySelector<HTMLMetaElement>(`meta[name="towpath-${name}"]`)?.content ?? "";
}

/** Return whether a URL may be shown here: our own files, and what is in the page already. */
export function isOurs(url: string): boolean {
  if (/^(data|blob):/.test(url)) return true;
  try {
    const { origin } = new URL(url);
    return origin === location.origin || told("origins").split(" ").includes(origin);
  } catch {
    return false;
  }
}
