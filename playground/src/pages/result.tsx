// What becomes of a run: its state, its progress, its answer, its log.

import { useEffect, useState } from "preact/hooks";
import type { Endpoint } from "../model/endpoints";
import type { Json } from "../model/json";
import { asFile, isFile } from "../model/media";
import { isOurs } from "../page";
import { IDLE, isOver, type Run, shareOf } from "../run/state";
import { CopyButton, memo, Scroller, Status, Tabs } from "../ui";
import { etaOf, wordsOf } from "./words";

interface Props {
  endpoint: Endpoint;
  run: Run;
  input: Json | undefined;
  name: string;
}

function ResultView(props: Props) {
  const { run } = props;
  const json = run.result ?? (run.parts.length ? run.parts : null);
  return (
    <div class="result-box" aria-busy={!isOver(run)}>
      <Tabs label="Views of the result" tabs={[
        { name: "Result", body: () => <Preview {...props} /> },
        { name: "JSON", body: () => (json === null ? <p class="hint">There is no answer yet.</p> : <><CopyButton text={() => JSON.stringify(json, null, 2)} label="Copy JSON" /><Scroller label="Answer as JSON">{JSON.stringify(json, null, 2)}</Scroller></>) },
        { name: run.logs.length ? `Log (${run.logs.length})` : "Log", body: () => <Log run={run} /> },
      ]} />
    </div>
  );
}

export const Result = memo(ResultView);

function Preview(props: Props) {
  const { run } = props;
  useEffect(() => {
    const load = () => void import("../output/view");
    if ("requestIdleCallback" in globalThis) requestIdleCallback(load);
    else setTimeout(load, 300);
  }, []);
  if (run.phase === "idle") return <Empty {...props} />;
  return (
    <>
      <div class="state" data-phase={run.phase} data-began={run.began}>
        <Status>{wordsOf(run)}{run.phase === "queued" || run.phase === "running" ? <span class="hint"> {etaOf(run)}</span> : null}</Status>
        <Meter run={run} />
      </div>
      <Sneak run={run} />
      {run.failure && <Failed run={run} />}
      <Viewers {...props} />
    </>
  );
}

/** Before the first run: what to do, and what may come of it. */
function Empty(props: Props) {
  const { outcome } = props.endpoint;
  return (
    <>
      <p class="empty">Fill in the form and press Run.</p>
      {outcome !== undefined && <div class="outcome"><p class="hint">What comes out looks like this:</p><Viewers {...props} run={{ ...IDLE, phase: "done", result: outcome }} /></div>}
    </>
  );
}

type Views = typeof import("../output/view");

/** The viewers come once the form is there: a first result finds them loaded. */
function Viewers(props: Props) {
  const { endpoint, run, input, name } = props;
  const [views, setViews] = useState<Views | null>(null);
  useEffect(() => {
    import("../output/view").then(setViews, () => undefined);
  }, []);
  if (!views) return null;
  if (endpoint.streams) return <views.Parts endpoint={endpoint} parts={partsOf(run)} input={input} name={name} />;
  if (run.phase !== "done" || run.result === undefined) return null;
  return <views.Answer endpoint={endpoint} value={run.result} input={input} name={name} />;
}

/** A run that is shown again from the history has its last value only. */
function partsOf(run: Run): Json[] {
  return run.parts.length || run.result === undefined || run.result === null ? run.parts : [run.result];
}

function Meter(props: { run: Run }) {
  const { run } = props;
  if (isOver(run)) return null;
  const share = shareOf(run);
  const label = "Progress of the run";
  return share === null ? <progress aria-label={label} /> : <progress aria-label={label} max={1} value={share} />;
}

/** The result so far, as the app shows it. */
function Sneak(props: { run: Run }) {
  const preview = props.run.progress?.preview;
  if (isOver(props.run) || !isFile(preview)) return null;
  const { url, content_type: type } = asFile(preview);
  return isOurs(url) && (type ?? "").startsWith("image/") ? <img class="preview" src={url} alt="The result so far" data-sneak /> : null;
}

function Failed(props: { run: Run }) {
  const { failure } = props.run;
  if (!failure) return null;
  return (
    <div class="notice bad" role="alert">
      <p dir="auto">{failure.message}</p>
      {failure.status >= 500 && <p class="hint">The log may say more.</p>}
      {failure.requestId && <p class="hint">Request {failure.requestId}</p>}
    </div>
  );
}

function Log(props: { run: Run }) {
  const { logs } = props.run;
  if (!logs.length) return <p class="hint">What the app prints comes here{props.run.phase === "idle" ? "" : "; nothing so far"}.</p>;
  return (
    <Scroller label="Log" class="log">
      {logs.map((line, n) => (
        <span key={n} data-level={line.level.toLowerCase()}>{line.timestamp.slice(11, 19)} {line.message}{"\n"}</span>
      ))}
    </Scroller>
  );
}
