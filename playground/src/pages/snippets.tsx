// The current input as code.

import { useState } from "preact/hooks";
import type { Endpoint } from "../model/endpoints";
import type { Json } from "../model/json";
import { type Language, snippet } from "../model/snippets";
import { usePage } from "../page";
import { endpointPath } from "../run/place";
import { CopyButton, Scroller, Tabs } from "../ui";

interface Props {
  owner: string;
  app: string;
  endpoint: Endpoint;
  body: () => Json;
  value: Json | undefined; // so that it is written again when the form changes
}

const NAMES: Record<Language, string> = { curl: "curl", python: "Python", javascript: "JavaScript" };

export function Snippets(props: Props) {
  const { client } = usePage();
  const [isOpen, open] = useState(false); // nobody reads what is folded away, so it is not written
  const url = new URL(client.url(endpointPath("", props.owner, props.app, props.endpoint.path)), location.href).href;
  const text = (language: Language) => snippet(language, { url, body: masked(props.body()), streams: props.endpoint.streams, hasKey: client.hasKey });
  return (
    <details class="snippets" open={isOpen} onToggle={(event) => open(event.currentTarget.open)}>
      <summary>Code for this input</summary>
      {isOpen && <Tabs label="Languages" tabs={(Object.keys(NAMES) as Language[]).map((each) => ({
        name: NAMES[each],
        body: () => <><CopyButton text={() => text(each)} label={`Copy ${NAMES[each]}`} /><Scroller label={`${NAMES[each]} code`} class="code">{text(each)}</Scroller></>,
      }))} />}
    </details>
  );

  /** Secrets stay in the form. */
  function masked(body: Json): Json {
    const input = props.endpoint.input;
    if (!input || input.kind !== "object" || typeof body !== "object" || body === null || Array.isArray(body)) return body;
    const secret = new Set(input.children().filter((each) => each.kind === "password").map((each) => each.key));
    return Object.fromEntries(Object.entries(body).map(([key, value]) => [key, secret.has(key) ? "…" : value]));
  }
}
