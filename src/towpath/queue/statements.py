"""The queue's statements, in SQLAlchemy Core, for SQLite and PostgreSQL alike."""

from typing import Any

from sqlalchemy import (
    BindParameter,
    ClauseElement,
    ColumnElement,
    Engine,
    Integer,
    bindparam,
    case,
    delete,
    func,
    literal,
    null,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from towpath.queue.tables import (
    DONE,
    FAR,
    NEAR,
    QUEUED,
    RUNNING,
    answers,
    lines,
    logs,
    payloads,
    requests,
)

__all__ = ["FRESH", "GIVEN", "SHOWN", "TAKEN", "claimed", "ended", "in_line", "statements"]

_r, _l = requests.c, lines.c
_WAITING = text("state < 3")  # word by word as in the indexes
_SUSPECT = text("state < 3 AND connection_errors > 0")
_RUNNING = text("state = 3")
_DONE = text("state = 4")

OUTCOME = ("kind", "status", "error", "error_type")
SHOWN = (
    *("id", "app", "path", "method", "state", "submitted", "started", "finished", "attempt"),
    *("cancelling", "kind", "status", "error", "error_type", "progress", "number", "priority"),
)


TAKEN = (
    *("number", "id", "app", "path", "method", "attempt", "tries", "retries"),
    *("server_errors", "timeouts", "connection_errors", "priority"),
)
"""What a claim has of a request, in this order."""
GIVEN = (
    *("id", "app", "key", "path", "method", "priority", "hint", "start_by", "submitted"),
    *("retries", "keep_io", "fingerprint"),
)
"""What a submit gives."""
FRESH = {"state": QUEUED, "attempt": 0, "tries": 0, "beat": 0, "cancelling": False}
FRESH |= {"server_errors": 0, "timeouts": 0, "connection_errors": 0}
"""What every request begins with."""
LOGGED = ("line", "at", "level", "source", "message", "attempt")
"""What is shown of a line."""


def in_line() -> ColumnElement[bool]:
    """Return the condition that a request is of the line that is asked for."""
    deaths = (bindparam("least_deaths", type_=Integer), bindparam("most_deaths", type_=Integer))
    return _r.connection_errors.between(*deaths)


def claimed() -> dict[str, Any]:  # Any: expressions
    """Return what a claim changes."""
    return {
        "state": RUNNING,
        "attempt": _r.attempt + 1,
        "tries": _r.tries + 1,
        "beat": 0,
        "worker": bindparam("by_worker"),
        "started": bindparam("at_start"),
        "start_by": null(),
        "progress": null(),
    }


def ended() -> dict[str, Any]:  # Any: expressions
    """Return what the end of a request changes."""
    outcome: dict[str, Any] = {name: bindparam(f"its_{name}") for name in OUTCOME}
    return {"state": DONE, "cancelling": False, "finished": bindparam("at_end"), **outcome}


def statements(engine: Engine) -> dict[str, ClauseElement]:
    """Return every statement by its name."""
    return {**_submitting(engine), **_working(), **_reading(), **_keeping()}


def _submitting(engine: Engine) -> dict[str, ClauseElement]:
    """Return what puts requests in."""
    insert = sqlite_insert if engine.dialect.name == "sqlite" else postgresql_insert
    values: dict[str, object] = {name: bindparam(name) for name in GIVEN}
    levels = [
        {
            "app": bindparam("app"),
            "priority": bindparam("priority"),
            "level": level,
            "block": bindparam(name),
            "waiting": bindparam("step"),
        }
        for level, name in ((NEAR, "near"), (FAR, "far"))
    ]
    counted = insert(lines).values(levels)  # always in this order: nobody waits in a circle
    sums = {"waiting": _l.waiting + counted.excluded.waiting}
    return {
        "insert": insert(requests)
        .values(**values, **FRESH)
        .on_conflict_do_nothing()
        .returning(_r.number),
        "payload": insert(payloads).values(
            number=bindparam("number"), headers=bindparam("headers"), body=bindparam("body")
        ),
        "answer": insert(answers)
        .values(number=bindparam("number"), headers=bindparam("headers"), body=bindparam("body"))
        .on_conflict_do_nothing(),
        "count": counted.on_conflict_do_update(
            index_elements=["app", "priority", "level", "block"], set_=sums
        ),
        "log": insert(logs)
        .values(**{c.name: bindparam(c.name) for c in logs.c})
        .on_conflict_do_nothing(),
    }


def _working() -> dict[str, ClauseElement]:
    """Return what workers do."""
    head = (
        select(_r.number)
        .where(_r.app == bindparam("of_app"), _WAITING, _r.state == QUEUED, in_line())
        .order_by(_r.priority, _r.number)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).scalar_subquery()
    mine = (_r.id == bindparam("of_id"), _r.attempt == bindparam("of_attempt"), _RUNNING)
    return {
        "claim": update(requests)
        .where(_r.number == head, _r.state == QUEUED)
        .values(**claimed())
        .returning(*(_r[name] for name in TAKEN)),
        "beat": update(requests).where(*mine).values(beat=_r.beat + 1),
        "end": update(requests).where(*mine).values(**ended()).returning(_r.number, _r.keep_io),
        "back": update(requests)
        .where(*mine)
        .values(
            state=bindparam("its_state"),
            due=bindparam("its_due"),
            tries=_r.tries - bindparam("uncounted"),
            server_errors=_r.server_errors + bindparam("by_server_error"),
            timeouts=_r.timeouts + bindparam("by_timeout"),
            connection_errors=_r.connection_errors + bindparam("by_connection_error"),
            progress=null(),
        )
        .returning(_r.number, _r.priority, _r.app),
        "progress": update(requests).where(*mine).values(progress=bindparam("its_progress")),
        "ask_to_stop": update(requests)
        .where(_r.id == bindparam("of_id"), _RUNNING)
        .values(cancelling=True),
        "take_out": update(requests)
        .where(_r.id == bindparam("of_id"), _WAITING)
        .values(**ended(), start_by=null())
        .returning(_r.number, _r.priority, _r.app),
    }


def _reading() -> dict[str, ClauseElement]:
    """Return what answers questions."""
    shown = select(*(_r[name] for name in SHOWN))
    app_is = or_(bindparam("any_app") == 1, _r.app == bindparam("of_app"))
    rank: ColumnElement[int] = func.sum(case((_l.block < bindparam("of_far"), _l.waiting), else_=0))
    return {
        "read": shown.where(_r.id == bindparam("of_id")),
        "read_by_key": shown.add_columns(_r.fingerprint).where(
            _r.app == bindparam("of_app"), _r.key == bindparam("of_key")
        ),
        "waiting": select(_l.priority, func.sum(_l.waiting))
        .where(_l.app == bindparam("of_app"), _l.level == FAR)
        .group_by(_l.priority),
        "waiting_all": select(_l.app, func.sum(_l.waiting)).where(_l.level == FAR).group_by(_l.app),
        "before": select(_l.priority, func.sum(_l.waiting), rank)
        .where(_l.app == bindparam("of_app"), _l.level == FAR)
        .group_by(_l.priority),
        "before_near": select(func.coalesce(func.sum(_l.waiting), 0)).where(
            _l.app == bindparam("of_app"),
            _l.priority == bindparam("of_priority"),
            _l.level == NEAR,
            _l.block.between(bindparam("low"), bindparam("high")),
        ),
        "before_in_block": select(func.count()).where(
            _r.app == bindparam("of_app"),
            _WAITING,
            _r.priority == bindparam("of_priority"),
            _r.number >= bindparam("first"),
            _r.number < bindparam("of_number"),
        ),
        "head": select(_r.hint)
        .where(_r.app == bindparam("of_app"), _WAITING, _r.state == QUEUED, in_line())
        .order_by(_r.priority, _r.number)
        .limit(1),
        "suspects": select(_r.app, func.count())
        .where(_SUSPECT, _r.state == QUEUED)
        .group_by(_r.app),
        "payload_of": select(payloads.c.headers, payloads.c.body).where(
            payloads.c.number == bindparam("of_number")
        ),
        "answer_of": select(_r.status, answers.c.headers, answers.c.body)
        .join_from(requests, answers, answers.c.number == _r.number)
        .where(_r.id == bindparam("of_id")),
        "logs_of": select(*(logs.c[name] for name in LOGGED))
        .join_from(requests, logs, logs.c.number == _r.number)
        .where(_r.id == bindparam("of_id"), logs.c.line >= bindparam("first"))
        .order_by(logs.c.line),
        "page": shown.where(
            app_is,
            _r.state.between(bindparam("low"), bindparam("high")),
            _r.number < bindparam("top"),
        )
        .order_by(_r.number.desc())
        .limit(bindparam("most")),
        "running": select(_r.id, _r.attempt, _r.beat).where(_RUNNING),
        "stopping": select(_r.id).where(
            _RUNNING, _r.cancelling, _r.worker == bindparam("by_worker")
        ),
        "held": select(_r.id, _r.attempt).where(_RUNNING, _r.worker == bindparam("by_worker")),
        "counts": select(_r.app, _r.state, func.count())
        .where(text("state IN (1, 2, 3)"))
        .group_by(_r.app, _r.state),
    }


def _keeping() -> dict[str, ClauseElement]:
    """Return what time brings about."""
    old = (
        select(_r.number)
        .where(_DONE, _r.finished < bindparam("before"))
        .order_by(_r.finished)
        .limit(500)
    )
    of_number: BindParameter[int] = bindparam("of_number")
    return {
        "promote": update(requests)
        .where(text("state = 2"), _r.due <= bindparam("now"))
        .values(state=QUEUED, due=null()),
        "late": select(_r.id).where(
            _r.start_by.is_not(None), _r.start_by <= bindparam("now"), _WAITING
        ),
        "old": old,
        "drop_request": delete(requests).where(_r.number == of_number),
        "drop_payload": delete(payloads).where(payloads.c.number == of_number),
        "drop_answer": delete(answers).where(answers.c.number == of_number),
        "drop_logs": delete(logs).where(logs.c.number == of_number),
        "drop_blocks": delete(lines).where(
            _l.waiting == literal(0),
            _l.block < case((_l.level == NEAR, bindparam("near")), else_=bindparam("far")),
        ),
        "newest": select(func.coalesce(func.max(_r.number), 0)),
    }
