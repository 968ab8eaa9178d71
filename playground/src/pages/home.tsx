// All apps of the server.

import { useEffect, useState } from "preact/hooks";
import { pictureIn } from "../model/history";
import type { Json } from "../model/json";
import { isOurs, usePage } from "../page";
import { Status, Words } from "../ui";

interface App {
  owner: string;
  name: string;
  title: string;
  description: string;
  endpoints: { path: string; title: string }[];
  runners: Record<string, number>;
  example: { input: Json; output: Json } | null;
}

const REFRESH = 5000;

export function HomePage() {
  const { client } = usePage();
  const [apps, setApps] = useState<App[] | null>(null);
  const [trouble, tell] = useState("");
  useEffect(() => {
    document.title = "Apps on this server";
    const read = () => client.json("/apps").then(
      (found) => { setApps(found.apps); tell(""); },
      (error: Error) => tell(error.message),
    );
    void read();
    const timer = setInterval(read, REFRESH);
    return () => clearInterval(timer);
  }, []);
  return (
    <>
      <header class="top"><h1>Apps on this server</h1><a href={client.url("/playground/admin")}>Operator</a></header>
      <main class="page">
        <Status>{trouble || (apps ? "" : "Loading…")}</Status>
        {apps && !apps.length && <p class="empty">No app is served. Start one: towpath run app.py</p>}
        <ul class="apps">{(apps ?? []).map((each) => <Card key={`${each.owner}/${each.name}`} app={each} />)}</ul>
      </main>
    </>
  );
}

function Card(props: { app: App }) {
  const { client } = usePage();
  const { app } = props;
  const picture = pictureIn(app.example?.output);
  return (
    <li class="card">
      {picture && isOurs(picture) && <img src={picture} alt={`Example of ${app.title}`} loading="lazy" />}
      <h2><a href={client.url(`/playground/${app.owner}/${app.name}`)} dir="auto">{app.title}</a></h2>
      <p dir="auto"><Words text={app.description.split("\n")[0] ?? ""} /></p>
      <p class="hint">{app.owner}/{app.name} · {runnersOf(app.runners)}{app.endpoints.length > 1 ? ` · ${app.endpoints.length} endpoints` : ""}</p>
    </li>
  );
}

export function runnersOf(runners: Record<string, number>): string {
  const parts = ["busy", "idle", "starting", "backoff"].filter((each) => runners[each]).map((each) => `${runners[each]} ${each === "backoff" ? "failing" : each}`);
  return parts.length ? parts.join(", ") : "asleep";
}
