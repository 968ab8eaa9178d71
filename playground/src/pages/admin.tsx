// The operator's page: runners, queue, requests with their logs, files, cache, errors.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { bytes, seconds } from "../model/json";
import { usePage } from "../page";
import { Dialog, Scroller, Status, Tabs } from "../ui";

type Row = { [key: string]: any };
const REFRESH = 3000;

/** Read an address again and again; words of trouble stand beside what was read last. */
function useReading(path: string, refresh = REFRESH): { found: Row | null; trouble: string; read: () => void } {
  const { client } = usePage();
  const [found, setFound] = useState<Row | null>(null);
  const [trouble, tell] = useState("");
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let gone = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = async () => {
      try {
        const got = await client.json(path);
        if (!gone) { setFound(got); tell(""); }
      } catch (error) {
        if (!gone) tell(error instanceof Error ? error.message : String(error));
      }
      if (!gone && refresh) timer = setTimeout(read, refresh);
    };
    void read();
    return () => { gone = true; clearTimeout(timer); };
  }, [path, turn]);
  return { found, trouble, read: () => setTurn(turn + 1) };
}

export function AdminPage() {
  const { client } = usePage();
  const { found, trouble } = useReading("/admin/status");
  useEffect(() => { document.title = "Operator"; }, []);
  return (
    <>
      <header class="top"><a href={client.url("/playground/")}>All apps</a><h1>Operator</h1></header>
      <main class="page wide">
        <Status>{trouble || (found ? "" : "Loading…")}</Status>
        {found && <Overview status={found} />}
        {found && Object.entries<Row>(found.apps).filter(([, app]) => app.failure).map(([name, app]) => (
          <details key={name} class="notice bad"><summary>{name} does not start</summary><Scroller label={`Why ${name} does not start`}>{app.failure}</Scroller></details>
        ))}
        {found && (
          <Tabs label="Parts" tabs={[
            { name: "Requests", body: () => <Requests apps={Object.keys(found.apps)} /> },
            { name: "Files", body: () => <Files /> },
            { name: "Errors", body: () => <Errors status={found} /> },
          ]} />
        )}
      </main>
    </>
  );
}

function Overview(props: { status: Row }) {
  const { status } = props;
  const waiting = Object.entries<number>(status.queue.waiting);
  return (
    <>
      <dl class="figures">
        <Figure name="Waiting">{waiting.reduce((sum, [, count]) => sum + count, 0)}</Figure>
        <Figure name="Running">{status.queue.running}</Figure>
        <Figure name="Files">{status.storage.files}</Figure>
        <Figure name="Stored">{bytes(status.storage.bytes)}</Figure>
        {status.storage.free !== undefined && <Figure name="Free disk">{bytes(status.storage.free)}</Figure>}
        {status.cache && <Figure name="Cache">{bytes(status.cache.bytes)}</Figure>}
      </dl>
      <Table label="Apps and their runners" head={["App", "State", "Idle", "Busy", "Starting", "Restarts", "Waiting"]}>
        {Object.entries<Row>(status.apps).map(([name, app]) => (
          <tr key={name}>
            <th scope="row"><a href={`./${name}`}>{name}</a></th><td>{app.state}</td><td>{app.idle}</td><td>{app.busy}</td>
            <td>{app.starting}</td><td>{app.restarts}</td><td>{status.queue.waiting[name] ?? 0}</td>
          </tr>
        ))}
      </Table>
    </>
  );
}

function Figure(props: { name: string; children: ComponentChildren }) {
  return <div><dt>{props.name}</dt><dd>{props.children}</dd></div>;
}

function Table(props: { label: string; head: string[]; children: ComponentChildren }) {
  return (
    <div class="table" role="region" aria-label={props.label} tabIndex={0}>
      <table><thead><tr>{props.head.map((each) => <th key={each} scope="col">{each || <span class="sr">Actions</span>}</th>)}</tr></thead><tbody>{props.children}</tbody></table>
    </div>
  );
}

const STATES = ["", "queued", "running", "done"];

