// The page of one app: the form, the run, the result.

import { useLayoutEffect, useState } from "preact/hooks";
import { type AppDocument, type Endpoint, readDocument } from "../model/endpoints";
import { sharedIn } from "../model/share";
import { usePage } from "../page";
import { Refusal } from "../run/client";
import { Status, Words } from "../ui";
import { Workbench } from "./workbench";

const RETRY = 1500;

export function AppPage(props: { owner: string; app: string }) {
  const { client } = usePage();
  const [document_, setDocument] = useState<AppDocument | null>(null);
  const [trouble, tell] = useState("");
  useLayoutEffect(() => { // before the first picture: the document is on its way already
    let gone = false;
    const load = async () => {
      while (!gone) {
        const said = await read();
        if (said === null) return;
        tell(said);
        await new Promise((resolve) => setTimeout(resolve, RETRY));
      }
    };
    const read = async (): Promise<string | null> => {
      try {
        const found = readDocument(await client.json(`/${props.owner}/${props.app}/openapi.json`));
        if (gone) return null;
        setDocument(found);
        document.title = found.title;
        return null;
      } catch (error) {
        if (error instanceof Refusal && error.status === 404) {
          tell(`There is no app ${props.owner}/${props.app} on this server.`);
          return null;
        }
        const why = error instanceof Error ? error.message : String(error);
        return `The app does not answer yet: ${why} Trying again.`;
      }
    };
    void load();
    return () => { gone = true; };
  }, [props.owner, props.app]);
  if (!document_) return <main class="page"><h1 class="sr">{props.owner}/{props.app}</h1><Status>{trouble || "Loading…"}</Status></main>;
  return <Loaded {...props} document={document_} />;
}

function Loaded(props: { owner: string; app: string; document: AppDocument }) {
  const { client } = usePage();
  const { endpoints } = props.document;
  const shared = sharedIn(location.hash);
  const first = Math.max(0, endpoints.findIndex((each) => each.path === shared?.endpoint));
  const [at, choose] = useState(first);
  const endpoint = endpoints[at];
  return (
    <>
      <header class="top">
        <a href={client.url("/playground/")}>All apps</a>
        <h1 dir="auto">{props.document.title}</h1>
        {endpoints.length > 1 && <Chooser endpoints={endpoints} at={at} onChoose={choose} />}
        <a href={client.url(`/${props.owner}/${props.app}/openapi.json`)}>OpenAPI</a>
        {props.document.description && <p class="lead" dir="auto"><Words text={props.document.description} /></p>}
      </header>
      {endpoint
        ? <Workbench key={endpoint.path} owner={props.owner} app={props.app} endpoint={endpoint} shared={shared?.endpoint === endpoint.path ? shared.input : undefined} />
        : <main class="page"><p>This app has no endpoint that takes a POST; its OpenAPI document says what it has.</p></main>}
    </>
  );
}

function Chooser(props: { endpoints: Endpoint[]; at: number; onChoose: (at: number) => void }) {
  return (
    <label class="chooser">Endpoint{" "}
      <select value={String(props.at)} onChange={(event) => props.onChoose(Number(event.currentTarget.value))}>
        {props.endpoints.map((each, n) => <option key={each.path} value={String(n)}>{each.title} ({each.path})</option>)}
      </select>
    </label>
  );
}
