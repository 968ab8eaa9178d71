// What is said of a run in a few words. Pure.

import { seconds } from "../model/json";
import { type Run, shareOf } from "../run/state";

export function wordsOf(run: Run): string {
  if (run.isWaiting) return "The server does not answer; waiting for it…";
  switch (run.phase) {
    case "idle": return "";
    case "uploading": return "Waiting for the uploads…";
    case "sending": return "Sending…";
    case "queued": return run.position ? `In the queue, ${run.position} before it` : "In the queue, next in line";
    case "running": return running(run);
    case "done": return run.ended && run.began ? `Done in ${seconds((run.ended - run.began) / 1000)}` : "Done";
    case "failed": return "Failed";
    case "cancelled": return "Cancelled";
  }
}

function running(run: Run): string {
  const share = shareOf(run);
  const parts = ["Running", run.progress?.message ?? "", share === null ? "" : `${Math.round(share * 100)} %`];
  return parts.filter(Boolean).join(", ");
}

/** Return when it will be done, as far as one can tell. */
export function etaOf(run: Run): string {
  return run.eta !== null && run.eta > 0 && (run.phase === "queued" || run.phase === "running") ? `about ${seconds(run.eta)} left` : "";
}
