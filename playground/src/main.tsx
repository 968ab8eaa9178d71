// The page begins here.

import { render } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { AppPage } from "./pages/app";
import { HomePage } from "./pages/home";
import { PageContext, told } from "./page";
import { Client } from "./run/client";
import { placeOf, type Place } from "./run/place";
import { KeyDialog, Status } from "./ui";
import "./style.css";

function Root(props: { place: Place }) {
  const { place } = props;
  const isAdmin = place.view === "admin";
  const [ask, setAsk] = useState<((key: string) => void) | null>(null);
  const page = useMemo(() => {
    let asked: Promise<string> | null = null; // several requests are refused at once; one dialog asks
    const askForKey = () => {
      asked ??= new Promise<string>((resolve) => setAsk(() => (key: string) => {
        asked = null;
        setAsk(null);
        resolve(key);
      }));
      return asked;
    };
    return { client: new Client(place.base, isAdmin ? "Bearer" : "Key", askForKey), mostBytes: Number(told("most-bytes")) || null };
  }, []);
  return (
    <PageContext.Provider value={page}>
      {place.view === "home" && <HomePage />}
      {place.view === "app" && <AppPage owner={place.owner} app={place.app} />}
      {isAdmin && <Admin />}
      {ask && <KeyDialog what={isAdmin ? "Admin token" : "API key"} onKey={ask} />}
    </PageContext.Provider>
  );
}

/** The operator's page is loaded when it is asked for. */
function Admin() {
  const [View, setView] = useState<null | typeof import("./pages/admin").AdminPage>(null);
  useEffect(() => {
    import("./pages/admin").then(({ AdminPage }) => setView(() => AdminPage), () => undefined);
  }, []);
  return View ? <View /> : <main class="page"><h1 class="sr">Operator</h1><Status>Loading…</Status></main>;
}

const target = document.getElementById("page");
if (target) render(<Root place={placeOf(location.pathname)} />, target);
