// Where the page is: everything else on the server is reached relative to it. Pure.

export type Place =
  | { view: "home"; base: string }
  | { view: "admin"; base: string }
  | { view: "app"; base: string; owner: string; app: string };

const OWN = "/playground";

/** Return what a path shows; `base` is what comes before `/playground`, '' at the root. */
export function placeOf(pathname: string): Place {
  const at = pathname.lastIndexOf(`${OWN}/`);
  const base = at < 0 ? pathname.replace(/\/playground$/, "") : pathname.slice(0, at);
  const [first = "", second = ""] = at < 0 ? [] : pathname.slice(at + OWN.length + 1).split("/");
  if (first === "admin" && !second) return { view: "admin", base };
  if (first && second) return { view: "app", base, owner: first, app: second };
  return { view: "home", base };
}

/** Return the path of an app's endpoint. */
export function endpointPath(base: string, owner: string, app: string, endpoint: string): string {
  return `${base}/${owner}/${app}${endpoint === "/" ? "" : endpoint}`;
}