function Requests(props: { apps: string[] }) {
  const { client } = usePage();
  const [app, setApp] = useState("");
  const [state, setState] = useState("");
  const [cursor, setCursor] = useState("");
  const [shown, show] = useState<Row | null>(null);
  const asked = new URLSearchParams({ limit: "50", ...(app && { app }), ...(state && { status: state }), ...(cursor && { cursor }) });
  const { found, trouble, read } = useReading(`/admin/requests?${asked}`);
  const act = async (path: string, method: string) => {
    await client.json(path, { method }).catch(() => undefined);
    read();
  };
  return (
    <>
      <div class="row">
        <label>App <select value={app} onChange={(event) => { setApp(event.currentTarget.value); setCursor(""); }}><option value="">all</option>{props.apps.map((each) => <option key={each}>{each}</option>)}</select></label>
        <label>State <select value={state} onChange={(event) => { setState(event.currentTarget.value); setCursor(""); }}>{STATES.map((each) => <option key={each} value={each}>{each || "all"}</option>)}</select></label>
        {cursor && <button type="button" class="quiet" onClick={() => setCursor("")}>Newest</button>}
        {found?.next_cursor && <button type="button" class="quiet" onClick={() => setCursor(found.next_cursor)}>Older</button>}
      </div>
      <Status>{trouble || (found && !found.items.length ? "There are none." : "")}</Status>
      {found && found.items.length > 0 && (
        <Table label="Requests" head={["Request", "App", "State", "Outcome", "Submitted", "Took", ""]}>
          {found.items.map((each: Row) => (
            <tr key={each.request_id}>
              <th scope="row"><button type="button" class="link mono" onClick={() => show(each)}>{each.request_id.slice(0, 8)}</button></th>
              <td>{each.app}{each.path === "/" ? "" : each.path}</td><td>{each.status}</td>
              <td>{each.outcome ?? ""}{each.status_code ? ` ${each.status_code}` : ""}</td>
              <td>{timeOf(each.submitted_at)}</td><td>{typeof each.metrics?.inference_time === "number" ? seconds(each.metrics.inference_time) : ""}</td>
              <td>
                {each.status === "COMPLETED"
                  ? <button type="button" class="quiet" onClick={() => act(`/admin/requests/${each.request_id}/rerun`, "POST")}>Repeat</button>
                  : <button type="button" class="quiet" onClick={() => act(`/admin/requests/${each.request_id}/cancel`, "PUT")}>Cancel</button>}
              </td>
            </tr>
          ))}
        </Table>
      )}
      {shown && <OneRequest request={shown} onClose={() => show(null)} />}
    </>
  );
}

function OneRequest(props: { request: Row; onClose: () => void }) {
  const { request } = props;
  const { found, trouble } = useReading(`/admin/requests/${request.request_id}/logs`);
  return (
    <Dialog label={`Request ${request.request_id}`} class="wide" onClose={props.onClose}>
      <h2 class="mono">{request.request_id}</h2>
      {request.error && <p class="notice bad">{request.error}</p>}
      <Scroller label="Facts">{JSON.stringify({ ...request, logs: undefined }, null, 2)}</Scroller>
      <h3>Log</h3>
      <Status>{trouble || (found && !found.items.length ? "It is empty." : "")}</Status>
      {found && found.items.length > 0 && <Scroller label="Log" class="log">{found.items.map((line: Row) => <span key={line.line} data-level={line.level.toLowerCase()}>{line.timestamp.slice(11, 19)} {line.message}{"\n"}</span>)}</Scroller>}
    </Dialog>
  );
}

function Files() {
  const { client } = usePage();
  const [cursor, setCursor] = useState("");
  const usage = useReading("/admin/usage");
  const files = useReading(`/admin/files?limit=50${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
  const remove = async (id: string, name: string) => {
    if (!confirm(`Remove ${name} for everybody, now?`)) return;
    await client.json(`/admin/files/${id}`, { method: "DELETE" }).catch(() => undefined);
    files.read();
  };
  return (
    <>
      <Status>{usage.trouble || files.trouble}</Status>
      {usage.found && (
        <Table label="Storage by owner" head={["Owner", "Files", "Bytes"]}>
          {usage.found.items.map((each: Row) => <tr key={each.owner}><th scope="row">{each.owner || "nobody"}</th><td>{each.files}</td><td>{bytes(each.bytes)}</td></tr>)}
        </Table>
      )}
      {files.found && (
        <Table label="Files" head={["File", "Owner", "Type", "Size", "Created", "Expires", ""]}>
          {files.found.items.map((each: Row) => (
            <tr key={each.id}>
              <th scope="row"><a href={each.url} rel="noreferrer">{each.file_name}</a></th><td>{each.owner}</td><td>{each.content_type}</td><td>{bytes(each.file_size)}</td>
              <td>{timeOf(each.created_at)}</td><td>{each.expires_at ? timeOf(each.expires_at) : "never"}</td>
              <td><button type="button" class="quiet" aria-label={`Remove ${each.file_name}`} onClick={() => remove(each.id, each.file_name)}>Remove</button></td>
            </tr>
          ))}
        </Table>
      )}
      <div class="row">
        {cursor && <button type="button" class="quiet" onClick={() => setCursor("")}>Oldest</button>}
        {files.found?.next_cursor && <button type="button" class="quiet" onClick={() => setCursor(files.found?.next_cursor)}>Newer</button>}
      </div>
    </>
  );
}

function Errors(props: { status: Row }) {
  const errors: Row[] = props.status.recent_errors;
  if (!errors.length) return <p class="empty">No request has failed lately.</p>;
  return (
    <ul class="errors">
      {errors.map((each) => <li key={each.request_id}><p class="mono">{timeOf(each.finished_at)} {each.app} {each.request_id}</p><p class="error" dir="auto">{each.error ?? `status ${each.status_code}`}</p></li>)}
    </ul>
  );
}

function timeOf(text: string | null): string {
  return text ? new Date(text).toLocaleString([], { dateStyle: "short", timeStyle: "medium" }) : "";
}
