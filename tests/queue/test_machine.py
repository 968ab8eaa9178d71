"""The queue against a model that is plainly right: lists and dictionaries."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from tests.queue.conftest import ENGINES, Clock, emptied

from towpath.errors import LeaseLostError
from towpath.queue.opening import open_queue
from towpath.queue.requests import Claim, NewRequest, Outcome

APPS = ["local/a", "local/b"]


class Model:
    """One request, as it ought to be."""

    def __init__(self, number: int, app: str, *, low: bool) -> None:
        self.number, self.app, self.low = number, app, low
        self.state = "queued"
        self.due = 0.0
        self.attempt = 0
        self.cancelling = False
        self.kind: str | None = None


class QueueMachine(RuleBasedStateMachine):
    url: str | None = None
    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        if self.url is not None:
            emptied(self.url)
        self.clock = Clock()
        self.queue = open_queue(
            self.url or f"sqlite:///{Path(self.folder.name) / 'q.db'}", self.clock, max_length=1000
        )
        self.model: dict[str, Model] = {}
        self.keys: dict[tuple[str, str], str] = {}

    def teardown(self) -> None:
        self.queue.close()
        self.folder.cleanup()

    @rule(app=st.sampled_from(APPS), low=st.booleans(), key=st.sampled_from([None, None, "k", "l"]))
    def submit(self, app: str, low: bool, key: str | None) -> None:
        name = f"r{len(self.model)}"
        got = self.queue.submit(NewRequest(name, app, low_priority=low, idempotency_key=key))
        known = self.keys.get((app, key)) if key else None
        assert got.request_id == (known or name)
        if known is None:
            self.model[name] = Model(len(self.model), app, low=low)
            if key:
                self.keys[app, key] = name

    @rule(app=st.sampled_from(APPS), target=claims)
    def claim(self, app: str) -> Claim | None:
        claim = self.queue.claim([app], worker="w", now=self.clock.now)
        ready = [n for n in self.line(app) if self.model[n].due == 0]
        assert (claim.request_id if claim else None) == (ready[0] if ready else None)
        if claim is not None:
            each = self.model[claim.request_id]
            each.state, each.attempt = "running", each.attempt + 1
            assert claim.attempt == each.attempt
        return claim

    @rule(
        claim=claims,
        kind=st.sampled_from(["ok", "error", "retry", "given up"]),
        delay=st.sampled_from([0, 7]),
    )
    def finish(self, claim: Claim | None, kind: str, delay: int) -> None:
        if claim is None:
            return
        each = self.model[claim.request_id]
        holds = each.state == "running" and each.attempt == claim.attempt
        late = each.attempt != claim.attempt
        try:
            self.queue.finish(claim, Outcome(kind, delay=delay))
        except LeaseLostError:
            assert late
            return
        assert not late
        if not holds:
            return
        if kind in {"ok", "error"} or each.cancelling:
            each.kind = kind if kind in {"ok", "error"} else "cancelled"
            each.state, each.cancelling = "done", False
        else:
            each.state, each.due = "queued", self.clock.now + delay if delay else 0.0

    @rule(claim=claims)
    def renew(self, claim: Claim | None) -> None:
        if claim is None:
            return
        each = self.model[claim.request_id]
        try:
            self.queue.renew(claim, now=self.clock.now)
        except LeaseLostError:
            assert each.state != "running" or each.attempt != claim.attempt
        else:
            assert each.state == "running"
            assert each.attempt == claim.attempt

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if not self.model:
            return
        name = data.draw(st.sampled_from(sorted(self.model)))
        each = self.model[name]
        answer = self.queue.cancel(name)
        assert (
            answer == {"queued": "removed", "running": "requested", "done": "completed"}[each.state]
        )
        if each.state == "queued":
            each.state, each.kind = "done", "cancelled"
        elif each.state == "running":
            each.cancelling = True

    @rule(data=st.data())
    def lose_a_worker(self, data: st.DataObject) -> None:
        running = sorted(n for n, each in self.model.items() if each.state == "running")
        if not running:
            return
        name = data.draw(st.sampled_from(running))
        each = self.model[name]
        assert self.queue.take_back([(name, each.attempt)]) == 1
        if each.cancelling:
            each.state, each.kind, each.cancelling = "done", "cancelled", False
        else:
            each.state, each.due = "queued", 0.0

    @rule(seconds=st.sampled_from([1, 5, 20]))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds
        self.queue.promote(self.clock.now)
        for each in self.model.values():
            if each.due and each.due <= self.clock.now:
                each.due = 0.0

    def line(self, app: str) -> list[str]:
        waiting = [
            (m.low, m.number, n)
            for n, m in self.model.items()
            if m.app == app and m.state == "queued"
        ]
        return [name for _, _, name in sorted(waiting)]

    @invariant()
    def everything_is_as_in_the_model(self) -> None:
        for name, each in self.model.items():
            got = self.queue.read(name)
            assert (got.state, got.attempt, got.kind) == (each.state, each.attempt, each.kind)
            assert got.cancelling == each.cancelling
            place = self.line(each.app).index(name) if each.state == "queued" else None
            assert got.position == place
        waiting = {app: len(self.line(app)) for app in APPS if self.line(app)}
        assert self.queue.waiting() == waiting


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=ENGINES)])
def test_the_queue_does_what_the_model_does(kind: str, request: pytest.FixtureRequest) -> None:
    class Machine(QueueMachine):
        url = request.getfixturevalue("server") if kind == "postgresql" else None

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=40 if kind == "sqlite" else 25,
            stateful_step_count=40,
            suppress_health_check=list(HealthCheck),
        ),
    )
